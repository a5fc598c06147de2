"""What of an evaluation's counts is written: none of fewer than 5 subjects, and none from which one would follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from polyclinic.evaluation.estimate import Estimate, percent
from polyclinic.evaluation.results import Evaluation, Row
from polyclinic.evaluation.small_counts import (
    FEW,
    FEWEST,
    PROTECTS,
    Hidden,
    hidden_cells,
    hidden_outcome,
    hidden_text,
    without_reason,
    without_small,
)

TELLS_RATE = ("scaled_brier",)
"""Figures from which, with others, the rate of the outcome follows."""
WILSON = "Wilson"
"""Begins the methods by which the interval follows from the number of samples."""
ALONE = ("everyone", "label")
"""Tables whose rows do not add up to the samples."""
CLASS = "class"


@dataclass(frozen=True)
class ShownRow:
    """A row, and why its numbers of samples and of those with the outcome are not shown."""

    row: Row
    hides_n: Hidden = ""
    hides_cases: Hidden = ""

    @property
    def n(self) -> int | None:
        """Number of samples, if it is shown."""
        return None if self.hides_n else self.row.n

    @property
    def cases(self) -> int | None:
        """Number of samples with the outcome, if there is one and it is shown."""
        return None if self.hides_cases else self.row.cases

    @property
    def is_whole(self) -> bool:
        """Whether all counts are shown."""
        return not (self.hides_n or self.hides_cases)

    @property
    def texts(self) -> tuple[int | str, int | str | None]:
        """The counts as cells; the second is None without an outcome."""
        n = hidden_text(self.hides_n) if self.hides_n else self.row.n
        return n, hidden_text(self.hides_cases) if self.hides_cases else self.row.cases

    def figure(self, name: str) -> Estimate | str | None:
        """Return a figure, or why it is not shown; the interval of a proportion tells of how many it is."""
        figure = self.row.figures.get(name)
        if figure is None or (self.is_whole and figure.n >= FEWEST):
            return figure
        if figure.n < FEWEST:
            return f"{FEW} samples"
        of_hidden = self.hides_cases and figure.n != self.row.n
        of_all = self.hides_n and figure.method.startswith(WILSON)
        return PROTECTS if of_hidden or of_all else without_reason(figure)

    @property
    def figures(self) -> dict[str, Estimate]:
        """The figures that are shown."""
        shown = {name: self.figure(name) for name in self.row.figures}
        return {name: figure for name, figure in shown.items() if isinstance(figure, Estimate)}

    @property
    def caution(self) -> str:
        """Why the row is too small, without a count that is not shown."""
        text = without_small(self.row.caution)
        hidden = [word for word, hides in (("subjects", self.hides_n), ("with", self.hides_cases)) if hides]
        return re.sub(rf"\bonly [\d,]+ (?={'|'.join(hidden)})", "too few ", text) if hidden else text


def shown_rows(rows: Sequence[Row]) -> list[ShownRow]:
    """Return what is shown of each row; the rows of a table, but for labels, add up to all samples."""
    return [shown for table, members in groupby(rows, key=lambda row: row.table) for shown in _of(table, [*members])]


def _of(table: str, rows: list[Row]) -> Iterator[ShownRow]:
    if table in ALONE and len(rows) > 1:
        for row in rows:
            yield from _of(table, [row])
        return
    counted = all(row.cases is not None for row in rows)
    people = np.array([_people(row) if counted else (row.subjects,) for row in rows])
    sums, known = ((0, 1, 2),) if counted else (), (0,) if table in (*ALONE, CLASS) else ()
    hidden = hidden_cells(people, sums, table not in ALONE, known, unwritten=(2,) if counted else ())
    for row, own, hides in zip(rows, people, hidden, strict=True):
        reasons = [_reason(int(count), bool(hide)) for count, hide in zip(own, hides, strict=True)]
        yield ShownRow(row, reasons[0], reasons[1] if counted else "")


def _people(row: Row) -> tuple[int, int, int]:
    """Return the subjects of a row, those with the outcome, and those without; samples are an upper limit."""
    cases, n = row.cases or 0, row.n
    with_it, without = row.with_outcome, row.without
    return (
        row.subjects,
        cases if with_it is None else min(cases, with_it),
        n - cases if without is None else min(n - cases, without),
    )


def _reason(count: int, hidden: bool) -> Hidden:
    if count < FEWEST:
        return "small"
    return "protects" if hidden else ""


def hides_outcome(evaluation: Evaluation) -> Hidden:
    """Return why the number of samples with the outcome is not shown; an empty text if it is, or there is none."""
    cases, n = evaluation.cases, evaluation.n
    if cases is None or not n:
        return ""
    with_it, without = evaluation.with_outcome, evaluation.without
    return hidden_outcome(cases, cases if with_it is None else with_it, n - cases if without is None else without)


def outcome_text(evaluation: Evaluation) -> str:
    """Return the number of samples with the outcome and their share in words; empty without an outcome or a sample."""
    if evaluation.cases is None or not evaluation.n:
        return ""
    match hides_outcome(evaluation):
        case "small":
            return f"fewer than {FEWEST} with the outcome"
        case "protects":
            return f"fewer than {FEWEST} without the outcome"
        case _:
            return f"{evaluation.cases:,} with the outcome ({percent(evaluation.cases / evaluation.n, 1)})"


def shown_figures(evaluation: Evaluation) -> dict[str, Estimate]:
    """Return the figures; where the number with the outcome is not shown, those that do not tell it."""
    if not hides_outcome(evaluation):
        return evaluation.figures
    return {
        name: without_reason(figure)
        for name, figure in evaluation.figures.items()
        if figure.n == evaluation.n and name not in TELLS_RATE
    }


def hidden_classes(evaluation: Evaluation) -> frozenset[str]:
    """Return the classes or labels whose numbers are not shown."""
    return frozenset(shown.row.level for shown in shown_rows(evaluation.classes) if not shown.is_whole)
