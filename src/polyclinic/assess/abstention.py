"""Reasons not to act on an answer. To abstain is a result, not an error.

The model abstains where it is ignorant, not where a probability is near one half: with the operating threshold known, a
call is right or wrong by the threshold, and a middling probability may be well known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polyclinic.assess.assessment import Abstention, ConformalSet, Cost, OutputEstimate, Record
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.metric_names import term
from polyclinic.models.bundle.outliers import OUTLIER_QUANTILE

ODDS_FACTOR = 2.0
"""A call is uncertain if the interval reaches beyond the threshold's odds by this factor, to either side."""


def uncertain_call(low: float | None, high: float | None, threshold: float) -> bool:
    """Return whether an interval is wide and lies across a threshold: from half of its odds to double.

    >>> uncertain_call(0.05, 0.3, 0.14), uncertain_call(0.12, 0.16, 0.14), uncertain_call(0.13, 0.6, 0.14)
    (True, False, False)
    """
    if low is None or high is None or not 0 < threshold < 1:
        return False
    odds = threshold / (1 - threshold)
    return low <= (odds / ODDS_FACTOR) * (1 - low) and high >= odds * ODDS_FACTOR * (1 - high)


def abstentions_of(
    record: Record,
    cost: Cost | None,
    no_better_than_chance: bool,
    outputs: Sequence[OutputEstimate],
    sets: Sequence[ConformalSet],
) -> tuple[Abstention, ...]:
    """Return every reason to abstain from an answer, the most serious first."""
    if not record.present:
        nothing = f"Nothing that the model reads ({', '.join(record.missing)}) was recorded by then."
        return (Abstention(reason="nothing_recorded", text=nothing),)
    return (*_of_record(record, cost, no_better_than_chance), *_of_answer(outputs, sets))


def _of_record(record: Record, cost: Cost | None, no_better_than_chance: bool) -> Iterator[Abstention]:
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


def _of_answer(outputs: Sequence[OutputEstimate], sets: Sequence[ConformalSet]) -> Iterator[Abstention]:
    """Yield the reasons of the answer: uncertain calls, or, where nothing is called, a set of every answer."""
    calls = [output for output in outputs if output.operating is not None]
    if calls and all(output.operating.uncertain for output in calls if output.operating):
        yield Abstention(reason="uncertain", text=_across(calls))
    elif sets and not calls and all(one.everything for one in sets):
        few = all(set(one.never_excluded) >= set(one.answers) for one in sets)
        why = " (too few calibration subjects to exclude any)" if few else ""
        text = f"At {percent(sets[0].level)} confidence no answer can be excluded{why}."
        yield Abstention(reason="undecided", text=text)


def _across(calls: Sequence[OutputEstimate]) -> str:
    (first, *others) = calls
    assert first.operating is not None
    if others:
        interval = f"The intervals of all {len(calls)} probabilities reach from"
    else:
        interval = f"The interval, {percent(first.low or 0, 1)} to {percent(first.high or 0, 1)}, reaches from"
    threshold = "the threshold" if others else f"the threshold of {percent(first.operating.threshold, 1)}"
    return (
        f"{interval} less than half to more than double the odds of {threshold}: fitted to other patients, the model "
        "could make the other call."
    )
