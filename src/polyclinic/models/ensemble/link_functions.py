"""The answers to each kind of task on a scale without bounds, where they can be averaged, stretched and shifted.

Each answer becomes scores, and scores become answers again: log-odds for probabilities, logarithms for classes that
add up to one, log-odds of each bin's hazard for the risk over time, the number itself for regression. The same table
says what was observed in terms of those scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, log_softmax, logit, softmax

from polyclinic.models.network.config import TaskKind

SURE = 1e-6
"""No probability counts as nearer to 0 or 1 than this."""


class ObservedTargets(NamedTuple):
    """What happened, for each score; where `known` is False, `happened` means nothing."""

    happened: Float[np.ndarray, "sample output"]
    known: Bool[np.ndarray, "sample output"]


@dataclass(frozen=True)
class Link:
    """From answers to scores and back."""

    scores: Callable[[np.ndarray], np.ndarray]
    answers: Callable[[np.ndarray], np.ndarray]


def log_odds(probabilities: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Give finite log-odds."""
    return np.asarray(logit(np.clip(probabilities, SURE, 1 - SURE)))


def _log_classes(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(log_softmax(np.log(np.clip(probabilities, SURE, 1)), axis=-1))


def _hazard_odds(risk: np.ndarray) -> np.ndarray:
    free = 1 - np.clip(np.concatenate([np.zeros_like(risk[..., :1]), risk], axis=-1), 0, 1 - SURE)
    return log_odds(1 - free[..., 1:] / free[..., :-1])


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


def seen(
    kind: TaskKind,
    targets: Float[np.ndarray, "sample number"],
    observed: Bool[np.ndarray, " sample"],
    bins: Sequence[float] = (),
) -> ObservedTargets:
    """Say what is known of each score's event.

    Of time to event, `targets` are duration and whether it ended in the event, and `bins` the ends of the bins: a bin
    is known if the sample had its event in it, or was still without event and under observation for half of it.
    """
    if kind != "time_to_event":
        return ObservedTargets(targets.astype(np.float64), np.repeat(observed[:, None], targets.shape[1], axis=1))
    ends = np.asarray(bins, dtype=np.float64)
    starts = np.concatenate([[0.0], ends[:-1]])
    duration, event = np.maximum(targets[:, :1], np.finfo(float).tiny), targets[:, 1:] > 0.5
    happened = event & (duration > starts) & (duration <= ends)
    survived = np.where(event, duration > ends, duration >= (starts + ends) / 2)
    return ObservedTargets(happened.astype(np.float64), (happened | survived) & observed[:, None])
