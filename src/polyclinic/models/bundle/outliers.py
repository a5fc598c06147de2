"""Outlier detection: Mahalanobis distance of a sample from the development samples.

Distances are computed in the networks' shared latent (Lee 2018, arXiv 1807.03888) and in the standardised structured
features, from one mean with a shrunken covariance (Ledoit & Wolf 2004). They are compared with the out-of-fold
distances of development samples, since samples are too close to a mean of which they are part. Classes are not used
(as in relative Mahalanobis distance, Ren 2021, arXiv 2106.09022), since some tasks have none.

Unknown features are imputed by their centre, so that missing values do not make a sample an outlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

OUTLIER_QUANTILE = 0.995
"""Quantile of the development samples beyond which a sample is an outlier."""
MIN_RELATIVE_VARIANCE = 1e-6
"""Lower bound of the variance in any direction, relative to the largest."""

Split = tuple[Int[np.ndarray, " row"], Int[np.ndarray, " row"]]
"""Rows that a Gaussian is fitted to, and rows whose distance is computed."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A mean and a whitening matrix, for Mahalanobis distances."""

    mean: Float[np.ndarray, " column"]
    whiten: Float[np.ndarray, "part column"]

    @classmethod
    def fit(cls, rows: Float[np.ndarray, "sample column"]) -> Self:
        """Fit to at least two samples."""
        from sklearn.covariance import ledoit_wolf  # slow to import, and not needed in use

        values = np.asarray(rows, dtype=np.float64)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        covariance, _ = ledoit_wolf((values - mean) / spread, assume_centered=True)
        variances, directions = np.linalg.eigh(np.atleast_2d(covariance))
        largest = float(variances.max(initial=0))
        variances = np.maximum(variances, MIN_RELATIVE_VARIANCE * largest) if largest > 0 else np.ones_like(variances)
        return cls(mean, directions.T / np.sqrt(variances)[:, None] / spread)

    def __call__(self, rows: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, " sample"]:
        """Return the distance of each sample."""
        difference = np.asarray(rows, dtype=np.float64) - self.mean
        return np.asarray(np.linalg.norm(difference @ self.whiten.T, axis=1))

    def rescaled(self, distance: float) -> Self:
        """Return a Gaussian whose distances are divided by `distance`."""
        return self if distance <= 0 else type(self)(self.mean, self.whiten / distance)


class NoveltyScore(NamedTuple):
    """Share of the development samples that are at most as unusual as a sample, from 0 to 1."""

    overall: float  # by the more unusual of the parts
    latent: float | None  # None without a network
    structured: float | None  # None without structured inputs
    is_outlier: bool  # beyond `OUTLIER_QUANTILE` of the development samples


