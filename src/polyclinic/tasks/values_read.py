"""What each value of a target was read as, with counts, so that nothing is taken for an answer unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from polyclinic.tasks.categories import answers_of, category
from polyclinic.tasks.code_patterns import matching
from polyclinic.tasks.definition import Kind
from polyclinic.tasks.target_events import TargetEvents
from polyclinic.tasks.task import Task

LONGEST = 40
"""Longer texts are no categories, may identify a patient, and are counted together."""
LONG = f"a text of more than {LONGEST} characters"


class ReadValue(NamedTuple):
    """A value in the label window, what it was read as, and the number of samples that have it."""

    value: str
    answer: str | None  # None: no answer
    samples: int
    is_number: bool = False


def values_read(target_events: TargetEvents) -> tuple[ReadValue, ...]:
    """Return the categories and their answers, or the values from which no number could be read; frequent ones first.

    Numbers that are answers are not listed, and events of which only presence or time is read have no value.
    """
    task = target_events.task
    if task.target.read in ("presence", "time"):
        return ()
    events = target_events.having((*task.target.codes, *task.target.class_codes, *task.target.observed_by))
    if task.target.read == "category":
        return _counted(events.with_columns(text_value=category(), numeric_value=None), task)
    return _counted(events.filter(_is_no_answer(target_events)), task)


def hints(task: Task, values: Sequence[ReadValue]) -> tuple[str, ...]:
    """Return how to make answers of the values that are none."""
    return tuple(_hints(task, [value for value in values if value.answer is None]))


def _hints(task: Task, unread: Sequence[ReadValue]) -> Iterator[str]:
    texts, numbers = any(not value.is_number for value in unread), any(value.is_number for value in unread)
    if task.target.read == "value":
        if texts:
            mapped = "map them to numbers with values: in the mapping"
            category = task.kind in ("binary", "multilabel")
            yield "read: value reads numbers only: " + (
                f"{mapped}, or use read: category and name the texts" if category else mapped
            )
        if numbers and task.kind != "regression":
            yield (
                "only 1 is read as yes and 0 as no: map other numbers with values: in the mapping, or give "
                "target.above or target.below"
            )
        return
    if texts:
        yield f'name them in {_NAMED_IN[task.kind]}; "*" stands for all other texts'


_NAMED_IN: Mapping[Kind, str] = {
    "binary": "target.positive or, if they mean no, in target.negative",
    "multiclass": "target.classes",
    "multilabel": "target.classes or, if they mean none of the classes, in target.negative",
}


def _is_no_answer(target_events: TargetEvents) -> pl.Expr:
    """Return whether an event of a target of numbers has none that is an answer."""
    number, task = pl.col("numeric_value"), target_events.task
    target = task.target
    finite = number.is_finite().fill_null(False)
    if task.kind in ("binary", "multilabel") and target.above is None and target.below is None:
        return ~(finite & number.is_in([0.0, 1.0]))
    indicator = pl.col("code").is_in(matching(target_events.record.codes, target.observed_by))
    return ~finite | (indicator & ~number.is_in([0.0, 1.0]))


def _counted(events: pl.DataFrame, task: Task) -> tuple[ReadValue, ...]:
    """Count the samples that have each value."""
    several = events["code"].n_unique() > 1 and task.target.read == "value"
    text = pl.when(pl.col("text_value").str.len_chars() > LONGEST).then(pl.lit(LONG)).otherwise(pl.col("text_value"))
    counted = (
        events.with_columns(text=text, code=pl.col("code").cast(pl.String) if several else pl.lit(""))
        .group_by("code", "text", "numeric_value")
        .agg(pl.col("sample").n_unique())
        .sort(["sample", "code", "text", "numeric_value"], descending=[True, False, False, False])
    )
    names = answers_of(counted["text"].drop_nulls().unique(), task.kind, task.target)
    return tuple(
        _read_value(code, text, number, samples, names.get(text or ""))
        for code, text, number, samples in counted.iter_rows()
    )


def _read_value(
    code: str, text: str | None, number: float | None, samples: int, answer: tuple[str, ...] | None
) -> ReadValue:
    value = text if text is not None else "no value" if number is None else f"{number:g}"
    return ReadValue(
        f"{code} = {value}" if code else value,
        " and ".join(answer) if answer else None,
        samples,
        text is None and number is not None,
    )
