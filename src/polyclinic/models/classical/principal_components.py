"""Principal components, fitted on training samples."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Components:
    """Projection onto the principal components of the training rows (Halko 2011, arXiv 0909.4061)."""

    centre: Float[np.ndarray, " feature"]
    directions: Float[np.ndarray, "component feature"]

    def __post_init__(self) -> None:
        # One memory layout, fitted or read: BLAS rounds differently for another.
        object.__setattr__(self, "directions", np.asfortranarray(self.directions))

    @classmethod
    def fit(cls, rows: Float[np.ndarray, "sample feature"], most: int) -> Components:
        """Fit at most `most` components; fewer with fewer samples or features, none without samples."""
        from sklearn.utils.extmath import randomized_svd  # slow to import, and not needed in use

        centre = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
        count = min(most, len(rows) - 1, rows.shape[1])
        if count < 1:
            return cls(centre.astype(np.float32), np.zeros((0, rows.shape[1]), dtype=np.float32))
        _, _, directions = randomized_svd(rows - centre, count, n_iter=7, random_state=0)
        return cls(centre.astype(np.float32), directions.astype(np.float32))

    def __call__(self, rows: Float[np.ndarray, "sample feature"]) -> Float[np.ndarray, "sample component"]:
        """Project."""
        projected: np.ndarray = (rows - self.centre) @ self.directions.T
        return projected

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values; numbers are base64-encoded, to be exact and short."""
        return {"centre": _packed(self.centre), "directions": _packed(self.directions)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Components:
        """Rebuild components from their state."""
        centre = _unpacked(state["centre"])
        return cls(centre, _unpacked(state["directions"]).reshape(-1, len(centre)))


def _packed(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)