@dataclass(frozen=True, eq=False)
class Novelty:
    """Outlier detector fitted on the development samples.

    The distance of a sample is its mean distance over all folds. `typical` contains the out-of-fold distances of the
    development samples, divided by the fold's median: the first column in the latent, the second in the structured
    features; NaN where missing.
    """

    latents: tuple[Gaussian, ...]  # of each network
    structured: tuple[Gaussian, ...]  # of each fold
    typical: Float[np.ndarray, "sample 2"]
    _overall: Float[np.ndarray, " sample"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_overall", np.sort(np.nanmax(self._ranks(self.typical), axis=1)))

    @property
    def samples(self) -> int:
        """Number of development samples."""
        return len(self.typical)

    def score(
        self,
        latents: Float[np.ndarray, "network column"] | None,
        structured: Float[np.ndarray, " column"] | None,
    ) -> NoveltyScore | None:
        """Score one sample by each network's latent and its structured features; None where it has neither."""
        distances = np.array([[np.nan, np.nan]])
        if latents is not None and self.latents:
            by_network = [gaussian(latent[None])[0] for gaussian, latent in zip(self.latents, latents, strict=True)]
            distances[0, 0] = float(np.mean(by_network))
        if structured is not None and self.structured:
            distances[0, 1] = float(np.mean([gaussian(structured[None])[0] for gaussian in self.structured]))
        if np.isnan(distances).all():
            return None
        ranks = self._ranks(distances)[0]
        overall = float(np.nanmax(ranks))
        parts = [None if np.isnan(rank) else min(float(rank), 1.0) for rank in ranks]
        share = float((self._overall <= overall).mean())
        return NoveltyScore(share, parts[0], parts[1], overall > float(np.quantile(self._overall, OUTLIER_QUANTILE)))

    def outliers(
        self,
        latents: Float[np.ndarray, "network sample column"] | None,
        structured: tuple[Float[np.ndarray, "sample column"], Bool[np.ndarray, " sample"]] | None,
        present: Bool[np.ndarray, " sample"],
    ) -> Bool[np.ndarray, " sample"]:
        """Return which of many samples `score` calls outliers.

        `structured` comes with the mask of samples that have it; only samples with any input, `present`, are measured.
        """
        distances = np.full((len(present), 2), np.nan)
        if latents is not None and self.latents:
            by_network = [gaussian(latent) for gaussian, latent in zip(self.latents, latents, strict=True)]
            distances[:, 0] = np.mean(by_network, axis=0)
        if structured is not None and self.structured:
            values, has = structured
            distances[has, 1] = np.mean([gaussian(values[has]) for gaussian in self.structured], axis=0)
        measured = present & ~np.isnan(distances).all(axis=1)
        found = np.zeros(len(present), dtype=bool)
        overall = np.nanmax(self._ranks(distances[measured]), axis=1) if measured.any() else np.zeros(0)
        found[measured] = overall > float(np.quantile(self._overall, OUTLIER_QUANTILE))
        return found

    def _ranks(self, distances: Float[np.ndarray, "sample 2"]) -> Float[np.ndarray, "sample 2"]:
        """Return the share of development samples that are no farther; beyond the farthest, the ratio of distances."""
        ranks = np.full(distances.shape, np.nan)
        for column in range(distances.shape[1]):
            typical, own = np.sort(self.typical[:, column]), distances[:, column]
            typical = typical[~np.isnan(typical)]
            if len(typical):
                farthest = max(float(typical[-1]), np.finfo(float).tiny)
                share = np.searchsorted(typical, own, side="right") / len(typical)
                rank = np.where(own > farthest, own / farthest, share)
                ranks[:, column] = np.where(np.isnan(own), np.nan, rank)
        return ranks

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by name."""
        parts = {"latent": self.latents, "structured": self.structured}
        result = {"typical": np.ascontiguousarray(self.typical)}
        for part, gaussians in parts.items():
            for number, gaussian in enumerate(gaussians):
                result[f"{part}{number}.mean"] = gaussian.mean
                result[f"{part}{number}.whiten"] = np.ascontiguousarray(gaussian.whiten)
        return result

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from the result of `arrays`."""

        def gaussians(part: str) -> tuple[Gaussian, ...]:
            count = sum(name.startswith(part) and name.endswith(".mean") for name in arrays)
            names = [f"{part}{number}" for number in range(count)]
            return tuple(Gaussian(arrays[f"{name}.mean"], arrays[f"{name}.whiten"]) for name in names)

        return cls(gaussians("latent"), gaussians("structured"), arrays["typical"])


def out_of_fold(
    rows: Float[np.ndarray, "sample column"], present: Bool[np.ndarray, " sample"], split: Split
) -> tuple[Gaussian | None, Float[np.ndarray, " sample"]]:
    """Fit to the present rows of the first part of a split; return the distances of the others, divided by the median.

    Other distances are NaN; the Gaussian is None if fewer than two rows are fitted, or none is left.
    """
    result = np.full(len(rows), np.nan)
    fitted, measured = (part[present[part]] for part in split)
    if len(fitted) < 2 or not len(measured):
        return None, result
    gaussian = Gaussian.fit(rows[fitted])
    distances = gaussian(rows[measured])
    median = float(np.median(distances))
    result[measured] = distances / median if median > 0 else distances
    return gaussian.rescaled(median), result
