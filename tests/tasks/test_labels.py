import operator

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from meds.schema import LabelSchema

from polyclinic.tasks import Labels, Task, TaskError, label
from polyclinic.tasks.definition import Target
from polyclinic.tasks.label_readers import _yes_or_no
from polyclinic.tasks.labels import NOT_FOLLOWED, TOO_EARLY, TOO_LATE, UNRECORDED, UNUSABLE, label_events
from tests.tasks.conftest import events

AT_TEN = {"anchor": "origin", "offset": "10h"}


def task(kind, target, **parts):
    return Task(**{"name": "x", "kind": kind, "target": target, "prediction": AT_TEN, **parts})


def labels_of(cohort_of, definition, *, rows, subjects=range(1, 7)):
    """Return the label of each subject, and the counts of subjects without; all have an input before hour 10."""
    known = [(subject, 0, "LAB//a", 1.0) for subject in subjects]
    labels = label(cohort_of([*known, *rows]), definition)
    assert labels.frame.null_count().sum_horizontal().item() == 0
    assert labels.frame.height + sum(labels.unknown.values()) == len(subjects)
    values = labels.frame.drop("subject_id", "prediction_time")
    actual = values.rows() if values.width > 1 else values.to_series().to_list()
    return dict(zip(labels.frame["subject_id"].to_list(), actual, strict=True)), labels.unknown


def test_unknown_is_not_negative(cohort_of):
    rows = [
        (1, 11, "OUTCOME//died", 1),
        (2, 11, "OUTCOME//died", 0),
        (3, 9, "OUTCOME//died", 1),
        (4, 99, "OUTCOME//died", 1),
        (5, 11, "OUTCOME//died", -1),
    ]
    actual, unknown = labels_of(cohort_of, task("binary", {"codes": "OUTCOME//died"}, horizon="1d"), rows=rows)
    assert actual == {1: True, 2: False}
    assert unknown == {TOO_EARLY: 1, TOO_LATE: 1, UNUSABLE: 1, UNRECORDED: 1}


@pytest.mark.parametrize(
    ("hour", "labelled"), [(10, False), (10.0001, True), (34, True), (34.0001, False), (None, True)]
)
def test_label_window_is_open_on_the_left_and_closed_on_the_right(cohort_of, hour, labelled):
    rows = [(1, hour, "OUTCOME//died", 1), (2, 20, "OUTCOME//died", 0)]
    actual, _ = labels_of(
        cohort_of, task("binary", {"codes": "OUTCOME//died"}, horizon="1d"), rows=rows, subjects=[1, 2]
    )
    assert actual == ({1: True, 2: False} if labelled else {2: False})


@pytest.mark.parametrize(("pick", "expected"), [("any", True), ("all", False), ("first", False), ("last", True)])
def test_pick_among_several_values(cohort_of, pick, expected):
    rows = [(1, 12, "OUTCOME//x", 0), (1, 13, "OUTCOME//x", 7), (1, 14, "OUTCOME//x", 1)]
    actual, _ = labels_of(cohort_of, task("binary", {"codes": "OUTCOME//x", "pick": pick}), rows=rows, subjects=[1])
    assert actual == {1: expected}


def test_binary_bounds(cohort_of):
    rows = [(1, 12, "LAB//k", 7.1), (2, 12, "LAB//k", 2.0), (3, 12, "LAB//k", 4.0), (4, 2, "LAB//k", 9.0)]
    definition = task("binary", {"codes": "LAB//k", "above": 6, "below": 3}, inputs={"history_of_target": True})
    actual, unknown = labels_of(cohort_of, definition, rows=rows)
    assert actual == {1: True, 2: True, 3: False}
    assert unknown == {TOO_EARLY: 1, UNRECORDED: 2}


@given(
    number=st.integers(0, 9), sign=st.sampled_from(["<", "<=", ">", ">="]), above=st.none() | st.integers(0, 9),
    below=st.none() | st.integers(0, 9),
)  # fmt: skip
def test_a_limit_is_an_answer_only_if_every_value_beyond_it_has_it(number, sign, above, below):
    assume(above is not None or below is not None)
    target = Target(codes="LAB//k", above=above, below=below)
    event = pl.DataFrame({"numeric_value": [float(number)], "text_value": [sign]})
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[sign]
    values = [half / 2 for half in range(-4, 24) if compare(half / 2, number)]
    answers = {(above is not None and value > above) or (below is not None and value < below) for value in values}
    answer = event.select(_yes_or_no(target)).item()
    assert answer is None or answers == {answer}
    if below is None or above is None:
        assert (answer is None) == (len(answers) > 1)
    plain = pl.DataFrame({"numeric_value": [float(number)], "text_value": pl.Series([None], dtype=pl.String)})
    expected = (above is not None and number > above) or (below is not None and number < below)
    assert plain.select(_yes_or_no(target)).item() == expected


