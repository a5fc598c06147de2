"""Several members' answers as one (Wolpert 1992; non-negative weights after Breiman 1996, Stacked regressions).

On out-of-fold answers, a logistic regression of what happened on the members' scores (see `links`), with weights that
cannot be negative and are drawn to the plain mean, from which a few hundred samples have no reason to stray far.
A member that cannot answer a sample abstains, and the weights of the others grow to make up for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from polyclinic.models.ensemble.link_functions import LINKS, ObservedTargets, log_odds, seen
from polyclinic.models.network.config import TaskKind

PULL = 10.0
"""Towards equal weights and no shift, in samples' worth of evidence."""
NEGLIGIBLE = 0.01
"""Share of the weights below which a member is not asked at all."""

Answers = Mapping[str, Float[np.ndarray, "sample output"]]
Able = Mapping[str, Bool[np.ndarray, " sample"]]


class Scores(NamedTuple):
    """The members' scores, and who could give one."""

    scores: Float[np.ndarray, "member sample output"]  # 0 where the member abstains
    able: Bool[np.ndarray, "member sample"]

    @property
    def anyone(self) -> Bool[np.ndarray, " sample"]:
        """Tell which samples some member can answer."""
        some: np.ndarray = np.asarray(self.able.any(axis=0))
        return some

    def mean(self, weights: Float[np.ndarray, " member"]) -> Float[np.ndarray, "sample output"]:
        """Average those able by weight, or equally where none of them has any; 0 where none is able."""
        weighed = weights[:, None] * self.able
        alone = weighed.sum(axis=0) <= 0
        weighed[:, alone] = self.able[:, alone]
        total = np.maximum(weighed.sum(axis=0), np.finfo(float).tiny)
        mean: np.ndarray = np.einsum("ms,mso->so", weighed / total, self.scores)
        return mean


@dataclass(frozen=True)
class Stacker:
    """score = shift + strength · mean of the able members' scores by weight; the weights add up to 1.

    Where no member can predict, the result is `no_input_prior`: the outcome rate of such samples in training, shrunk
    towards the overall rate. That nothing was recorded of a patient is seldom chance.
    """

    kind: TaskKind
    weights: dict[str, float]
    strength: float
    shift: tuple[float, ...]  # of each output
    no_input_prior: tuple[float, ...]  # score of each output where nobody can answer

    @classmethod
    def fit(
        cls,
        kind: TaskKind,
        answers: Answers,
        able: Able,
        targets: Float[np.ndarray, "sample number"],
        observed: Bool[np.ndarray, " sample"],
        bins: Sequence[float] = (),
        spread: float | None = None,
    ) -> Stacker:
        """Learn from answers to samples that the members were not fitted to; `bins` as for calibration.

        `spread` is the standard deviation of the numbers that are estimated, if known better than from these targets.
        """
        names = list(answers)
        if not names:
            raise ValueError("there is no member to stack")
        members = _gather(kind, answers, able, names)
        answered = observed & members.anyone
        what = seen(kind, targets, answered, bins)
        no_input_prior = rates_without_input(kind, targets, observed, ~members.anyone, bins)
        if not what.known.any():
            equal = dict.fromkeys(names, 1 / len(names))
            return cls(kind, equal, 1.0, (0.0,) * len(no_input_prior), no_input_prior)
        heard = members.able[:, answered].any(axis=1)
        unit = (spread or float(targets[observed].std()) or 1.0) if kind == "regression" else 1.0
        weights, shift = _fit(kind, Scores(members.scores[heard], members.able[heard]), what, unit)
        strength = float(weights.sum())
        shares = np.zeros(len(names))
        shares[heard] = weights / strength if strength > 0 else 1 / heard.sum()
        shares = np.where(shares < NEGLIGIBLE, 0, shares)
        shares = shares / shares.sum()
        return cls(
            kind, dict(zip(names, shares.tolist(), strict=True)), strength, tuple(map(float, shift)), no_input_prior
        )

    def __call__(self, answers: Answers, able: Able) -> Float[np.ndarray, "sample output"]:
        """Combine; members that are not among `answers` abstain."""
        members = _gather(self.kind, answers, able, list(answers))
        weights = np.array([self.weights[name] for name in answers])
        scores = self.strength * members.mean(weights) + np.array(self.shift)
        return np.where(
            members.anyone[:, None],
            LINKS[self.kind].answers(scores),
            predict_without_input(self.kind, self.no_input_prior),
        )

    def nonzero_members(self, members: Iterable[str]) -> list[str]:
        """Give those of `members` that have a weight."""
        return [name for name in members if self.weights.get(name, 0) > 0]

    def state(self) -> dict[str, Any]:
        """Give the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Stacker:
        """Rebuild the stacker that gave `state`."""
        shift, no_input_prior = tuple(state["shift"]), tuple(state["no_input_prior"])
        return cls(state["kind"], dict(state["weights"]), float(state["strength"]), shift, no_input_prior)


def rates_without_input(
    kind: TaskKind,
    targets: Float[np.ndarray, "sample number"],
    observed: Bool[np.ndarray, " sample"],
    without_input: Bool[np.ndarray, " sample"],
    bins: Sequence[float] = (),
) -> tuple[float, ...]:
    """Return the score of the outcome rate of samples without input, shrunk by `PULL` samples at the overall rate."""
    what = seen(kind, targets, observed, bins)
    happened = np.where(what.known, what.happened, 0)
    overall = happened.sum(axis=0) / np.maximum(what.known.sum(axis=0), 1)
    number = what.known[without_input].sum(axis=0)
    rates = (happened[without_input].sum(axis=0) + PULL * overall) / (number + PULL)
    if kind == "multiclass":
        return tuple(map(float, LINKS[kind].scores(rates)))
    return tuple(map(float, rates if kind == "regression" else log_odds(rates)))


def predict_without_input(kind: TaskKind, no_input_prior: Sequence[float]) -> Float[np.ndarray, "1 output"]:
    """Give the answer to a sample of which no member can say anything."""
    return LINKS[kind].answers(np.array([no_input_prior]))


def _gather(kind: TaskKind, answers: Answers, able: Able, names: Sequence[str]) -> Scores:
    can = np.stack([able[name] for name in names])
    scores = np.stack([LINKS[kind].scores(answers[name]) for name in names])
    return Scores(np.where(can[:, :, None], scores, 0), can)


def _fit(kind: TaskKind, members: Scores, what: ObservedTargets, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the loss over non-negative weights (the strength is their sum) and the shifts."""
    count, _, outputs = members.scores.shape
    start = np.concatenate([np.full(count, 1 / count), np.zeros(outputs)])
    bounds = [(0.0, None)] * count + [(None, None)] * outputs
    found = minimize(objective(kind, members, what, unit), start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:count], found[count:]


