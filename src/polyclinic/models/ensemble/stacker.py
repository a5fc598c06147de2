"""Stacking of members (Wolpert 1992; non-negative weights after Breiman 1996, Stacked regressions).

A logistic regression of the target on the members' out-of-fold scores (see `link_functions`), with non-negative
weights regularised towards the mean. A member that cannot predict a sample abstains, and the weights of the others are
renormalised.

Out of fold, a member's scores may have noise that they will not have in use: those of one network, where the mean of
several will be used. The loss that this noise adds is left out of what the weights are fitted to (a corrected
likelihood: Nakamura 1990, 10.1093/biomet/77.1.127).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, log_softmax

from polyclinic.models.ensemble.link_functions import LINKS, ObservedTargets, curvature, log_odds, observed_targets
from polyclinic.models.network.config import TaskKind

PRIOR_SAMPLES = 10.0
"""Strength of the regularisation towards equal weights and no shift, in samples."""
NEGLIGIBLE = 0.05
"""Share of the weights below which a member is dropped, and the others are fitted again."""
MAX_NOISE = 0.75
"""Part of the variance of a member's scores, given the scores of the others, that can be noise."""
MAX_WEIGHT = 2.0

Answers = Mapping[str, Float[np.ndarray, "sample output"]]
Able = Mapping[str, Bool[np.ndarray, " sample"]]
Noise = Mapping[str, float]
"""By member, where it is not zero: variance of the scores that they will not have in use."""


class Scores(NamedTuple):
    """The members' scores, and which of them could predict."""

    scores: Float[np.ndarray, "member sample output"]  # 0 where the member abstains
    able: Bool[np.ndarray, "member sample"]

    @property
    def anyone(self) -> Bool[np.ndarray, " sample"]:
        """Mask of the samples that any member can predict."""
        anyone: np.ndarray = np.asarray(self.able.any(axis=0))
        return anyone

    def mean(self, weights: Float[np.ndarray, " member"]) -> Float[np.ndarray, "sample output"]:
        """Average the able members by weight, or equally if none of them has a weight; 0 where none is able."""
        weighted = weights[:, None] * self.able
        unweighted = weighted.sum(axis=0) <= 0
        weighted[:, unweighted] = self.able[:, unweighted]
        total = np.maximum(weighted.sum(axis=0), np.finfo(float).tiny)
        mean: np.ndarray = np.einsum("ms,mso->so", weighted / total, self.scores)
        return mean


@dataclass(frozen=True)
class Stacker:
    """score = shift + strength · weighted mean of the able members' scores; the weights add up to 1.

    Where no member can predict, the result is `no_input_prior`: the outcome rate of such samples in training, shrunk
    towards the overall rate, since missing records are rarely random.
    """

    kind: TaskKind
    weights: dict[str, float]
    strength: float
    shift: tuple[float, ...]  # of each output
    no_input_prior: tuple[float, ...]  # score of each output where no member can predict

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
        noise: Noise = MappingProxyType({}),
    ) -> Stacker:
        """Fit to out-of-fold predictions of the members; `bins` as for calibration.

        `spread` is the standard deviation of regression targets; by default that of `targets`. Members whose
        predictions equal those of an earlier one count once, and members that hardly contribute are dropped.
        """
        names = list(answers)
        if not names:
            raise ValueError("no members to stack")
        members = _gather(kind, answers, able, names)
        usable = observed & members.anyone
        events = observed_targets(kind, targets, usable, bins)
        no_input_prior = rates_without_input(kind, targets, observed, ~members.anyone, bins)
        if not events.known.any():
            equal = dict.fromkeys(names, 1 / len(names))
            return cls(kind, equal, 1.0, (0.0,) * len(no_input_prior), no_input_prior)
        contributing = members.able[:, usable].any(axis=1) & ~_repeated(members, usable)
        unit = (spread or float(targets[observed].std()) or 1.0) if kind == "regression" else 1.0
        variance = np.array([noise.get(name, 0.0) for name in names])
        strength, shares, shift = _fit_without_negligible(kind, members, events, unit, variance, contributing)
        return cls(
            kind, dict(zip(names, shares.tolist(), strict=True)), strength, tuple(map(float, shift)), no_input_prior
        )

    def __call__(self, answers: Answers, able: Able) -> Float[np.ndarray, "sample output"]:
        """Combine; members missing from `answers` abstain."""
        members = _gather(self.kind, answers, able, list(answers))
        weights = np.array([self.weights[name] for name in answers])
        scores = self.strength * members.mean(weights) + np.array(self.shift)
        return np.where(
            members.anyone[:, None],
            LINKS[self.kind].answers(scores),
            predict_without_input(self.kind, self.no_input_prior),
        )

    def nonzero_members(self, members: Iterable[str]) -> list[str]:
        """Return those of `members` with a non-zero weight."""
        return [name for name in members if self.weights.get(name, 0) > 0]

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Stacker:
        """Rebuild a stacker from its state."""
        shift, no_input_prior = tuple(state["shift"]), tuple(state["no_input_prior"])
        return cls(state["kind"], dict(state["weights"]), float(state["strength"]), shift, no_input_prior)


