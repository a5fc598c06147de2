"""The account of seconds by stage."""

import time

import pytest

from polyclinic.compute.stages import Spent, Stages


def test_stages_contain_others_and_add_up():
    stages = Stages()
    for _ in range(2):
        with stages.stage("outer"):
            with stages.stage("inner"):
                sum(range(300_000))
            time.sleep(0.02)
    with stages.stage("after"):
        pass
    outer, inner, after = stages.rows()
    assert [(row.depth, row.name) for row in (outer, inner, after)] == [(0, "outer"), (1, "inner"), (0, "after")]
    assert outer.spent.wall_s >= inner.spent.wall_s + 0.04, "waiting counts on the wall clock"
    assert inner.spent.processor_s > 0
    assert outer.spent.processor_s < outer.spent.wall_s - 0.02, "waiting is no processor time"


def test_processor_time_of_workers_counts_in_the_stages_that_wait_for_them():
    stages = Stages()
    with stages.stage("fit"), stages.stage("members"):
        stages.add("tree", Spent(3.0, 2.0))
        stages.add("tree", Spent(1.0, 0.5), here=True)
    fit, members, tree = stages.rows()
    assert tree == (2, "tree", Spent(4.0, 2.5))
    for row in (fit, members):
        assert row.spent.processor_s == pytest.approx(2.0, abs=0.1), "that of this process is counted already"
        assert row.spent.wall_s < 0.1


def test_a_stage_that_fails_is_counted_and_closed():
    stages = Stages()
    with pytest.raises(ZeroDivisionError), stages.stage("failing"):
        raise ZeroDivisionError
    with stages.stage("next"):
        pass
    assert [(row.depth, row.name) for row in stages.rows()] == [(0, "failing"), (0, "next")]
    assert stages.to_dict()[1] == {"stage": "next", "depth": 0, "wall_s": 0.0, "processor_s": 0.0}
