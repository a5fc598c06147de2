"""Prediction by fitted estimators, in the shape of the task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from polyclinic.models.classical.config import ClassicalConfig
from polyclinic.models.classical.fitted import Estimator


def predict_task(
    config: ClassicalConfig, estimators: Sequence[Estimator], x: np.ndarray
) -> Float[np.ndarray, "sample output"]:
    """Assemble the task's columns from those of the estimators; a class absent in training has probability 0."""
    predicted = [estimator(x) for estimator in estimators]
    if config.kind == "regression":
        return np.concatenate(predicted, axis=1)
    if config.kind == "multiclass":
        result = np.zeros((len(x), config.outputs))
        result[:, estimators[0].classes] = predicted[0]
        return result
    positive = [p @ (estimator.classes == 1) for estimator, p in zip(estimators, predicted, strict=True)]
    return np.stack(positive, axis=1).astype(np.float64)
