from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.cohort import NOMINAL_ORIGIN, POLARS_EVENTS, UTC, Cohort, CohortWriter
from polyclinic.tasks import Task, TaskError, label, prediction_times
from polyclinic.tasks.prediction_times import NO_ANCHOR, NO_INPUT, Record, find_prediction_times
from tests.properties import examples


def task(**parts):
    return Task(**{"name": "x", "kind": "binary", "target": {"codes": "OUTCOME//died"}, **parts})


def hours(cohort, task):
    """Return (subject, hour) of every prediction time."""
    times = prediction_times(cohort, task)
    assert times.columns == ["subject_id", "prediction_time"]
    return [(subject, (time - NOMINAL_ORIGIN) / timedelta(hours=1)) for subject, time in times.iter_rows()]


ROWS = [
    (1, None, "DEMOGRAPHIC//age//years", 70.0),
    (1, 2, "LAB//a", 1.0),
    (1, 5, "PROCEDURE//scan", None),
    (1, 9, "PROCEDURE//scan", None),
    (1, 30, "OUTCOME//died", 1),
    (2, 4, "LAB//a", 1.0),
    (2, 8, "LAB//b", 1.0),
]


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ({"anchor": "first_event", "offset": "1h"}, [(1, 3), (2, 5)]),
        ({"anchor": "last_event"}, [(1, 9), (2, 8)]),  # outcomes are not inputs
        ({"anchor": "origin", "offset": "6h"}, [(1, 6), (2, 6)]),
        ({"anchor": "origin", "offset": "1h"}, [(1, 1)]),  # 1 has a static fact, 2 has nothing
        ({"anchor": "2000-01-01 07:00"}, [(1, 7), (2, 7)]),
        ({"anchor": "PROCEDURE//*"}, [(1, 5)]),
        ({"anchor": "PROCEDURE//*", "occurrence": "last"}, [(1, 9)]),
        ({"anchor": "PROCEDURE//*", "occurrence": "every", "offset": "-1h"}, [(1, 4), (1, 8)]),
    ],
)
def test_anchors(cohort_of, prediction, expected):
    assert hours(cohort_of(ROWS), task(prediction=prediction)) == expected


@pytest.mark.parametrize("anchor", ["first_event", "PROCEDURE//*"])
def test_prediction_times_of_some_subjects(cohort_of, anchor):
    one = task(prediction={"anchor": anchor, "occurrence": "every"} if "//" in anchor else {"anchor": anchor})
    everyone = prediction_times(cohort_of(ROWS), one)
    for chosen in ([], [1], [2], [2, 1], [3]):
        assert prediction_times(cohort_of(ROWS), one, chosen).equals(
            everyone.filter(pl.col("subject_id").is_in(chosen))
        )


def test_an_anchor_with_an_offset_is_a_time_of_utc_only(cohort_of, tmp_path):
    zoned = task(prediction={"anchor": "2000-01-01T09:00+02:00"})
    assert "2000-01-01 09:00 +0200" in zoned.describe()
    assert type(zoned).model_validate(zoned.model_dump(mode="json")) == zoned
    local = cohort_of(ROWS)
    for ask in (prediction_times, label):
        with pytest.raises(TaskError, match="the anchor has an offset, and the cohort's times are not in UTC"):
            ask(local, zoned)
    with CohortWriter(tmp_path / "utc", source="test") as writer:
        writer.clock = UTC
        writer.add(local.events().drop("blob").collect())
    assert hours(Cohort.open(tmp_path / "utc"), zoned) == [(1, 7), (2, 7)]


@pytest.mark.parametrize("exclusion", [{"fewer_events_than": 2}, {"shorter_than": "1h"}])
def test_date_of_birth_is_not_an_event_for_exclusions(cohort_of, exclusion):
    born = (3, -40 * 8766, "MEDS_BIRTH", None)
    expected = prediction_times(
        cohort_of([*ROWS, born]), task(prediction={"anchor": "origin", "offset": "20h"}, exclusions=[exclusion])
    )
    assert 3 not in expected["subject_id"]
    assert 2 in expected["subject_id"]


