"""Values outside what training saw, by code: other units, faults of a device, categories spelt differently.

Of each code that the features read, the development samples give the range that holds nearly all numbers (or the
texts), and the share of samples with a value outside it. Other samples are compared by that share, so that a cohort
like the development's is not reported; a number far beyond the range always is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self, cast

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from scipy.special import betaln

from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.scaling import EXTREME
from polyclinic.features.structured.featurizer import StructuredFeaturizer
from polyclinic.knowledge.unit_conversions import Conversion, conversions

FEWEST = 20
"""Development samples below which a code has no range."""
CHANCE = 0.001
"""Probability, over all codes, that a cohort like that of development is reported."""
INSIDE = 0.5
"""Share of the values, and of the distinct ones, that a conversion must bring into the range."""
ALIKE = 2.0
"""Largest ratio of the medians after a conversion, since populations differ."""
PREFERENCE = 0.5
"""By how much a power of ten must be nearer than a conversion known for what is measured."""
FEWEST_DISTINCT = 3
"""Distinct values from which a conversion is looked for; one that is most of them may be a fault, such as 999."""
FULL_SAMPLES = 50
"""Development samples below which a number must be farther outside to be reported alone: their extremes are uncertain.
"""
LEAST_PART = 0.05
"""Share of the values from which a conversion of those outside alone is looked for."""


class ValueRange(NamedTuple):
    """The values of one code in development."""

    samples: int  # that have the code
    outside: int  # of them, those with a value outside
    low: float | None = None  # of numbers
    median: float | None = None
    high: float | None = None
    lowest: float | None = None  # a single number below it, or above `highest`, is reported
    highest: float | None = None
    texts: tuple[str, ...] = ()  # of categories

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild it from JSON values."""
        return cls(**{**plain, "texts": tuple(plain["texts"])})


class UnusualCode(NamedTuple):
    """A code with more values outside the range of development than chance explains."""

    code: str
    values: int
    outside: int
    samples: int
    samples_outside: int
    low: float | None = None
    high: float | None = None
    median: float | None = None
    development_median: float | None = None
    conversion: Conversion | None = None

    def __str__(self) -> str:
        """Describe it in one line."""
        where = f"{self.samples_outside:,} of {self.samples:,} samples"
        if self.low is None:
            return f"{self.code}: {where} have a text that training did not see; map it to a known one"
        text = (
            f"{self.code}: {self.outside:,} of {self.values:,} values ({where}) are outside the range of training "
            f"({self.low:.4g} to {self.high:.4g}; median {self.development_median:.3g}, here {self.median:.3g})"
        )
        return f"{text}; {self.conversion}" if self.conversion else text

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        conversion = self.conversion._asdict() if self.conversion else None
        return self._asdict() | {"conversion": conversion}


def value_ranges(known: pl.DataFrame, features: FeatureSet) -> dict[str, ValueRange]:
    """Return the ranges of the codes that the features read, from the development samples' record."""
    found: dict[str, ValueRange] = {}
    for code, numbers in _numbers(known, features.codes_read):
        values = numbers["value"].to_numpy()
        low, median, high = (float(np.quantile(values, q, method="nearest")) for q in (EXTREME, 0.5, 1 - EXTREME))
        samples = numbers["sample"].n_unique()
        if samples >= FEWEST:
            outside = numbers.filter(~pl.col("value").is_between(low, high))["sample"].n_unique()
            lowest, highest = _far(low, median, high, samples)
            extremes = min(lowest, float(values.min())), max(highest, float(values.max()))
            found[code] = ValueRange(samples, outside, low, median, high, *extremes)
    for code, texts in _categories(features).items():
        own = _texts(known, code)
        if (samples := own["sample"].n_unique()) >= FEWEST and code not in found:
            found[code] = ValueRange(samples, _unseen(own, texts), texts=tuple(texts))
    return dict(sorted(found.items()))


def unusual_codes(known: pl.DataFrame, ranges: Mapping[str, ValueRange]) -> tuple[UnusualCode, ...]:
    """Compare the record of some samples with the ranges; return the codes that differ, the most samples first."""
    found = []
    for code, numbers in _numbers(known, [code for code, own in ranges.items() if own.low is not None]):
        found.append(_unusual_numbers(code, numbers, ranges[code], len(ranges)))
    for code, own in ranges.items():
        if own.low is None:
            texts = _texts(known, code)
            samples, outside = texts["sample"].n_unique(), _unseen(texts, own.texts)
            if _is_more(outside, samples, own, len(ranges)):
                found.append(UnusualCode(code, texts.height, outside, samples, outside))
    kept = [unusual for unusual in found if unusual is not None]
    return tuple(sorted(kept, key=lambda unusual: (-unusual.samples_outside, unusual.code)))