def test_a_limit_is_no_label_of_a_regression_and_no_yes_or_no(cohort_of):
    rows = [(1, 12, "LAB//k", (7.0, "<")), (2, 12, "LAB//k", 7.0), (3, 12, "LAB//k", (1.0, ">="))]
    history = {"history_of_target": True}
    assert labels_of(cohort_of, task("regression", {"codes": "LAB//k"}, inputs=history), rows=rows)[0] == {2: 7.0}


def test_binary_categories(cohort_of):
    rows = [
        (1, 12, "OUTCOME//finding", "COVID-19, ARDS"),
        (2, 12, "OUTCOME//finding", "No Finding"),
        (2, 12, "OUTCOME//finding", "covid-19"),
        (3, 12, "OUTCOME//finding", "Pneumonia"),
        (4, 2, "OUTCOME//finding", "Pneumonia"),
        (5, None, "OUTCOME//finding", "Legionella"),
    ]
    target = {"codes": "OUTCOME//finding", "read": "category", "positive": "*COVID-19*"}
    actual, unknown = labels_of(cohort_of, task("binary", {**target, "when": "any", "negative": "*"}), rows=rows)
    assert actual == {1: True, 2: True, 3: False, 4: False, 5: False}
    actual, unknown = labels_of(cohort_of, task("binary", {**target, "when": "any"}), rows=rows)
    assert actual == {1: True, 2: True}
    assert unknown == {UNUSABLE: 3, UNRECORDED: 1}
    actual, unknown = labels_of(cohort_of, task("binary", {**target, "negative": "pneumonia"}), rows=rows)
    assert actual == {1: True, 2: True, 3: False}
    assert unknown == {TOO_EARLY: 1, UNUSABLE: 1, UNRECORDED: 1}


def test_absence_is_a_label_only_after_follow_up(cohort_of):
    rows = [
        (1, 12, "DIAGNOSIS//mi", None),
        (2, 40, "LAB//a", 1.0),  # followed up beyond the horizon
        (3, 20, "LAB//a", 1.0),  # lost to follow-up before the horizon
        (4, 20, "PROCEDURE//discharge", None),  # discharged
        (5, 40, "DIAGNOSIS//mi", None),  # after the horizon
    ]
    target = {"codes": "DIAGNOSIS//mi", "read": "presence", "closed_by": "PROCEDURE//discharge"}
    definition = task("binary", target, horizon="1d", inputs={"exclude": "DIAGNOSIS//mi"})
    actual, unknown = labels_of(cohort_of, definition, rows=rows)
    assert actual == {1: True, 2: False, 4: False, 5: False}
    assert unknown == {NOT_FOLLOWED: 2}
    complete = task("binary", {**target, "complete": True}, inputs={"exclude": "DIAGNOSIS//mi"})
    actual, _ = labels_of(cohort_of, complete, rows=rows)
    assert actual == {1: True, 2: False, 3: False, 4: False, 5: True, 6: False}


def test_multiclass_by_category_and_by_code(cohort_of):
    rows = [
        (1, 12, "OUTCOME//cause", "Cardiac arrest"),
        (2, 12, "OUTCOME//cause", "sepsis"),
        (3, 12, "OUTCOME//cause", "fall"),
        (4, 13, "OUTCOME//I21", None),
        (4, 12, "OUTCOME//A41", None),
    ]
    target = {"codes": "OUTCOME//cause", "read": "category", "classes": {"heart": "cardiac*", "infection": "sepsis"}}
    actual, unknown = labels_of(cohort_of, task("multiclass", target), rows=rows)
    assert actual == {1: "heart", 2: "infection"}
    assert unknown == {UNUSABLE: 1, UNRECORDED: 3}
    by_code = {"read": "presence", "complete": True, "classes": {"heart": "OUTCOME//I*", "infection": "OUTCOME//A*"}}
    actual, _ = labels_of(cohort_of, task("multiclass", by_code), rows=rows)
    assert actual == {4: "infection"}  # the first


