"""Reasons not to act on an answer. To abstain is a result, not an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polyclinic.assess.assessment import Abstention, ConformalSet, Cost, Record
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.metric_names import term
from polyclinic.models.bundle.outliers import OUTLIER_QUANTILE


def abstentions_of(
    record: Record, cost: Cost | None, no_better_than_chance: bool, sets: Sequence[ConformalSet]
) -> tuple[Abstention, ...]:
    """Return every reason to abstain from an answer, the most serious first."""
    if not record.present:
        nothing = f"Nothing that the model reads ({', '.join(record.missing)}) was recorded by then."
        return (Abstention(reason="nothing_recorded", text=nothing),)
    return tuple(_reasons(record, cost, no_better_than_chance, sets))


def _reasons(
    record: Record, cost: Cost | None, no_better_than_chance: bool, sets: Sequence[ConformalSet]
) -> Iterator[Abstention]:
    typicality = record.typicality
    if typicality is not None and typicality.far:
        share = percent(OUTLIER_QUANTILE, 1)
        text = f"The record is unlike those of development: beyond {share} of {typicality.samples:,}."
        yield Abstention(reason="unlike_development", text=text)
    if cost is not None and no_better_than_chance:
        text = (
            f"Only {' + '.join(record.present)} recorded; with no more than that the model was not shown to be better "
            f"than chance ({term(cost.figure).label} {cost.given})."
        )
        yield Abstention(reason="too_little", text=text)
    if sets and all(set_.everything for set_ in sets):
        level = percent(sets[0].level)
        few = " (too few calibration subjects to exclude any)" if sets[0].low is None and _too_few(sets) else ""
        yield Abstention(reason="undecided", text=f"At {level} confidence no answer can be ruled out{few}.")
    elif sets and all(not set_.answers and set_.low is None and not set_.everything for set_ in sets):
        text = f"No answer fits as well as the truth fits {percent(sets[0].level)} of patients."
        yield Abstention(reason="nothing_fits", text=text)


def _too_few(sets: Sequence[ConformalSet]) -> bool:
    """Return whether there are fewer calibration subjects than the level of the sets needs."""
    return all((set_.subjects + 1) * (1 - set_.level) < 1 for set_ in sets)
