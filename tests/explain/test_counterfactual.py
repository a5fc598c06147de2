"""A counterfactual changes the call when applied to the record, in values that exist; a smaller change does not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import kind
from polyclinic.explain.counterfactual import (
    MOST_VALUES,
    PlausibleRange,
    changeable_codes,
    counterfactuals,
    plausible_ranges,
)
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
        assert one.changed in ranges[one.code].values
        assert one.changed != one.recorded
        again = changed(near, hospital, sample, one.code, one.changed)
        assert answer_of(near, again) == pytest.approx(one.changed_answer, abs=1e-5)
        assert one.size == pytest.approx(abs(one.changed - one.recorded) / ranges[one.code].spread)


def test_a_smaller_change_does_not_change_the_call(bundle, hospital, sample_of, ranges):
    sample = sample_of(bundle, 2)
    near = at_threshold(bundle, answer_of(bundle, sample) + 0.004)
    found = counterfactuals(near, sample, TASK, ranges)
    for one in found[:4]:
        values = ranges[one.code].values
        nearer = [v for v in values if min(one.recorded, one.changed) < v < max(one.recorded, one.changed)]
        if nearer:
            less = max(nearer) if one.changed > one.recorded else min(nearer)
            assert answer_of(near, changed(near, hospital, sample, one.code, less)) < one.threshold


@pytest.mark.parametrize("number", range(4))
def test_every_value_was_measured_in_development(bundle, hospital, sample_of, ranges, number):
    learnt = {s for split in bundle.origin["development"] for s in hospital.subjects_in(split)}
    events = hospital.events().filter(pl.col("subject_id").is_in(list(learnt))).collect()
    measured = {
        code: set(of_code["numeric_value"].drop_nulls().to_list())
        for (code,), of_code in events.with_columns(pl.col("code").cast(pl.String)).group_by("code")
    }
    sample = sample_of(bundle, number)
    answer = answer_of(bundle, sample)
    for threshold in (answer + 0.01, answer - 0.01):
        for one in counterfactuals(at_threshold(bundle, threshold), sample, TASK, ranges):
            assert one.changed in measured[one.code]


def numbers_of(kind):
    """Return a strategy of measurements of a code: a score, a category, multiples of a step, or any numbers."""
    return {
        "score": st.integers(3, 15).map(float),
        "category": st.sampled_from([0.0, 1.0, 4.0]),
        "step": st.integers(0, 4000).map(lambda one: one * 0.25),
        "any": st.floats(-1e6, 1e6, width=32),
    }[kind]


@pytest.mark.parametrize("kind", ["score", "category", "step", "any"])
@given(data=st.data())
def test_a_range_holds_values_that_were_measured(kind, data):
    measured = np.array(data.draw(st.lists(numbers_of(kind), min_size=1, max_size=600)))
    found = PlausibleRange.of(measured)
    if found is None:
        low, high = np.quantile(measured, [0.01, 0.99], method="nearest")
        assert high - low < 1e-9 * max(1, abs(high))
        return
    assert set(found.values) <= set(measured.tolist())
    assert list(found.values) == sorted(set(found.values))
    assert 2 <= len(found.values) <= MOST_VALUES
    assert found.measurements == len(measured)
    assert (measured < found.low).mean() <= 0.02
    assert (measured > found.high).mean() <= 0.02
    if len(set(measured.tolist())) <= MOST_VALUES:
        within = measured[(measured >= found.low) & (measured <= found.high)]
        assert set(found.values) == set(within.tolist())


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
    assert low <= ranges[code].values[0] < ranges[code].values[-1] <= high
    assert ranges[code].spread < high - low


def test_refusals(bundle, every_kind, hospital, sample_of, ranges):
    with pytest.raises(ExplanationError, match="no operating threshold"):
        counterfactuals(every_kind.bundle(), sample_of(every_kind.bundle(), 0), "demo_stay", ranges)
    with pytest.raises(ExplanationError, match="nothing is known"):
        counterfactuals(bundle, empty(sample_of(bundle, 0)), TASK, ranges)
    with pytest.raises(ExplanationError, match="not the cohort"):
        plausible_ranges(replace(bundle, origin=bundle.origin | {"cohort": "other"}), hospital)