def test_multilabel(cohort_of):
    rows = [
        (1, 12, "OUTCOME//finding", "effusion"),
        (1, 12, "OUTCOME//finding", "nodule"),
        (2, 12, "OUTCOME//finding", "none"),
        (3, 12, "OUTCOME//effusion", 1),
        (3, 12, "OUTCOME//nodule", 0),
        (4, 12, "OUTCOME//effusion", 1),
        (5, 12, "OUTCOME//effusion", 0),
        (5, 12, "OUTCOME//nodule", 0),
    ]
    texts = {"codes": "OUTCOME//finding", "read": "category", "classes": {"nodule": "nodule", "effusion": "effusion"}}
    actual, unknown = labels_of(cohort_of, task("multilabel", {**texts, "negative": "none"}), rows=rows)
    assert actual == {1: "nodule|effusion", 2: ""}
    assert unknown == {UNRECORDED: 4}
    actual, unknown = labels_of(cohort_of, task("multilabel", texts), rows=rows)
    assert actual == {1: "nodule|effusion"}
    assert unknown == {UNUSABLE: 1, UNRECORDED: 4}
    values = {"read": "value", "classes": {"effusion": "OUTCOME//effusion", "nodule": "OUTCOME//nodule"}}
    actual, unknown = labels_of(cohort_of, task("multilabel", values), rows=rows)
    assert actual == {3: "effusion", 5: ""}
    assert unknown == {UNUSABLE: 1, UNRECORDED: 3}  # the nodule of 4 is unknown
    actual, unknown = labels_of(cohort_of, task("multilabel", {**values, "read": "presence"}, horizon="2h"), rows=rows)
    assert actual == {1: "", 2: "", 3: "effusion|nodule", 4: "effusion", 5: "effusion|nodule"}
    assert unknown == {NOT_FOLLOWED: 1}


@pytest.mark.parametrize(
    ("pick", "expected"), [("first", 5), ("last", 2), ("minimum", 1), ("maximum", 5), ("mean", 8 / 3)]
)
def test_regression(cohort_of, pick, expected):
    rows = [
        (1, 12, "OUTCOME//x", 5.0),
        (1, 13, "OUTCOME//x", 1.0),
        (1, 14, "OUTCOME//x", 2.0),
        (2, 9, "OUTCOME//x", 3.0),
    ]
    actual, unknown = labels_of(cohort_of, task("regression", {"codes": "OUTCOME//x", "pick": pick}), rows=rows)
    assert actual == {1: pytest.approx(expected)}
    assert unknown == {TOO_EARLY: 1, UNRECORDED: 4}


def test_time_to_event_from_event_times(cohort_of):
    rows = [
        (1, 34, "OUTCOME//death", None),
        (2, 22, "LAB//a", 1.0),  # last recorded alive
        (3, 5, "LAB//a", 1.0),  # nothing recorded after the prediction
        (4, 10 + 24 * 40, "OUTCOME//death", None),
        (5, 10 + 24 * 90, "LAB//a", 1.0),
    ]
    target = {"codes": "OUTCOME//death"}
    actual, unknown = labels_of(cohort_of, task("time_to_event", target), rows=rows)
    assert actual == {1: (True, 1.0), 2: (False, 0.5), 4: (True, 40.0), 5: (False, 90.0)}
    assert unknown == {NOT_FOLLOWED: 2}
    actual, unknown = labels_of(cohort_of, task("time_to_event", {**target, "unit": "h"}, horizon="30d"), rows=rows)
    assert actual == {1: (True, 24.0), 2: (False, 12.0), 4: (False, 720.0), 5: (False, 720.0)}
    assert unknown == {NOT_FOLLOWED: 2}
    censored = {**target, "censored_by": "OUTCOME//discharge"}
    actual, unknown = labels_of(
        cohort_of, task("time_to_event", censored), rows=[*rows, (2, 46, "OUTCOME//discharge", None)]
    )
    assert actual == {1: (True, 1.0), 2: (False, 1.5), 4: (True, 40.0)}