def _unusual_numbers(code: str, numbers: pl.DataFrame, own: ValueRange, codes: int) -> UnusualCode | None:
    low, median, high = cast(tuple[float, float, float], (own.low, own.median, own.high))
    values = numbers["value"].to_numpy()
    is_outside = (values < low) | (values > high)
    if not is_outside.any():
        return None
    samples, outside = numbers["sample"].n_unique(), numbers.filter(pl.Series(is_outside))["sample"].n_unique()
    is_far = ((values < own.lowest) | (values > own.highest)).any()
    if not is_far and not _is_more(outside, samples, own, codes):
        return None
    conversion = conversion_of(code, values, is_outside, own)
    middle = float(np.median(values))
    return UnusualCode(
        code, len(values), int(is_outside.sum()), samples, outside, low, high, middle, median, conversion
    )


def _far(low: float, median: float, high: float, samples: int) -> tuple[float, float]:
    """Return the numbers that are as far outside as the range is wide; farther, if few samples gave the range.

    Of positive quantities, whose distributions are skewed, the distances are ratios.
    """
    stretch = max(1.0, FULL_SAMPLES / samples)
    width = (high - low) * stretch
    if low <= 0:
        return low - width, high + width
    return low * (low / median) ** (2 * stretch), max(high + width, high * (high / median) ** stretch)


def _is_more(outside: int, samples: int, own: ValueRange, codes: int) -> bool:
    """Return whether more samples have a value outside than chance explains.

    The share that is outside the extremes of others has a beta distribution (Wilks 1941), so that the number is
    beta-binomial.
    """
    inside = max(own.samples - own.outside - 1, 1)
    return outside > 0 and beta_binomial_tail(outside, samples, own.outside + 2, inside) < CHANCE / codes


def beta_binomial_tail(least: int, n: int, a: float, b: float) -> float:
    """Return the probability that at least `least` of `n` are drawn, by the beta-binomial distribution."""
    k = np.arange(least, n + 1)
    log_choose = -np.log(n + 1) - betaln(n - k + 1, k + 1)
    return float(np.exp(log_choose + betaln(k + a, n - k + b) - betaln(a, b)).sum())


def conversion_of(
    code: str, values: Float[np.ndarray, " value"], is_outside: Bool[np.ndarray, " value"], own: ValueRange
) -> Conversion | None:
    """Return the conversion of units that explains the values outside: all values are in it, or only those outside.

    It must bring most of them, and most of the distinct ones, into the range, and their median near that of
    development. A conversion known for what is measured comes before a power of ten.
    """
    share = is_outside.mean()
    parts = [values] if share > 1 - INSIDE else []
    parts += [values[is_outside]] if share >= LEAST_PART else []
    for part in parts:
        _, counts = np.unique(part, return_counts=True)
        if len(counts) >= FEWEST_DISTINCT and counts.max() <= len(part) / 2:
            fitting = [(gap, found) for found in conversions(code) if (gap := _gap(found, part, own)) is not None]
            if fitting:
                return min(fitting, key=lambda pair: pair[0] - PREFERENCE * (pair[1].of is not None))[1]
    return None


def _gap(conversion: Conversion, values: Float[np.ndarray, " value"], own: ValueRange) -> float | None:
    """Return how far the converted median is from that of development, from 0 to 1; None if it does not fit."""
    low, median, high = cast(tuple[float, float, float], (own.low, own.median, own.high))
    converted = values * conversion.factor + conversion.offset
    if any(((own >= low) & (own <= high)).mean() < INSIDE for own in (converted, np.unique(converted))):
        return None
    middle = float(np.median(converted))
    if conversion.offset or middle <= 0 or median <= 0:
        gap = abs(middle - median) / max((high - low) / 4, np.finfo(float).tiny)
    else:
        gap = abs(np.log(middle / median)) / np.log(ALIKE)
    return float(gap) if gap <= 1 else None


def _numbers(known: pl.DataFrame, codes: Iterable[str]) -> Iterable[tuple[str, pl.DataFrame]]:
    """Yield each of the codes that has finite numbers, with its `sample` and `value`; sorted."""
    rows = known.filter(pl.col("numeric_value").is_finite() & pl.col("code").is_in(sorted(codes))).select(
        "sample", code=pl.col("code").cast(pl.String), value=pl.col("numeric_value").cast(pl.Float64)
    )
    for key, own in sorted(rows.partition_by("code", as_dict=True, include_key=False).items()):
        yield str(key[0]), own


def _texts(known: pl.DataFrame, code: str) -> pl.DataFrame:
    is_text = pl.col("text_value").is_not_null() & pl.col("numeric_value").is_null()
    return known.filter((pl.col("code") == code) & is_text).select("sample", "text_value")


def _unseen(texts: pl.DataFrame, seen: Sequence[str]) -> int:
    return texts.filter(~pl.col("text_value").is_in(list(seen)))["sample"].n_unique()


def _categories(features: FeatureSet) -> Mapping[str, Sequence[str]]:
    structured = features.featurizers.get("structured")
    return structured.layout.categories if isinstance(structured, StructuredFeaturizer) else {}
