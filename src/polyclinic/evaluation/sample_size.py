"""Whether development had enough samples: the criterion of expected shrinkage of Riley et al.

Riley et al. 2019, Minimum sample size for developing a multivariable prediction model, part I (numbers; Stat Med
38:1262) and part II (yes or no, and time to event; Stat Med 38:1276), as in their program pmsampsize. With P candidate
predictor parameters and n samples, the expected uniform shrinkage is

- of outcomes: the S with n = P / ((S − 1) · ln(1 − R²/S)), where R² is Cox and Snell's;
- of numbers: S = 1 + (P − 2) / (n · ln(1 − A)), where A = (R² (n − P − 1) + P) / (n − 1) is the apparent R².

R² is that of out-of-fold answers, so that it is not optimistic. A shrinkage of at least .9 is advised. Of several
classes or labels, each is compared with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import brentq

from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.record import Record
from polyclinic.evaluation.small_counts import FEWEST

ADVISED = 0.9
"""Expected shrinkage that is advised."""
OF_OUTCOMES = (
    "Riley et al. 2019, part II: n = P / ((S − 1) · ln(1 − R²/S)), with Cox and Snell's R² of the out-of-fold answers"
)
METHODS = {
    "binary": OF_OUTCOMES,
    "multiclass": f"{OF_OUTCOMES}, of each class against the rest",
    "multilabel": f"{OF_OUTCOMES}, of each label",
    "time_to_event": f"{OF_OUTCOMES}, by the likelihood of the events in bins of time",
    "regression": "Riley et al. 2019, part I: S = 1 + (P − 2) / (n · ln(1 − A)), with A = (R² (n − P − 1) + P) / "
    "(n − 1) and R² of the out-of-fold answers",
}
RARER, EVENT = "of the rarer outcome", "with the event"
NO_BETTER = "not estimable, since out-of-fold answers are no better than a constant"


@dataclass(frozen=True)
class SampleSize(Record):
    """Numbers of development, and what follows from them; what cannot be computed is None, with the `reason`.

    Of several classes or labels, they are those of the `outcome` that needs most samples.
    """

    samples: int
    events: int | None  # events, or samples of the rarer outcome; None for numbers, and if `hidden`
    predictors: int  # candidate predictor parameters: columns of all inputs
    events_per_predictor: float | None
    r2: float | None = None  # out of fold; Cox and Snell's of outcomes
    shrinkage: float | None = None  # expected
    needed: int | None = None  # samples for a shrinkage of `ADVISED`
    method: str = OF_OUTCOMES
    reason: str = ""
    outcome: str = ""  # class or label
    hidden: bool = False  # whether fewer than 5 subjects have the rarer outcome
    counted: str = RARER  # what `events` are

    def __str__(self) -> str:
        counted = f"{self.samples:,} samples"
        of = f" of {self.outcome}" if self.outcome else ""
        if self.hidden:
            counted += f", fewer than {FEWEST} subjects {self.counted}{of}"
        elif self.events is not None:
            counted += f", {self.events:,} {self.counted}{of}"
        counted += f"; {self.predictors:,} candidate predictors (columns of all inputs)"
        if self.events_per_predictor is not None:
            counted += f"; {self.events_per_predictor:.2g} events per candidate predictor"
        if self.shrinkage is None or self.r2 is None:
            return f"{counted}. Expected shrinkage{of}: {self.reason}."
        verdict = "as advised" if self.shrinkage >= ADVISED else f"less than the advised {decimal(ADVISED, 1)}"
        least = " the least of all," if self.outcome else ""
        return (
            f"{counted}. Expected shrinkage{of} {decimal(self.shrinkage)},{least} {verdict}, at an R² of "
            f"{decimal(self.r2)}; {decimal(ADVISED, 1)} needs {self.needed:,} samples. The criterion is that of a "
            "regression without penalty on all columns; for the models combined here it is a guide only."
        )


class Labelled(NamedTuple):
    """Labelled development samples of a task, with their out-of-fold answers.

    Attributes:
        truth: the target's columns: 0 or 1, of each class or label, the number, or duration and event.
        answers: of each output; of time to event the risks by the `ends` of bins.
        subjects: of the samples.
        names: of the classes or labels.
        ends: of the bins of time, in the unit of the durations.
    """

    truth: Float[np.ndarray, "sample column"]
    answers: Float[np.ndarray, "sample output"]
    subjects: np.ndarray
    names: Sequence[str] = ()
    ends: Sequence[float] = ()


def sample_size(kind: str, labelled: Labelled, predictors: int) -> SampleSize:
    """Compute the numbers of a task; of several classes or labels, those of the one with the least shrinkage."""
    truth, answers = labelled.truth, labelled.answers
    if kind == "regression":
        r2 = explained(truth[:, 0], answers[:, 0])
        found = _numbers(kind, labelled, predictors, None, r2)
    elif kind == "time_to_event":
        r2 = cox_snell_of_bins(truth, answers, labelled.ends)
        found = _numbers(kind, labelled, predictors, truth[:, 1] > 0.5, r2)
    else:
        names = labelled.names if kind != "binary" else ("",)
        each = [
            _numbers(kind, labelled, predictors, truth[:, n] > 0.5, cox_snell(truth[:, n] > 0.5, answers[:, n]), name)
            for n, name in enumerate(names)
        ]
        found = min(each, key=lambda own: (own.shrinkage is not None, own.shrinkage or 0, own.events or 0))
    return found


def _numbers(
    kind: str,
    labelled: Labelled,
    predictors: int,
    case: Bool[np.ndarray, " sample"] | None,
    r2: float,
    outcome: str = "",
) -> SampleSize:
    n, events, hidden = len(labelled.truth), None, False
    if case is not None:
        events = int(case.sum()) if kind == "time_to_event" else int(min(case.sum(), (~case).sum()))
        hidden = min(len(np.unique(labelled.subjects[those])) for those in (case, ~case)) < FEWEST
    shown = None if hidden else events
    ratio = shown / predictors if shown is not None and predictors else None
    counted = EVENT if kind == "time_to_event" else RARER
    start = SampleSize(n, shown, predictors, ratio, r2, None, None, METHODS[kind], "", outcome, hidden, counted)
    if r2 <= 0 or not predictors:
        return replace(start, reason=NO_BETTER)
    own, needed = (shrinkage_of_number, samples_for_number) if kind == "regression" else (shrinkage, samples_for)
    return replace(start, shrinkage=own(n, predictors, r2), needed=needed(predictors, r2))


def cox_snell(truth: Bool[np.ndarray, " sample"], p: Float[np.ndarray, " sample"]) -> float:
    """Return Cox and Snell's R² of probabilities."""
    rate = truth.mean()
    chance = np.where(truth, p, 1 - p).clip(1e-12)
    null = np.where(truth, rate, 1 - rate).clip(1e-12)
    return _from_likelihoods(np.log(chance), np.log(null))