def objective(
    kind: TaskKind, members: Scores, what: ObservedTargets, unit: float = 1.0
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Give the function from weights and shifts to the loss and its gradient; `unit` is that of the scores.

    Weights are pulled to equal ones and shifts to none, so that a few samples who all had one outcome, or none of whom
    had it, do not make anyone sure.
    """
    count = len(members.scores)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        weights, shift = x[:count], x[count:]
        share = weights[:, None] * members.able
        total = np.maximum(share.sum(axis=0), 1e-9)
        mean = np.einsum("ms,mso->so", share / total, members.scores)
        fitted = weights.sum() * mean + shift
        value, error = _losses(kind, fitted, what, unit)
        away, far = weights - 1 / count, shift / unit
        # d mean / d weight: how far the member's score is from the mean, by its part in the total.
        turn = (members.able / total)[:, :, None] * (members.scores - mean)
        by_weight = np.einsum("so,mso->m", error, weights.sum() * turn + mean) + PULL * away
        by_shift = error.sum(axis=0) + PULL * far / unit
        return value + PULL / 2 * float(away @ away + far @ far), np.concatenate([by_weight, by_shift])

    return loss


def _losses(kind: TaskKind, fitted: np.ndarray, what: ObservedTargets, spread: float) -> tuple[float, np.ndarray]:
    """Give the loss of the known samples and its gradient by the fitted scores."""
    if kind == "regression":
        error = np.where(what.known, fitted - what.happened, 0) / spread
        return float(np.square(error).sum() / 2), error / spread
    if kind == "multiclass":
        logs = log_softmax(fitted, axis=1)
        return float(-(what.happened * logs)[what.known].sum()), np.where(what.known, np.exp(logs) - what.happened, 0)
    value = np.where(what.known, np.logaddexp(0, fitted) - what.happened * fitted, 0)
    return float(value.sum()), np.where(what.known, expit(fitted) - what.happened, 0)
