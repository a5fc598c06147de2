"""Many alike numbers as a few: principal components, fitted on training samples."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils.extmath import randomized_svd


@dataclass(frozen=True)
class Components:
    """Projects rows onto the directions in which training rows vary most (Halko 2011, arXiv 0909.4061)."""

    centre: Float[np.ndarray, " feature"]
    directions: Float[np.ndarray, "component feature"]

    @classmethod
    def fit(cls, rows: Float[np.ndarray, "sample feature"], most: int) -> Components:
        """Find at most `most` directions; fewer where there are fewer samples or features, none without samples."""
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
        """Give the state as JSON values; numbers are packed, so that they survive to the bit in a short text."""
        return {"centre": _packed(self.centre), "directions": _packed(self.directions)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Components:
        """Rebuild the components that gave `state`."""
        centre = _unpacked(state["centre"])
        return cls(centre, _unpacked(state["directions"]).reshape(-1, len(centre)))


def _packed(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)