def rates_without_input(
    kind: TaskKind,
    targets: Float[np.ndarray, "sample number"],
    observed: Bool[np.ndarray, " sample"],
    without_input: Bool[np.ndarray, " sample"],
    bins: Sequence[float] = (),
) -> tuple[float, ...]:
    """Return the scores of the outcome rates of samples without input, shrunk towards the overall rates."""
    events = observed_targets(kind, targets, observed, bins)
    happened = np.where(events.known, events.happened, 0)
    overall = happened.sum(axis=0) / np.maximum(events.known.sum(axis=0), 1)
    number = events.known[without_input].sum(axis=0)
    rates = (happened[without_input].sum(axis=0) + PRIOR_SAMPLES * overall) / (number + PRIOR_SAMPLES)
    if kind == "multiclass":
        return tuple(map(float, LINKS[kind].scores(rates)))
    return tuple(map(float, rates if kind == "regression" else log_odds(rates)))


def predict_without_input(kind: TaskKind, no_input_prior: Sequence[float]) -> Float[np.ndarray, "1 output"]:
    """Return the prediction for a sample that no member can predict."""
    return LINKS[kind].answers(np.array([no_input_prior]))


def _gather(kind: TaskKind, answers: Answers, able: Able, names: Sequence[str]) -> Scores:
    mask = np.stack([able[name] for name in names])
    scores = np.stack([LINKS[kind].scores(answers[name]) for name in names])
    return Scores(np.where(mask[:, :, None], scores, 0), mask)


def _repeated(members: Scores, usable: Bool[np.ndarray, " sample"]) -> Bool[np.ndarray, " member"]:
    """Return which members predict exactly what an earlier one predicts."""
    content = [
        (able[usable].tobytes(), scores[usable].tobytes())
        for scores, able in zip(members.scores, members.able, strict=True)
    ]
    repeated: np.ndarray = np.array([one in content[:place] for place, one in enumerate(content)])
    return repeated


def _fit_without_negligible(
    kind: TaskKind,
    members: Scores,
    events: ObservedTargets,
    unit: float,
    noise: Float[np.ndarray, " member"],
    contributing: Bool[np.ndarray, " member"],
) -> tuple[float, Float[np.ndarray, " member"], Float[np.ndarray, " output"]]:
    """Return strength, shares and shifts; while a share is negligible, the smallest is dropped."""
    kept = np.flatnonzero(contributing)
    while True:
        own = Scores(members.scores[kept], members.able[kept])
        weights, shift = _fit(kind, own, events, unit, noise[kept])
        strength = float(weights.sum())
        shares = weights / strength if strength > 0 else np.full(len(kept), 1 / len(kept))
        least = int(shares.argmin())
        if len(kept) == 1 or shares[least] >= NEGLIGIBLE:
            break
        kept = np.delete(kept, least)
    everyone = np.zeros(len(contributing))
    everyone[kept] = shares
    return strength, everyone, shift


