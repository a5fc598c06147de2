"""Properties of every featurizer of facts and measurements."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.features import NotFittedError, SeriesFeaturizer, SeriesOptions, StructuredFeaturizer
from tests.features.records import PREDICTION_HOUR, ROWS, SUBJECTS, TRAINING, events, known_of, row_of, samples_of
from tests.properties import examples

FACTORIES = {
    "structured": lambda: StructuredFeaturizer(least_samples=2),
    "series": lambda: SeriesFeaturizer(SeriesOptions(least_samples=2, longest=6)),
    "series by rank": lambda: SeriesFeaturizer(SeriesOptions(least_samples=2, scale="quantile", window_hours=30)),
}
TRAIN, ALL = samples_of([1, 2, 3]), samples_of(SUBJECTS)

LATER = st.lists(row_of(st.sampled_from(SUBJECTS), st.floats(PREDICTION_HOUR + 0.001, 1e4)), max_size=10)

every_featurizer = pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES)
quickly = settings(max_examples=examples(30), deadline=None)


def assert_same_bits(these, those):
    assert these.keys() == those.keys()
    for name in these:
        assert these[name].dtype == those[name].dtype
        assert these[name].tobytes() == those[name].tobytes(), name


def serialised(featurizer):
    return json.dumps(featurizer.state(), allow_nan=False, sort_keys=True)


@every_featurizer
@quickly
@given(
    rows=ROWS, later=st.lists(row_of(st.sampled_from(SUBJECTS), st.floats(PREDICTION_HOUR + 0.001, 1e4)), max_size=10)
)
def test_later_events_have_no_influence(make, rows, later):
    known, with_later = (known_of([*TRAINING, *more], ALL) for more in (rows, [*later, *rows]))
    plain, again = make().fit(known, ALL), make().fit(with_later, ALL)
    assert serialised(plain) == serialised(again)
    assert_same_bits(plain.transform(known, ALL), again.transform(with_later, ALL))


@every_featurizer
@quickly
@given(rows=ROWS, held_out=st.lists(row_of(st.sampled_from([4, 5])), max_size=20))
def test_held_out_subjects_do_not_affect_the_state(make, rows, held_out):
    training = [*TRAINING, *(row for row in rows if row[0] in (1, 2, 3))]
    states = {
        serialised(make().fit(known_of(training, TRAIN), TRAIN)),
        serialised(make().fit(known_of([*training, *held_out], TRAIN), TRAIN)),
        serialised(make().fit(known_of([*training, *held_out], ALL), TRAIN)),
    }
    assert len(states) == 1


@every_featurizer
@quickly
@given(rows=ROWS)
def test_state_round_trips_through_json(make, rows):
    known = known_of([*TRAINING, *rows], ALL)
    fitted = make().fit(known, TRAIN)
    again = type(fitted).from_state(json.loads(serialised(fitted)))
    assert serialised(again) == serialised(fitted)
    assert_same_bits(fitted.transform(known, ALL), again.transform(known, ALL))


@every_featurizer
@quickly
@given(rows=ROWS, data=st.data())
def test_order_of_events_has_no_influence(make, rows, data):
    rows = [*TRAINING, *rows]
    shuffled = data.draw(st.permutations(rows))
    first, second = known_of(rows, ALL), known_of(shuffled, ALL)
    unsorted = second.sample(fraction=1, shuffle=True, seed=1)
    fitted = make().fit(first, TRAIN)
    assert serialised(fitted) == serialised(make().fit(second, TRAIN)) == serialised(make().fit(unsorted, TRAIN))
    for known in (second, unsorted):
        assert_same_bits(fitted.transform(first, ALL), fitted.transform(known, ALL))


@every_featurizer
@quickly
@given(rows=ROWS)
def test_arrays_do_not_depend_on_other_samples(make, rows):
    known = known_of([*TRAINING, *rows], ALL)
    fitted = make().fit(known, TRAIN)
    batch = fitted.transform(known, ALL)
    for row, number in enumerate(ALL["sample"]):
        single = fitted.transform(known.filter(pl.col("sample") == number), ALL[row : row + 1])
        assert_same_bits({name: array[row : row + 1] for name, array in batch.items()}, single)


@every_featurizer
@quickly
@given(rows=ROWS)
def test_arrays_are_finite_and_in_sample_order(make, rows):
    known = known_of([*TRAINING, *rows], ALL)
    fitted = make().fit(known, TRAIN)
    forwards, backwards = fitted.transform(known, ALL), fitted.transform(known, ALL.reverse())
    assert_same_bits(forwards, {name: np.ascontiguousarray(array[::-1]) for name, array in backwards.items()})
    assert all(np.isfinite(array).all() and len(array) == len(SUBJECTS) for array in forwards.values())


@every_featurizer
def test_samples_without_events_are_not_present(make):
    known = known_of([*TRAINING, (4, 3, "NOTE//findings", "Clear."), (5, 3, "LAB//a//u", 1.0)], ALL)
    arrays = make().fit(known, TRAIN).transform(known, ALL)
    assert arrays["present"].dtype == bool
    assert arrays["present"].tolist() == [True, True, True, False, True]


@every_featurizer
def test_no_samples_and_no_events(make):
    fitted = make().fit(known_of(TRAINING, TRAIN), TRAIN)
    without_samples = fitted.transform(known_of([], TRAIN), TRAIN[:0])
    assert {len(array) for array in without_samples.values()} == {0}
    without_events = fitted.transform(known_of([], ALL), ALL)
    assert not without_events["present"].any()


@every_featurizer
def test_cohort_without_the_modality_can_be_fitted(make):
    known = known_of([(1, 1, "NOTE//findings", "Clear.")], ALL)
    arrays = make().fit(known, TRAIN).transform(known, ALL)
    assert not arrays["present"].any()


@every_featurizer
def test_codes_absent_in_training_are_ignored_and_counted(make):
    fitted = make().fit(known_of(TRAINING, TRAIN), TRAIN)
    new = [(1, 3, "NEW//number", 1.0), (1, 4, "NEW//number", 2.0), (2, 4, "NOTE//findings", "Clear.")]
    known = known_of([*TRAINING, *new], ALL)
    assert fitted.ignored(known) == {"NEW//number": 2}
    assert_same_bits(fitted.transform(known, ALL), fitted.transform(known_of(TRAINING, ALL), ALL))


@every_featurizer
def test_events_after_the_prediction_time_raise(make):
    record = events([*TRAINING, (1, PREDICTION_HOUR + 1, "LAB//a//u", 1.0)])
    uncut = record.join(ALL, on="subject_id")
    with pytest.raises(ValueError, match="known_at"):
        make().fit(known_of(TRAINING, TRAIN), TRAIN).transform(uncut, ALL)


@every_featurizer
def test_use_before_fit_raises(make):
    with pytest.raises(NotFittedError, match=r"call fit\(\)"):
        make().transform(known_of(TRAINING, TRAIN), TRAIN)
    with pytest.raises(NotFittedError, match=r"call fit\(\)"):
        make().state()
