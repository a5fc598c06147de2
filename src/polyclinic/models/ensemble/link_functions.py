"""Link functions: predictions of each kind of task ↔ unbounded scores, which can be averaged, scaled and shifted.

Scores are log-odds of probabilities, logarithms of the probabilities of exclusive classes, log-odds of each bin's
hazard for the risk over time, and the number itself for regression.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, log_softmax, logit, softmax

from polyclinic.models.network.config import TaskKind

MIN_PROBABILITY = 1e-6
"""Probabilities are clipped to this distance from 0 and 1."""


class ObservedTargets(NamedTuple):
    """The target of each score; where `known` is False, `happened` is meaningless."""

    happened: Float[np.ndarray, "sample output"]
    known: Bool[np.ndarray, "sample output"]


@dataclass(frozen=True)
class Link:
    """A link function and its inverse."""

    scores: Callable[[np.ndarray], np.ndarray]
    answers: Callable[[np.ndarray], np.ndarray]


def log_odds(probabilities: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return finite log-odds."""
    return np.asarray(logit(np.clip(probabilities, MIN_PROBABILITY, 1 - MIN_PROBABILITY)))


def _log_classes(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(log_softmax(np.log(np.clip(probabilities, MIN_PROBABILITY, 1)), axis=-1))


def _hazard_odds(risk: np.ndarray) -> np.ndarray:
    survival = 1 - np.clip(np.concatenate([np.zeros_like(risk[..., :1]), risk], axis=-1), 0, 1 - MIN_PROBABILITY)
    return log_odds(1 - survival[..., 1:] / survival[..., :-1])


def _risk(hazard_odds: np.ndarray) -> np.ndarray:
    risk: np.ndarray = 1 - np.cumprod(expit(-hazard_odds), axis=-1)
    return risk


LINKS: Mapping[TaskKind, Link] = {
    "binary": Link(log_odds, lambda scores: np.asarray(expit(scores))),
    "multilabel": Link(log_odds, lambda scores: np.asarray(expit(scores))),
    "multiclass": Link(_log_classes, lambda scores: np.asarray(softmax(scores, axis=-1))),
    "regression": Link(lambda answers: np.asarray(answers, dtype=np.float64), lambda scores: scores),
    "time_to_event": Link(_hazard_odds, _risk),
}


def curvature(
    kind: TaskKind, scores: Float[np.ndarray, "sample output"], unit: float = 1.0
) -> tuple[Float[np.ndarray, "sample output"], Float[np.ndarray, "sample output"]]:
    """Return the curvature of the log loss by each score, and the gradient of their sum; `unit` is a regression's."""
    if kind == "regression":
        return np.full(scores.shape, 1 / unit**2), np.zeros(scores.shape)
    p = softmax(scores, axis=1) if kind == "multiclass" else expit(scores)
    curved = p * (1 - p)
    if kind != "multiclass":
        return curved, curved * (1 - 2 * p)
    slope = p * (1 - 2 * p)
    return curved, slope - p * slope.sum(axis=1, keepdims=True)


def observed_targets(
    kind: TaskKind,
    targets: Float[np.ndarray, "sample number"],
    observed: Bool[np.ndarray, " sample"],
    bins: Sequence[float] = (),
) -> ObservedTargets:
    """Return the target of each score.

    For time to event, `targets` are duration and event indicator, and `bins` the ends of the bins: a bin is known if
    the event happened in it, or if the sample was followed up without event for at least half of it.
    """
    if kind != "time_to_event":
        return ObservedTargets(targets.astype(np.float64), np.repeat(observed[:, None], targets.shape[1], axis=1))
    ends = np.asarray(bins, dtype=np.float64)
    starts = np.concatenate([[0.0], ends[:-1]])
    duration, event = np.maximum(targets[:, :1], np.finfo(float).tiny), targets[:, 1:] > 0.5
    happened = event & (duration > starts) & (duration <= ends)
    survived = np.where(event, duration > ends, duration >= (starts + ends) / 2)
    return ObservedTargets(happened.astype(np.float64), (happened | survived) & observed[:, None])
