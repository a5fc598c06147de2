"""Reasons not to act on an answer. To abstain is a result, not an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polyclinic.assess.assessment import Abstention, ConformalSet, Cost, Record
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.metric_names import term
from polyclinic.models.bundle.outliers import OUTLIER_QUANTILE


def abstentions_of(
    record: Record, cost: Cost | None, no_better_than_chance: bool, sets: Sequence[ConformalSet], called: bool
) -> tuple[Abstention, ...]:
    """Return every reason to abstain from an answer, the most serious first.

    `called` tells whether the outputs are called positive or negative at a threshold: a set that holds both answers is
    then no reason, since it follows from the probability alone.
    """
    if not record.present:
        nothing = f"Nothing that the model reads ({', '.join(record.missing)}) was recorded by then."
        return (Abstention(reason="nothing_recorded", text=nothing),)
    return tuple(_reasons(record, cost, no_better_than_chance, sets, called))


def _reasons(
    record: Record, cost: Cost | None, no_better_than_chance: bool, sets: Sequence[ConformalSet], called: bool
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
    if sets and not called and all(one.everything for one in sets):
        few = all(set(one.never_excluded) >= set(one.answers) for one in sets)
        why = " (too few calibration subjects to exclude any)" if few else ""
        text = f"At {percent(sets[0].level)} confidence no answer can be excluded{why}."
        yield Abstention(reason="undecided", text=text)
