"""Progress in logs, with a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cli.plain_progress import EVERY, FIRST, PlainProgress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def lines_of(steps, total):
    """Return the lines of a task whose steps take so many seconds each."""
    clock, lines = Clock(), []
    with PlainProgress(lines.append, clock).task("networks", total) as advance:
        for seconds in steps:
            clock.now += seconds
            advance(1)
    return lines


def test_elapsed_and_remaining_time():
    assert lines_of([30] * 10, 10) == [
        "networks …",
        "networks: 1 of 10 after 30 s, about 4 min 30 s left …",
        "networks: 3 of 10 after 1 min 30 s, about 3 min 30 s left …",
        "networks: 5 of 10 after 2 min 30 s, about 2 min 30 s left …",
        "networks: 7 of 10 after 3 min 30 s, about 1 min 30 s left …",
        "networks: 9 of 10 after 4 min 30 s, about 30 s left …",
        "networks: done after 5 min 0 s …",
    ]


def test_an_unknown_total_has_no_remaining_time():
    assert lines_of([70], None) == ["networks …", "networks: 1 after 1 min 10 s …", "networks: done after 1 min 10 s …"]


@given(st.lists(st.floats(0, 200), max_size=30))
def test_lines_are_few_and_quick_tasks_have_one(steps):
    lines = lines_of(steps, len(steps))
    assert len(lines) <= 3 + sum(steps) / EVERY
    if sum(steps) < FIRST:
        assert lines == ["networks …"]
    assert all(line.endswith(" …") for line in lines)


def test_a_task_that_fails_is_not_done():
    clock, lines = Clock(), []

    def fail():
        with PlainProgress(lines.append, clock).task("networks", 3):
            clock.now += 100
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert lines == ["networks …"]
