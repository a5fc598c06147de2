"""The values of a target and what they were read as."""

import pytest

from polyclinic.tasks import Task, TaskError, hints, label, samples
from polyclinic.tasks.values_read import LONG, ReadValue

KNOWN = [(subject, 0, "LAB//a", 1.0) for subject in range(1, 7)]


def task(kind, **target):
    return Task(name="x", kind=kind, target=target, prediction={"anchor": "origin", "offset": "10h"})


def counted(cohort_of, definition, rows):
    values = label(cohort_of([*KNOWN, *rows]), definition).values
    assert sum(value.answer is None for value in values) == 0 or hints(definition, values)
    return {value.value: (value.answer, value.samples) for value in values}


def test_numbers_and_texts_that_are_no_answer_are_counted(cohort_of):
    rows = [(n, 12, "OUTCOME//x", value) for n, value in enumerate([1, 0, -1, -1, 2, "T"], start=1)]
    definition = task("binary", codes="OUTCOME//x")
    assert counted(cohort_of, definition, rows) == {"-1": (None, 2), "2": (None, 1), "T": (None, 1)}
    values = label(cohort_of([*KNOWN, *rows]), definition).values
    texts, numbers = hints(definition, values)
    assert "read: category" in texts
    assert "only 1 is read as yes and 0 as no" in numbers


def test_clean_numbers_are_not_listed(cohort_of):
    rows = [(1, 12, "OUTCOME//x", 1), (2, 12, "OUTCOME//x", 0), (3, 12, "OUTCOME//x", 7.5)]
    for kind, target, found in (
        ("binary", {}, {"7.5": (None, 1)}),
        ("binary", {"above": 3}, {}),
        ("regression", {}, {}),
        ("time_to_event", {"read": "value"}, {}),
    ):
        assert counted(cohort_of, task(kind, codes="OUTCOME//x", **target), rows) == found


def test_an_indicator_of_time_to_event_is_one_or_zero(cohort_of):
    rows = [(1, 12, "OUTCOME//days", 7.0), (1, 12, "OUTCOME//died", 9.0), (2, 12, "OUTCOME//days", "soon")]
    definition = task("time_to_event", codes="OUTCOME//days", read="value", observed_by="OUTCOME//died")
    found = {"OUTCOME//died = 9": (None, 1), "OUTCOME//days = soon": (None, 1)}
    assert counted(cohort_of, definition, rows) == found


def test_categories_are_listed_with_their_answers(cohort_of):
    rows = [(n, 12, "OUTCOME//x", value) for n, value in enumerate(["dead", "Dead", "alive", "unknown", 3.0], start=1)]
    rows += [(6, 12, "OUTCOME//x", "a text that may identify one patient only, so that it is not shown")]
    assert counted(cohort_of, task("binary", codes="OUTCOME//x", read="category", positive="dead"), rows) == {
        "Dead": ("yes", 1),
        "dead": ("yes", 1),
        "alive": ("no", 1),
        "unknown": (None, 1),
        "3": (None, 1),
        LONG: (None, 1),
    }
    classes = {"codes": "OUTCOME//x", "read": "category", "classes": {"gone": "dead", "here": "alive"}}
    assert counted(cohort_of, task("multiclass", **classes), rows)["unknown"] == (None, 1)
    found = counted(cohort_of, task("multilabel", **classes, negative="unknown"), rows)
    assert found["unknown"] == ("none of the classes", 1)


def test_numbers_are_categories_as_they_are_written(cohort_of):
    """As of an outcome scale: 1 to 3 are classes, and -1, 9 and 2.1 are not named."""
    rows = [(n, 12, "OUTCOME//x", value) for n, value in enumerate([1.0, 2.0, 3.0, -1.0, 9.0, 2.1], start=1)]
    classes = {"codes": "OUTCOME//x", "read": "category", "classes": {"bad": ["1", "2"], "good": "3"}}
    labels = label(cohort_of([*KNOWN, *rows]), task("multiclass", **classes))
    assert labels.frame["categorical_value"].to_list() == ["bad", "bad", "good"]
    assert {value.value for value in labels.values if value.answer is None} == {"-1", "9", "2.1"}


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_hints_name_the_key_to_extend(kind):
    target = {"positive": "a"} if kind == "binary" else {"classes": {"a": "a", "b": "b"}}
    definition = task(kind, codes="OUTCOME//x", read="category", **target)
    (hint,) = hints(definition, [ReadValue("zzz", None, 1)])
    assert ("target.positive" if kind == "binary" else "target.classes") in hint
    assert ("target.negative" in hint) == (kind != "multiclass")
    assert hints(definition, [ReadValue("a", "a", 1)]) == ()


def test_a_task_without_a_no_is_refused_where_it_is_learnt(cohort_of):
    cohort = cohort_of([*KNOWN, (1, 12, "OUTCOME//x", "ill"), (2, 12, "OUTCOME//x", "well")])
    definition = task("binary", codes="OUTCOME//x", read="category", positive="ill")
    assert label(cohort, definition).frame.height == 1
    with pytest.raises(TaskError, match=r"every answer of x is yes, and the other texts \(well\) are none: name"):
        samples(cohort, [definition])
    named = task("binary", codes="OUTCOME//x", read="category", positive="ill", negative="well")
    assert samples(cohort, [named]).frame.height == 2