def _fit(
    kind: TaskKind, members: Scores, events: ObservedTargets, unit: float, noise: Float[np.ndarray, " member"]
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the loss over non-negative weights (their sum is the strength) and shifts."""
    from scipy.optimize import minimize  # not needed in use

    count, _, outputs = members.scores.shape
    start = np.concatenate([np.full(count, 1 / count), np.zeros(outputs)])
    bounds = [(0.0, MAX_WEIGHT)] * count + [(None, None)] * outputs
    loss = objective(kind, members, events, unit, _bounded(kind, members, events, unit, noise))
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return solution[:count], solution[count:]


def _bounded(
    kind: TaskKind, members: Scores, events: ObservedTargets, unit: float, noise: Float[np.ndarray, " member"]
) -> Float[np.ndarray, " member"]:
    """Bound the noise by what a member's scores vary beyond those of the others, so that the loss has a minimum."""
    known, scores, result = events.known, members.scores, np.zeros(len(noise))
    shifts = np.broadcast_to(np.eye(known.shape[1]), (len(known), *[known.shape[1]] * 2))[known]
    for place in np.flatnonzero(noise > 0):
        curved = curvature(kind, scores[place], unit)[0][known]
        others = np.column_stack([*(one[known] for one in np.delete(scores, place, axis=0)), shifts])
        root, own = np.sqrt(curved)[:, None], scores[place][known]
        rest = own - others @ np.linalg.lstsq(others * root, own * root[:, 0], rcond=None)[0]
        varies = float(curved @ np.square(rest)) / max(float(curved.sum()), 1e-9)
        result[place] = min(noise[place], MAX_NOISE * varies)
    return result


def objective(
    kind: TaskKind,
    members: Scores,
    events: ObservedTargets,
    unit: float = 1.0,
    noise: Float[np.ndarray, " member"] | None = None,
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Return the function from weights and shifts to the loss and its gradient; `unit` is that of the scores.

    Regularised towards equal weights and no shift, so that a few samples with the same outcome do not give extreme
    predictions. The loss that the `noise` of the members adds is left out, to the second order.
    """
    count = len(members.scores)
    variance = np.zeros(count) if noise is None else noise

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        weights, shift = x[:count], x[count:]
        weighted = weights[:, None] * members.able
        total = np.maximum(weighted.sum(axis=0), 1e-9)
        share = weighted / total
        mean = np.einsum("ms,mso->so", share, members.scores)
        fitted = weights.sum() * mean + shift
        value, error = _losses(kind, fitted, events, unit)
        curved, change = (np.where(events.known, one, 0) for one in curvature(kind, fitted, unit))
        spread = variance @ np.square(share)  # variance of the mean's noise, by sample
        value -= weights.sum() ** 2 / 2 * float(spread @ curved.sum(axis=1))
        error = error - weights.sum() ** 2 / 2 * spread[:, None] * change
        weight_offset, shift_offset = weights - 1 / count, shift / unit
        # d mean / d weight: the deviation of the member's score from the mean, by its part in the total.
        derivative = (members.able / total)[:, :, None] * (members.scores - mean)
        by_weight = np.einsum("so,mso->m", error, weights.sum() * derivative + mean) + PRIOR_SAMPLES * weight_offset
        by_shift = error.sum(axis=0) + PRIOR_SAMPLES * shift_offset / unit
        # d spread / d weight, likewise.
        wider = 2 * members.able / total * (variance[:, None] * share - spread)
        by_weight -= (weights.sum() * spread + weights.sum() ** 2 / 2 * wider) @ curved.sum(axis=1)
        return value + PRIOR_SAMPLES / 2 * float(
            weight_offset @ weight_offset + shift_offset @ shift_offset
        ), np.concatenate([by_weight, by_shift])

    return loss


def _losses(kind: TaskKind, fitted: np.ndarray, events: ObservedTargets, spread: float) -> tuple[float, np.ndarray]:
    """Return the loss of the known samples and its gradient by the fitted scores."""
    if kind == "regression":
        error = np.where(events.known, fitted - events.happened, 0) / spread
        return float(np.square(error).sum() / 2), error / spread
    if kind == "multiclass":
        logs = log_softmax(fitted, axis=1)
        return float(-(events.happened * logs)[events.known].sum()), np.where(
            events.known, np.exp(logs) - events.happened, 0
        )
    value = np.where(events.known, np.logaddexp(0, fitted) - events.happened * fitted, 0)
    return float(value.sum()), np.where(events.known, expit(fitted) - events.happened, 0)
