"""A counterfactual changes the call when applied to the record, and a smaller change does not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from polyclinic.cohort import kind
from polyclinic.explain.counterfactual import HALVINGS, TRIES, changeable_codes, counterfactuals, plausible_ranges
from polyclinic.explain.sample import ExplanationError, Sample
from tests.explain.conftest import empty, without

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def ranges(bundle, hospital):
    return plausible_ranges(bundle, hospital)


def at_threshold(bundle, threshold):
    """Return the bundle with another operating threshold."""
    task = replace(bundle.ensemble.tasks[TASK], thresholds=(threshold,))
    return replace(bundle, ensemble=replace(bundle.ensemble, tasks={TASK: task}))


def answer_of(bundle, sample):
    return float(bundle.ensemble.answer(sample.arrays)[TASK].answers[0, 0])


def changed(bundle, hospital, sample, code, value):
    """Return the sample of a record with another latest value of a code."""
    events = hospital.subject(sample.subject_id).with_row_index("row")
    of_code = events.filter(
        pl.col("code").cast(pl.String) == code,
        pl.col("time") <= sample.prediction_time,
        pl.col("numeric_value").is_finite(),
    )
    row = of_code.sort("time", "numeric_value", maintain_order=True)["row"][-1]
    other = events.with_columns(
        numeric_value=pl.when(pl.col("row") == row).then(pl.lit(value, pl.Float32)).otherwise(pl.col("numeric_value"))
    )
    return Sample.of(bundle, other.drop("row"), sample.subject_id, sample.prediction_time, hospital.blob)


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("number", [0, 2])
def test_a_counterfactual_record_changes_the_call(bundle, hospital, sample_of, ranges, number, above):
    sample = sample_of(bundle, number)
    answer = answer_of(bundle, sample)
    near = at_threshold(bundle, answer + (0.004 if above else -0.004))
    found = counterfactuals(near, sample, TASK, ranges)
    assert found
    assert [one.size for one in found] == sorted(one.size for one in found)
    assert len({one.code for one in found}) == len(found)
    for one in found[:4]:
        assert one.answer == pytest.approx(answer)
        assert (one.answer >= one.threshold) == (not above)
        assert (one.changed_answer >= one.threshold) == above
        assert ranges[one.code].low <= one.changed <= ranges[one.code].high or one.size < 1e-6
        again = changed(near, hospital, sample, one.code, one.changed)
        assert answer_of(near, again) == pytest.approx(one.changed_answer, abs=1e-5)
        assert one.size == pytest.approx(abs(one.changed - one.recorded) / ranges[one.code].spread)


def test_a_smaller_change_does_not_change_the_call(bundle, hospital, sample_of, ranges):
    sample = sample_of(bundle, 2)
    near = at_threshold(bundle, answer_of(bundle, sample) + 0.004)
    found = counterfactuals(near, sample, TASK, ranges)
    step = max(np.diff([0, *TRIES])) / 2**HALVINGS
    for one in found[:4]:
        end = ranges[one.code].high if one.changed > one.recorded else ranges[one.code].low
        less = one.changed - 1.5 * step * (end - one.recorded)
        assert answer_of(near, changed(near, hospital, sample, one.code, less)) < one.threshold


def test_an_unreachable_threshold_has_no_counterfactual(bundle, sample_of, ranges):
    sample = sample_of(bundle, 0)
    assert counterfactuals(at_threshold(bundle, 1.1), sample, TASK, ranges) == ()
    assert counterfactuals(at_threshold(bundle, -0.1), sample, TASK, ranges) == ()
    assert counterfactuals(at_threshold(bundle, 0.5), without(sample, "structured", "series"), TASK, ranges) == ()


def test_only_requested_codes_are_changed(bundle, sample_of, ranges):
    sample = sample_of(bundle, 2)
    near = at_threshold(bundle, answer_of(bundle, sample) + 0.004)
    every = counterfactuals(near, sample, TASK, ranges)
    only = counterfactuals(near, sample, TASK, ranges, codes=[every[-1].code])
    assert [one.code for one in only] == [every[-1].code]
    # Asked together with others, the same answer may be rounded otherwise in its last bits.
    assert replace(only[0], changed_answer=every[-1].changed_answer) == every[-1]
    assert only[0].changed_answer == pytest.approx(every[-1].changed_answer)


def test_ranges_are_of_changeable_training_measurements(bundle, hospital, ranges):
    learnt = {s for split in bundle.origin["development"] for s in hospital.subjects_in(split)}
    assert set(ranges) <= set(changeable_codes(bundle.features))
    assert not any(kind(code) in ("DEMOGRAPHIC", "DICOM", "OUTCOME", "NOTE") for code in ranges)
    code = "LAB//lactate//mmol/L"
    assert code in ranges
    events = hospital.events().filter(pl.col("code") == code, pl.col("subject_id").is_in(list(learnt))).collect()
    assert 0 < ranges[code].measurements <= events.height
    low, high = events["numeric_value"].min(), events["numeric_value"].max()
    assert low <= ranges[code].low < ranges[code].high <= high
    assert ranges[code].spread < high - low


def test_refusals(bundle, every_kind, hospital, sample_of, ranges):
    with pytest.raises(ExplanationError, match="no operating threshold"):
        counterfactuals(every_kind.bundle(), sample_of(every_kind.bundle(), 0), "demo_stay", ranges)
    with pytest.raises(ExplanationError, match="nothing is known"):
        counterfactuals(bundle, empty(sample_of(bundle, 0)), TASK, ranges)
    with pytest.raises(ExplanationError, match="not the cohort"):
        plausible_ranges(replace(bundle, origin=bundle.origin | {"cohort": "other"}), hospital)
