"""How measured samples differ from those of development, as standardised differences (Austin 2009).

Of numbers: the difference of the means over the pooled standard deviation; of shares: over the pooled one of the
proportions. About .1 and more is called a difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from polyclinic.evaluation.estimate import decimal, percent
from polyclinic.evaluation.record import Record
from polyclinic.evaluation.report.baseline import Baseline, Summary
from polyclinic.evaluation.report.description import DevelopmentFacts, MeasuredFacts
from polyclinic.evaluation.report.document import Table

NOTABLE = 0.1
"""Standardised difference from which populations are reported as different."""
PREVALENCE = "prevalence"
RECORDED = "recorded: "


@dataclass(frozen=True)
class Difference(Record):
    """One characteristic; `standardised` is None where it is undefined: it does not vary, or is other on each side."""

    name: str
    development: float
    measured: float
    standardised: float | None
    share: bool  # rather than a mean


def development_shift(development: DevelopmentFacts, measured: MeasuredFacts) -> tuple[Difference, ...]:
    """Return the differences in outcome, characteristics and recording; those with hidden counts are left out."""
    found = [*_prevalence(development, measured), *_characteristics(development.baseline, measured.baseline)]
    for code, before in development.recorded.items():
        after = measured.recorded.get(code, 0.0)
        if before is not None and after is not None:
            found.append(of_shares(f"{RECORDED}{code}", before, after))
    return tuple(found)


def _prevalence(development: DevelopmentFacts, measured: MeasuredFacts) -> Iterator[Difference]:
    before, after = development.flow.parts[0], measured.flow.parts[-1]
    if before.cases is not None and after.cases is not None:
        yield of_shares(PREVALENCE, before.cases / before.labelled, after.cases / after.labelled)


def _characteristics(development: Baseline, measured: Baseline) -> Iterator[Difference]:
    after = {variable.name: variable for variable in measured.variables}
    for variable in development.variables:
        other = after.get(variable.name)
        if other is None:
            continue
        rows = dict(zip(other.levels or ("",), other.rows, strict=True))
        for level, row in zip(variable.levels or ("",), variable.rows, strict=True):
            if level in rows:
                yield from _of_cells(f"{variable.name} {level}".strip(), row[0], rows[level][0])


def _of_cells(name: str, before: Summary, after: Summary) -> Iterator[Difference]:
    if before.share is not None and after.share is not None:
        yield of_shares(name, before.share, after.share)
    if before.mean is not None and after.mean is not None:
        pooled = math.hypot(before.deviation or 0.0, after.deviation or 0.0) / math.sqrt(2)
        yield Difference(name, before.mean, after.mean, _over(after.mean - before.mean, pooled), share=False)


def of_shares(name: str, before: float, after: float) -> Difference:
    """Return the difference of two shares."""
    deviations = (math.sqrt(share * (1 - share)) for share in (before, after))  # no share is too small to vary
    pooled = math.hypot(*deviations) / math.sqrt(2)
    return Difference(name, before, after, _over(after - before, pooled), share=True)


def _over(difference: float, pooled: float) -> float | None:
    if pooled > 0:
        return difference / pooled
    return None if difference else 0.0


def shift_table(differences: tuple[Difference, ...], most: int) -> Table:
    """List the largest differences, those of outcome, age and sex first."""
    first = [own for own in differences if own.name == PREVALENCE or own.name.partition(" ")[0] in ("age", "sex")]
    others = [own for own in differences if own not in first]
    others.sort(key=lambda own: (-math.inf if own.standardised is None else -abs(own.standardised), own.name))
    rows = [
        (own.name, _value(own, own.development), _value(own, own.measured), _standardised(own))
        for own in (*first, *others[:most])
    ]
    return Table(("", "Development", "Measured", "Standardised difference"), tuple(rows))


def _value(own: Difference, value: float) -> str:
    return percent(value, 1) if own.share else f"mean {value:.4g}"


def _standardised(own: Difference) -> str:
    return "not defined" if own.standardised is None else decimal(own.standardised, 2, sign=True)