def cox_snell_of_bins(
    truth: Float[np.ndarray, "sample 2"], risks: Float[np.ndarray, "sample bin"], ends: Sequence[float]
) -> float:
    """Return Cox and Snell's R² of risks by the ends of bins, against the hazard of each bin that all samples share.

    A censored sample counts in the bins that it survived as a whole; events after the last bin are censored at its end.
    """
    duration, event = truth[:, 0], truth[:, 1] > 0.5
    reached = np.searchsorted(ends, duration, side="left")  # bin of the duration
    died = event[:, None] & (reached[:, None] == np.arange(len(ends)))
    survived = np.asarray(ends) <= duration[:, None]
    survived &= ~died
    free = 1 - np.hstack([np.zeros((len(risks), 1)), risks])
    hazards = 1 - free[:, 1:] / free[:, :-1].clip(1e-12)
    at_risk = (died | survived).sum(axis=0)
    common = died.sum(axis=0) / np.maximum(at_risk, 1)
    own, null = (
        np.where(died, np.log(hazard.clip(1e-12)), np.where(survived, np.log((1 - hazard).clip(1e-12)), 0)).sum(axis=1)
        for hazard in (hazards, np.broadcast_to(common, hazards.shape))
    )
    return _from_likelihoods(own, null)


def _from_likelihoods(own: Float[np.ndarray, " sample"], null: Float[np.ndarray, " sample"]) -> float:
    return float(1 - np.exp(2 * (null.mean() - own.mean())))


def explained(truth: Float[np.ndarray, " sample"], predicted: Float[np.ndarray, " sample"]) -> float:
    """Return the share of the variance that is explained; 0 of a constant truth."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - predicted) ** 2).sum()) / spread if spread > 0 else 0.0


def samples_for(predictors: int, r2: float, shrinkage: float = ADVISED) -> int:
    """Return the samples needed for an expected shrinkage, of outcomes.

    The examples of pmsampsize: of a yes or no (its criterion 1), and of the recurrence of thromboembolism.

    >>> samples_for(24, 0.288), samples_for(30, 0.051)
    (623, 5143)
    """
    return int(np.ceil(predictors / ((shrinkage - 1) * np.log(1 - min(r2 / shrinkage, 1 - 1e-9)))))


def shrinkage(n: int, predictors: int, r2: float) -> float:
    """Return the expected uniform shrinkage of outcomes, from R² to 1: the inverse of `samples_for`."""

    def excess(s: float) -> float:
        return -n * (1 - s) * float(np.log(1 - r2 / s)) - predictors

    low, high = r2 * (1 + 1e-9), 1 - 1e-12
    if excess(low) <= 0:  # too few samples for any
        return float(r2)
    return float(brentq(excess, low, high))


def shrinkage_of_number(n: int, predictors: int, r2: float) -> float:
    """Return the expected uniform shrinkage of a regression of numbers; 0 with too few samples for any."""
    if n <= predictors + 2:
        return 0.0
    apparent = (r2 * (n - predictors - 1) + predictors) / (n - 1)
    if predictors <= 2:
        return 1.0
    return max(0.0, 1 + (predictors - 2) / (n * float(np.log(1 - min(apparent, 1 - 1e-12)))))


def samples_for_number(predictors: int, r2: float, shrinkage: float = ADVISED) -> int:
    """Return the samples needed for an expected shrinkage of a regression of numbers.

    The example of pmsampsize, of a lung function:

    >>> samples_for_number(25, 0.2)
    918
    """
    low = high = predictors + 3
    while shrinkage_of_number(high, predictors, r2) < shrinkage:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        enough = shrinkage_of_number(middle, predictors, r2) >= shrinkage
        low, high = (low, middle) if enough else (middle + 1, high)
    return low
