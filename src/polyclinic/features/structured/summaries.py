"""Summary statistics of the values of one code in one sample."""

from typing import NamedTuple

import numpy as np

from polyclinic.features.measurements import Measurements

STATISTICS = ("last", "first", "minimum", "maximum", "mean", "sd", "count", "slope", "hours since last")
"""In the order of the table's columns; `sd` needs two values, `slope` (per hour) two distinct times."""


class Summaries(NamedTuple):
    """One row per recorded code of each sample."""

    row: np.ndarray  # int64 [group], of the sample
    code: np.ndarray  # int64 [group]
    table: np.ndarray  # float64 [group, statistic]; NaN where undefined


def summarise(events: Measurements) -> Summaries:
    """Summarise the values of each code of each sample, independently of other samples."""
    row, code, hours, value = events
    if len(row) == 0:
        return Summaries(row, code, np.empty((0, len(STATISTICS))))
    new = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(code, prepend=-1) != 0))
    last = np.append(new[1:], len(row)) - 1
    count = last - new + 1.0
    mean = np.add.reduceat(value, new) / count
    table = np.column_stack(
        [
            value[last],
            value[new],
            np.minimum.reduceat(value, new),
            np.maximum.reduceat(value, new),
            mean,
            _sd(value - np.repeat(mean, count.astype(np.int64)), new, count),
            count,
            _slope(hours, value, new, count.astype(np.int64)),
            hours[last],
        ]
    )
    return Summaries(row[new], code[new], table)


def _sd(deviation: np.ndarray, new: np.ndarray, count: np.ndarray) -> np.ndarray:
    squares = np.add.reduceat(deviation**2, new)
    variance: np.ndarray = np.divide(squares, count - 1, out=np.full(len(new), np.nan), where=count > 1)
    sd: np.ndarray = np.sqrt(variance)
    return sd


def _slope(hours: np.ndarray, value: np.ndarray, new: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Compute the least-squares slope per hour of the timed values of each group."""
    timed = ~np.isnan(hours)
    number = np.maximum(np.add.reduceat(timed.astype(np.float64), new), 1)
    at = np.where(timed, -hours, 0.0)
    at = np.where(timed, at - np.repeat(np.add.reduceat(at, new) / number, count), 0.0)
    observed = np.where(timed, value, 0.0)
    observed = np.where(timed, observed - np.repeat(np.add.reduceat(observed, new) / number, count), 0.0)
    spread = np.add.reduceat(at**2, new)
    covariance = np.add.reduceat(at * observed, new)
    slope: np.ndarray = np.divide(covariance, spread, out=np.full(len(new), np.nan), where=spread > 1e-12)
    return slope
