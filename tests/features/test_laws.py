"""Laws that every featurizer of facts and measurements keeps."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.features import NotFittedError, SeriesFeaturizer, SeriesOptions, StructuredFeaturizer
from tests.features.records import ASKED, ROWS, SUBJECTS, TRAINING, events, known_of, row_of, samples_of

MAKE = {
    "structured": lambda: StructuredFeaturizer(least_samples=2),
    "series": lambda: SeriesFeaturizer(SeriesOptions(least_samples=2, longest=6)),
    "series by rank": lambda: SeriesFeaturizer(SeriesOptions(least_samples=2, scale="quantile", window_hours=30)),
}
TRAIN, EVERYONE = samples_of([1, 2, 3]), samples_of(SUBJECTS)

every_featurizer = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
quickly = settings(max_examples=30, deadline=None)


def assert_same_bits(these, those):
    assert these.keys() == those.keys()
    for name in these:
        assert these[name].dtype == those[name].dtype
        assert these[name].tobytes() == those[name].tobytes(), name


def written(featurizer):
    return json.dumps(featurizer.state(), allow_nan=False, sort_keys=True)


@every_featurizer
@quickly
@given(rows=ROWS, later=st.lists(row_of(st.sampled_from(SUBJECTS), st.floats(ASKED + 0.001, 1e4)), max_size=10))
def test_no_later_event_changes_a_bit(make, rows, later):
    known, with_later = (known_of([*TRAINING, *more], EVERYONE) for more in (rows, [*later, *rows]))
    plain, again = make().fit(known, EVERYONE), make().fit(with_later, EVERYONE)
    assert written(plain) == written(again)
    assert_same_bits(plain.transform(known, EVERYONE), again.transform(with_later, EVERYONE))


@every_featurizer
@quickly
@given(rows=ROWS, held_out=st.lists(row_of(st.sampled_from([4, 5])), max_size=20))
def test_held_out_subjects_change_no_state(make, rows, held_out):
    training = [*TRAINING, *(row for row in rows if row[0] in (1, 2, 3))]
    states = {
        written(make().fit(known_of(training, TRAIN), TRAIN)),
        written(make().fit(known_of([*training, *held_out], TRAIN), TRAIN)),
        written(make().fit(known_of([*training, *held_out], EVERYONE), TRAIN)),
    }
    assert len(states) == 1


@every_featurizer
@quickly
@given(rows=ROWS)
def test_the_state_survives_json(make, rows):
    known = known_of([*TRAINING, *rows], EVERYONE)
    fitted = make().fit(known, TRAIN)
    again = type(fitted).from_state(json.loads(written(fitted)))
    assert written(again) == written(fitted)
    assert_same_bits(fitted.transform(known, EVERYONE), again.transform(known, EVERYONE))


@every_featurizer
@quickly
@given(rows=ROWS, data=st.data())
def test_the_order_of_events_does_not_matter(make, rows, data):
    rows = [*TRAINING, *rows]
    shuffled = data.draw(st.permutations(rows))
    here, there = known_of(rows, EVERYONE), known_of(shuffled, EVERYONE)
    unsorted = there.sample(fraction=1, shuffle=True, seed=1)
    fitted = make().fit(here, TRAIN)
    assert written(fitted) == written(make().fit(there, TRAIN)) == written(make().fit(unsorted, TRAIN))
    for known in (there, unsorted):
        assert_same_bits(fitted.transform(here, EVERYONE), fitted.transform(known, EVERYONE))


@every_featurizer
@quickly
@given(rows=ROWS)
def test_a_sample_alone_gives_the_same_bits_as_among_others(make, rows):
    known = known_of([*TRAINING, *rows], EVERYONE)
    fitted = make().fit(known, TRAIN)
    together = fitted.transform(known, EVERYONE)
    for row, number in enumerate(EVERYONE["sample"]):
        alone = fitted.transform(known.filter(pl.col("sample") == number), EVERYONE[row : row + 1])
        assert_same_bits({name: array[row : row + 1] for name, array in together.items()}, alone)


@every_featurizer
@quickly
@given(rows=ROWS)
def test_arrays_are_finite_and_follow_the_order_of_the_samples(make, rows):
    known = known_of([*TRAINING, *rows], EVERYONE)
    fitted = make().fit(known, TRAIN)
    forwards, backwards = fitted.transform(known, EVERYONE), fitted.transform(known, EVERYONE.reverse())
    assert_same_bits(forwards, {name: np.ascontiguousarray(array[::-1]) for name, array in backwards.items()})
    assert all(np.isfinite(array).all() and len(array) == len(SUBJECTS) for array in forwards.values())


@every_featurizer
def test_absence_is_not_presence(make):
    known = known_of([*TRAINING, (4, 3, "NOTE//findings", "Clear."), (5, 3, "LAB//a//u", 1.0)], EVERYONE)
    arrays = make().fit(known, TRAIN).transform(known, EVERYONE)
    assert arrays["present"].dtype == bool
    assert arrays["present"].tolist() == [True, True, True, False, True]


@every_featurizer
def test_nobody_at_all(make):
    fitted = make().fit(known_of(TRAINING, TRAIN), TRAIN)
    nobody = fitted.transform(known_of([], TRAIN), TRAIN[:0])
    assert {len(array) for array in nobody.values()} == {0}
    silent = fitted.transform(known_of([], EVERYONE), EVERYONE)
    assert not silent["present"].any()


@every_featurizer
def test_a_cohort_without_the_modality_can_still_be_fitted(make):
    known = known_of([(1, 1, "NOTE//findings", "Clear.")], EVERYONE)
    arrays = make().fit(known, TRAIN).transform(known, EVERYONE)
    assert not arrays["present"].any()


@every_featurizer
def test_codes_not_seen_in_training_are_ignored_and_counted(make):
    fitted = make().fit(known_of(TRAINING, TRAIN), TRAIN)
    new = [(1, 3, "NEW//number", 1.0), (1, 4, "NEW//number", 2.0), (2, 4, "NOTE//findings", "Clear.")]
    known = known_of([*TRAINING, *new], EVERYONE)
    assert fitted.ignored(known) == {"NEW//number": 2}
    assert_same_bits(fitted.transform(known, EVERYONE), fitted.transform(known_of(TRAINING, EVERYONE), EVERYONE))


@every_featurizer
def test_an_uncut_record_is_refused(make):
    record = events([*TRAINING, (1, ASKED + 1, "LAB//a//u", 1.0)])
    uncut = record.join(EVERYONE, on="subject_id")
    with pytest.raises(ValueError, match="known_at"):
        make().fit(known_of(TRAINING, TRAIN), TRAIN).transform(uncut, EVERYONE)


@every_featurizer
def test_use_before_fit_says_so(make):
    with pytest.raises(NotFittedError, match=r"call fit\(\)"):
        make().transform(known_of(TRAINING, TRAIN), TRAIN)
    with pytest.raises(NotFittedError, match=r"call fit\(\)"):
        make().state()
