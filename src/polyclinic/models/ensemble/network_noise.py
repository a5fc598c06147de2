"""How much the scores of one network vary, where those of the mean of several do not.

Networks that were fitted to other samples, from other random numbers, differ by noise, of which the mean of K has one
K-th. The noise is measured by the spread of the networks' scores, each sample without the network that left it out (the
others were all fitted to it); no targets are needed.
"""

import numpy as np
from jaxtyping import Float, Int

from polyclinic.models.ensemble.link_functions import LINKS
from polyclinic.models.network.config import TaskKind


def noise_of_one(
    kind: TaskKind, answers: Float[np.ndarray, "network sample output"], own: Int[np.ndarray, " sample"]
) -> float:
    """Return the variance of one network's scores beyond that of the mean of all; `own` left out the sample.

    Samples count by the curvature of their loss, since noise matters little where the answer is certain.
    """
    networks, samples, _ = answers.shape
    if networks < 2 or not samples:
        return 0.0
    scores = LINKS[kind].scores(answers)
    used = np.ones((networks, samples, 1))
    if networks > 2:
        used[own, np.arange(samples)] = 0
    number = used.sum(axis=0)
    mean = (used * scores).sum(axis=0) / number
    deviation, weight = used * (scores - mean), _weight(kind, answers.mean(axis=0))
    if kind == "multiclass":  # a shift of all classes changes nothing
        deviation = used * (deviation - (weight * deviation).sum(axis=-1, keepdims=True) / weight.sum(axis=-1)[:, None])
    variance = np.square(deviation).sum(axis=0) / (number - 1)
    return float(np.average(variance, weights=weight) * (1 - 1 / networks))


def _weight(kind: TaskKind, answers: Float[np.ndarray, "sample output"]) -> Float[np.ndarray, "sample output"]:
    return np.ones(answers.shape) if kind == "regression" else np.maximum(answers * (1 - answers), 1e-12)
