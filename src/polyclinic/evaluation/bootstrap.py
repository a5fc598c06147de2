"""Bootstrap by subject: subjects are drawn with replacement, with all their samples (Field & Welsh 2007).

A resample is a row of weights: how often each sample was drawn. Statistics take many rows at once, without copying the
data; all models get the same rows, so that differences are paired.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from polyclinic.evaluation.arrays import CONFIDENCE, Array, Labels, subject_codes
from polyclinic.evaluation.estimate import percent

RESAMPLES = 2000
METHOD = f"bootstrap by subject, {percent(CONFIDENCE)}"
CHUNK_WEIGHTS = 1 << 18  # computed at a time, to fit the processor's cache
MIN_ROWS = 32
MIN_SUBJECTS = 10  # fewer are too few to resample
MIN_FINITE = 0.9  # share of the resamples that must give a number


@dataclass(frozen=True)
class Bootstrap:
    """How to draw; `stratify` keeps the number of subjects in each stratum (e.g. outcome) fixed.

    Raises `ValueError` for fewer than 100 resamples, too few for 2.5 % tails.
    """

    resamples: int = RESAMPLES
    seed: int = 0
    stratify: bool = False

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise ValueError(
                f"{self.resamples} resamples cannot give a 95 % interval: use 100 or more, {RESAMPLES} for print"
            )

    def weights(
        self, n: int, subjects: Labels | None = None, strata: Labels | None = None, rows: int | None = None
    ) -> Iterator[Float[Array, "resample sample"]]:
        """Yield the resamples, some rows at a time: how often each of the `n` samples was drawn."""
        codes, count = subject_codes(subjects, n)
        if not count:
            return
        groups = _strata(codes, count, strata) if self.stratify and strata is not None else [np.arange(count)]
        generator = np.random.default_rng(self.seed)
        rows = rows or max(MIN_ROWS, CHUNK_WEIGHTS // n)
        for start in range(0, self.resamples, rows):
            drawn = _draw(generator, groups, count, min(rows, self.resamples - start))
            yield drawn if subjects is None else drawn[:, codes]

    def draws(
        self,
        statistic: Callable[[Array], Array],
        n: int,
        subjects: Labels | None = None,
        strata: Labels | None = None,
        rows: int | None = None,
    ) -> Float[Array, "resample ..."]:
        """Compute `statistic` (rows of weights → rows of values) on every resample; empty for too few subjects."""
        if subject_codes(subjects, n)[1] < MIN_SUBJECTS:
            return np.empty(0)
        parts = [np.asarray(statistic(weights)) for weights in self.weights(n, subjects, strata, rows)]
        return np.concatenate(parts) if parts else np.empty(0)


def _draw(
    generator: np.random.Generator, groups: list[Array], count: int, rows: int
) -> Float[Array, "resample subject"]:
    drawn = np.empty((rows, count))
    for members in groups:
        size = len(members)
        picks = generator.integers(0, size, (rows, size)) + np.arange(rows)[:, None] * size
        drawn[:, members] = np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)
    return drawn


def _strata(codes: Int[Array, " sample"], count: int, strata: Labels) -> list[Int[Array, " subject"]]:
    _, of_sample = np.unique(np.asarray(strata), return_inverse=True)
    of_subject = np.zeros(count, dtype=int)
    np.maximum.at(of_subject, codes, of_sample)  # a subject with the outcome in any sample is in its stratum
    return [np.flatnonzero(of_subject == stratum) for stratum in np.unique(of_subject)]


def percentiles(draws: Float[Array, " resample"]) -> tuple[float, float, str]:
    """Return the 95 % percentile interval and an empty reason, or NaN twice and the reason why there is none."""
    finite = draws[np.isfinite(draws)]
    if not len(draws):
        return np.nan, np.nan, f"fewer than {MIN_SUBJECTS} subjects, too few to resample"
    if len(finite) < MIN_FINITE * len(draws):
        lost = percent(1 - len(finite) / len(draws))
        return np.nan, np.nan, f"{lost} of the resamples cannot give it: too few subjects"
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    if np.ptp(finite) <= 1e-12 * max(1.0, abs(float(finite[0]))):
        return np.nan, np.nan, "every resample gives the same value"
    return float(low), float(high), ""


def two_sided_p(draws: Float[Array, " resample"]) -> float:
    """Return the two-sided p value of a difference: twice the share of resamples across zero, at least 2 / (n + 1)."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return np.nan
    across = min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return min(1.0, 2 * (across + 1) / (len(finite) + 1))