def test_time_to_event_from_recorded_durations(cohort_of):
    rows = [
        (1, 12, "OUTCOME//survival", 3.0),
        (1, 12, "OUTCOME//stay", 3.0),
        (2, 12, "OUTCOME//stay", 8.0),
        (3, 12, "OUTCOME//survival", 0.0),  # before the prediction
        (4, 12, "OUTCOME//survival", -1.0),
    ]
    target = {"codes": "OUTCOME//survival", "read": "value", "censored_by": "OUTCOME//stay"}
    actual, unknown = labels_of(cohort_of, task("time_to_event", target), rows=rows)
    assert actual == {1: (True, 3.0), 2: (False, 8.0)}
    assert unknown == {UNUSABLE: 2, UNRECORDED: 2}
    since = {**target, "since": "anchor", "rounded_down": True}
    actual, _ = labels_of(cohort_of, task("time_to_event", since), rows=rows)
    assert actual == {
        1: (True, pytest.approx(3.5 - 10 / 24)),
        2: (False, pytest.approx(8.5 - 10 / 24)),
        3: (True, pytest.approx(0.5 - 10 / 24)),
    }
    actual, _ = labels_of(cohort_of, task("time_to_event", target, horizon="5d"), rows=rows)
    assert actual == {1: (True, 3.0), 2: (False, 5.0)}


def test_time_to_event_with_an_indicator(cohort_of):
    rows = [
        (1, 12, "OUTCOME//days", 3.0),
        (1, 12, "OUTCOME//died", 1),
        (2, 12, "OUTCOME//days", 9.0),
        (2, 12, "OUTCOME//died", 0),
        (3, 12, "OUTCOME//days", 9.0),
    ]
    target = {"codes": "OUTCOME//days", "read": "value", "observed_by": "OUTCOME//died"}
    actual, unknown = labels_of(cohort_of, task("time_to_event", target), rows=rows)
    assert actual == {1: (True, 3.0), 2: (False, 9.0)}
    assert unknown == {UNUSABLE: 1, UNRECORDED: 3}


DEFINITIONS = [
    task("binary", {"codes": "OUTCOME//died"}),
    task("multiclass", {"codes": "OUTCOME//cause", "read": "category", "classes": {"a": "a", "b": "b"}}),
    task("multilabel", {"codes": "OUTCOME//cause", "read": "category", "classes": {"a": "a", "b": "b"}}),
    task("regression", {"codes": "OUTCOME//died"}),
    task("time_to_event", {"codes": "OUTCOME//died"}),
]
ROWS = [(1, 0, "LAB//a", 1.0), (1, 12, "OUTCOME//died", 1), (1, 12, "OUTCOME//cause", "b"), (2, 0, "LAB//a", 1.0)]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
def test_labels_are_written_in_meds_schema(cohort_of, definition):
    cohort = cohort_of(ROWS)
    labels = label(cohort, definition)
    folder = labels.write(cohort)
    assert folder == cohort.path / "labels" / "x"
    table = pq.read_table(folder / "labels.parquet")
    LabelSchema.validate(table)
    assert table.num_rows == 1
    again = Labels.read(cohort, definition)
    assert again.frame.equals(labels.frame)


def test_labels_of_another_definition_raise(cohort_of):
    cohort = cohort_of(ROWS)
    with pytest.raises(TaskError, match="has no labels"):
        Labels.read(cohort, DEFINITIONS[0])
    label(cohort, DEFINITIONS[0]).write(cohort)
    with pytest.raises(TaskError, match="another definition"):
        Labels.read(cohort, DEFINITIONS[3])


def test_no_eligible_subject_raises_with_reasons(cohort_of):
    cohort = cohort_of([(1, None, "DEMOGRAPHIC//age", 3.0), (1, None, "OUTCOME//died", 1)])
    with pytest.raises(TaskError, match=r"no anchor event: 1.*origin"):
        label(cohort, task("binary", {"codes": "OUTCOME//died"}, prediction={"anchor": "last_event"}))
    labelled = label(cohort, task("binary", {"codes": "OUTCOME//died"}))
    assert labelled.frame["boolean_value"].to_list() == [True]


OUTCOMES = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.none() | st.integers(5, 40),
        st.sampled_from(["OUTCOME//died", "OUTCOME//cause"]),
        st.sampled_from([0, 1, 2.5, "a", "b", "zzz", None]),
    ),
    max_size=12,
)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
@settings(max_examples=25, deadline=None)
@given(OUTCOMES)
def test_every_sample_is_labelled_or_counted(definition, rows):
    known = [(subject, 0, "LAB//a", 1.0) for subject in range(1, 5)]
    try:
        labels = label_events(events([*known, *rows]).lazy(), definition)
    except TaskError:
        assume(False)
    assert labels.frame["subject_id"].is_unique().all()
    assert labels.frame.height + sum(labels.unknown.values()) == 4