@pytest.mark.parametrize("anchor", ["first_event", "last_event"])
def test_date_of_birth_is_not_an_anchor(cohort_of, anchor):
    born = [(subject, -40 * 8766, "MEDS_BIRTH", None) for subject in (1, 2, 3)]
    expected = hours(cohort_of([*ROWS, *born]), task(prediction={"anchor": anchor}))
    assert expected == hours(cohort_of(ROWS), task(prediction={"anchor": anchor}))
    long_enough = task(prediction={"anchor": "last_event"}, exclusions=[{"shorter_than": "5h"}])
    assert hours(cohort_of([*ROWS, *born]), long_enough) == hours(cohort_of(ROWS), long_enough) == [(1, 9)]


@pytest.mark.parametrize(
    ("exclusion", "expected"),
    [
        ({"had": "PROCEDURE//*"}, [2]),
        ({"had": "LAB//b"}, [1, 2]),  # recorded after the prediction
        ({"had": "DEMOGRAPHIC//age*"}, [2]),  # static facts are always known
        ({"lacks": "PROCEDURE//*"}, [1]),
        ({"fewer_events_than": 3}, [1]),
        ({"shorter_than": "1h"}, [1]),
        ({"shorter_than": "4h"}, []),
    ],
)
def test_exclusions_use_the_record_up_to_the_prediction_time(cohort_of, exclusion, expected):
    at_six = task(prediction={"anchor": "origin", "offset": "6h"}, exclusions=[exclusion])
    cohort = cohort_of(ROWS)
    assert prediction_times(cohort, at_six)["subject_id"].to_list() == expected
    excluded = find_prediction_times(Record.of(cohort.events(), at_six), at_six).excluded
    assert sum(excluded.values()) == 2 - len(expected)
    assert set(excluded) <= {at_six.exclusions[0].in_words()}


def test_exclusions_are_counted_by_reason(cohort_of):
    rows = [*ROWS, (3, None, "DEMOGRAPHIC//sex", "female"), (4, 7, "LAB//a", 1.0), (5, 1, "OUTCOME//died", 1)]
    record = cohort_of(rows).events()
    first = task(prediction={"anchor": "first_event"})
    assert find_prediction_times(Record.of(record, first), first).excluded == {NO_ANCHOR: 2}
    early = task(prediction={"anchor": "origin", "offset": "6h"})
    assert find_prediction_times(Record.of(record, early), early).excluded == {NO_INPUT: 2}


EVENT = st.tuples(
    st.integers(0, 3), st.none() | st.integers(0, 20), st.sampled_from(["LAB//a", "PROCEDURE//b", "OUTCOME//died"])
)
TASKS = [
    task(prediction={"anchor": "first_event", "offset": "6h"}),
    task(prediction={"anchor": "origin", "offset": "9h"}, exclusions=[{"had": "PROCEDURE//b"}, {"shorter_than": "2h"}]),
    task(
        prediction={"anchor": "PROCEDURE//b", "occurrence": "every", "offset": "1h"}, exclusions=[{"lacks": "LAB//a"}]
    ),
]


def frame(rows):
    times = [None if hour is None else NOMINAL_ORIGIN + timedelta(hours=hour) for _, hour, _ in rows]
    return pl.LazyFrame(
        {
            "subject_id": [subject for subject, *_ in rows],
            "time": times,
            "code": [code for *_, code in rows],
            "numeric_value": [1.0] * len(rows),
            "text_value": [None] * len(rows),
            "blob": [None] * len(rows),
        },
        schema=POLARS_EVENTS,
    )


@pytest.mark.parametrize("definition", TASKS)
@settings(max_examples=examples(40), deadline=None)
@given(st.lists(EVENT, max_size=25), st.data())
def test_outcomes_other_subjects_and_later_events_have_no_influence(definition, rows, data):
    expected = find_prediction_times(Record.of(frame(rows), definition), definition).frame
    chosen = data.draw(st.integers(0, 3))
    latest = expected.filter(pl.col("subject_id") == chosen)["prediction_time"].max()
    relevant = [
        (subject, hour, code)
        for subject, hour, code in rows
        if subject == chosen
        and code != "OUTCOME//died"
        and (latest is None or hour is None or NOMINAL_ORIGIN + timedelta(hours=hour) <= latest)
    ]
    again = find_prediction_times(Record.of(frame(relevant), definition), definition).frame
    assert again.rows() == expected.filter(pl.col("subject_id") == chosen).rows()
