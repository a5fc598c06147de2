"""How unlike the development samples a sample is: Mahalanobis distances where the model looks.

Measured are the networks' shared latent (Lee 2018, arXiv 1807.03888) and the standardised structured features. Each
distance is from one mean with a shrunken covariance (Ledoit & Wolf 2004); what is usual is told by the distances of
development samples from the mean of *others*, fold by fold, since those that made a mean lie too near to it. There is
no class in it (as relative Mahalanobis distances have, Ren 2021, arXiv 2106.09022): one bundle answers several
questions, some of which have no classes.

What is not recorded does not make a sample unusual: an unknown feature is at its centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.covariance import ledoit_wolf

FAR = 0.995
"""Quantile of the development samples beyond which a sample is none of their like."""
FLAT = 1e-6
"""A direction in which development samples differ by less than this share of the usual counts as so wide."""

Split = tuple[Int[np.ndarray, " row"], Int[np.ndarray, " row"]]
"""Rows that make a mean, and rows that are measured from it."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A mean, and what makes the distance from it: `whiten` turns a difference into one of independent unit parts."""

    mean: Float[np.ndarray, " column"]
    whiten: Float[np.ndarray, "part column"]

    @classmethod
    def fit(cls, rows: Float[np.ndarray, "sample column"]) -> Self:
        """Fit to two samples or more."""
        values = np.asarray(rows, dtype=np.float64)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        covariance, _ = ledoit_wolf((values - mean) / spread, assume_centered=True)
        widths, directions = np.linalg.eigh(np.atleast_2d(covariance))
        widest = float(widths.max(initial=0))
        widths = np.maximum(widths, FLAT * widest) if widest > 0 else np.ones_like(widths)
        return cls(mean, directions.T / np.sqrt(widths)[:, None] / spread)

    def __call__(self, rows: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, " sample"]:
        """Give the distance of each sample."""
        away = np.asarray(rows, dtype=np.float64) - self.mean
        return np.asarray(np.linalg.norm(away @ self.whiten.T, axis=1))

    def in_units_of(self, distance: float) -> Self:
        """Give the same with every distance divided by one."""
        return self if distance <= 0 else type(self)(self.mean, self.whiten / distance)


class Place(NamedTuple):
    """Where a sample lies among the development samples: the shares of them that are no more unusual than it is.

    0 means that none is as usual, 1 that none is more unusual.
    """

    whole: float  # by the more unusual of its parts
    latent: float | None  # None: the bundle has no network
    structured: float | None  # None: nothing structured is recorded
    far: bool  # beyond the quantile `FAR` of the development samples


@dataclass(frozen=True, eq=False)
class Novelty:
    """Tells how unusual a sample is among the development samples.

    Its distance is the mean of those from the means of all folds. `typical` holds the distances of development samples
    from the mean of the fold that left them out, in the fold's median: the first column in the latent, the second in
    the structured features; NaN where a part is not there.
    """

    latents: tuple[Gaussian, ...]  # of each network
    structured: tuple[Gaussian, ...]  # of each fold
    typical: Float[np.ndarray, "sample 2"]
    _whole: Float[np.ndarray, " sample"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_whole", np.sort(np.nanmax(self._ranks(self.typical), axis=1)))

    @property
    def samples(self) -> int:
        """How many development samples tell what is usual."""
        return len(self.typical)

    def place(
        self,
        latents: Float[np.ndarray, "network column"] | None,
        structured: Float[np.ndarray, " column"] | None,
    ) -> Place | None:
        """Place one sample from each network's latent and its structured features; None where it has neither."""
        distances = np.array([[np.nan, np.nan]])
        if latents is not None and self.latents:
            away = [gaussian(one[None])[0] for gaussian, one in zip(self.latents, latents, strict=True)]
            distances[0, 0] = float(np.mean(away))
        if structured is not None and self.structured:
            distances[0, 1] = float(np.mean([gaussian(structured[None])[0] for gaussian in self.structured]))
        if np.isnan(distances).all():
            return None
        ranks = self._ranks(distances)[0]
        whole = float(np.nanmax(ranks))
        parts = [None if np.isnan(rank) else min(float(rank), 1.0) for rank in ranks]
        share = float((self._whole <= whole).mean())
        return Place(share, parts[0], parts[1], whole > float(np.quantile(self._whole, FAR)))

    def _ranks(self, distances: Float[np.ndarray, "sample 2"]) -> Float[np.ndarray, "sample 2"]:
        """Give the share of development samples that are no farther; beyond the farthest, how many times as far."""
        ranks = np.full(distances.shape, np.nan)
        for column in range(distances.shape[1]):
            usual, asked = np.sort(self.typical[:, column]), distances[:, column]
            usual = usual[~np.isnan(usual)]
            if len(usual):
                farthest = max(float(usual[-1]), np.finfo(float).tiny)
                share = np.searchsorted(usual, asked, side="right") / len(usual)
                placed = np.where(asked > farthest, asked / farthest, share)
                ranks[:, column] = np.where(np.isnan(asked), np.nan, placed)
        return ranks

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the state as arrays by name."""
        parts = {"latent": self.latents, "structured": self.structured}
        gaussians = {f"{part}{number}": one for part, some in parts.items() for number, one in enumerate(some)}
        found = {"typical": np.ascontiguousarray(self.typical)}
        for name, one in gaussians.items():
            found |= {f"{name}.mean": one.mean, f"{name}.whiten": np.ascontiguousarray(one.whiten)}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild what gave `arrays`."""

        def gaussians(part: str) -> tuple[Gaussian, ...]:
            number = sum(name.startswith(part) and name.endswith(".mean") for name in arrays)
            names = [f"{part}{place}" for place in range(number)]
            return tuple(Gaussian(arrays[f"{name}.mean"], arrays[f"{name}.whiten"]) for name in names)

        return cls(gaussians("latent"), gaussians("structured"), arrays["typical"])


def out_of_fold(
    rows: Float[np.ndarray, "sample column"], there: Bool[np.ndarray, " sample"], split: Split
) -> tuple[Gaussian | None, Float[np.ndarray, " sample"]]:
    """Fit to the first rows of a split that are there, and measure the others from their mean, in their median.

    What is not there, or not measured, is NaN; the Gaussian is None where fewer than two make a mean, or none is left.
    """
    away = np.full(len(rows), np.nan)
    made, measured = (part[there[part]] for part in split)
    if len(made) < 2 or not len(measured):
        return None, away
    gaussian = Gaussian.fit(rows[made])
    distances = gaussian(rows[measured])
    middle = float(np.median(distances))
    away[measured] = distances / middle if middle > 0 else distances
    return gaussian.in_units_of(middle), away
