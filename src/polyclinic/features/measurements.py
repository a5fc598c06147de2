"""Numeric values of records as arrays, in an order that does not depend on the order of the events."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from polyclinic.features.featurizer import sample_rows

HOUR = np.timedelta64(3_600_000_000, "us")


class Measurements(NamedTuple):
    """Numeric values of several samples, sorted by sample, code, time (static facts first) and value."""

    row: np.ndarray  # int64 [event], of the sample
    code: np.ndarray  # int64 [event], index into the list of codes
    hours: np.ndarray  # float64 [event], before the prediction time; NaN: a static fact
    value: np.ndarray  # float64 [event]

    def where(self, kept: np.ndarray) -> "Measurements":
        """Select events by a mask or by indices."""
        return Measurements(*(column[kept] for column in self))

    def within(self, limits: Sequence[tuple[float, float]]) -> "Measurements":
        """Clip values to the limits of their code (winsorise); the order is unchanged."""
        if len(self.value) == 0:
            return self
        lowest, highest = np.asarray(limits, dtype=np.float64).T
        return self._replace(value=np.clip(self.value, lowest[self.code], highest[self.code]))

    def by_code(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each code that occurs, with the indices of its events."""
        order = np.argsort(self.code, kind="stable")
        codes, starts = np.unique(self.code[order], return_index=True)
        for code, start, stop in zip(codes.tolist(), starts, np.append(starts, len(order))[1:], strict=True):
            yield code, order[start:stop]


def encode(texts: pl.Series, words: Sequence[str]) -> np.ndarray:
    """Return the index of each text in `words`, int64; -1 if it is not among them."""
    indices = texts.cast(pl.String).cast(pl.Enum(list(words)), strict=False).to_physical().to_numpy()
    codes: np.ndarray = np.nan_to_num(indices.astype(np.float64), nan=-1).astype(np.int64)
    return codes


def hours_before(times: np.ndarray, samples: pl.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Return the hours from each event to the prediction time of its sample, float64; NaN for static facts.

    `times` are those of the events, `datetime64`; `rows` are the rows of their samples.

    Raises:
        ValueError: an event is later than the prediction time.
    """
    hours: np.ndarray = (samples["prediction_time"].to_numpy()[rows] - times) / HOUR
    if (hours < 0).any():
        raise ValueError("the record holds events after the prediction time: filter it with known_at first")
    return hours


def measure(
    known: pl.DataFrame, samples: pl.DataFrame, codes: Sequence[str], bare: Collection[int] = ()
) -> Measurements:
    """Collect the finite numeric values of `codes`; events of the codes with indices in `bare` have the value 1."""
    rows, code = sample_rows(known, samples), encode(known["code"], codes)
    values = known["numeric_value"].to_numpy().astype(np.float64)  # NaN where null
    if bare:
        values = np.where(np.isin(code, list(bare)), 1.0, values)
    kept = np.flatnonzero((rows >= 0) & (code >= 0) & np.isfinite(values))
    rows, code, values = rows[kept], code[kept], values[kept] + 0.0  # turns -0 into 0
    hours = hours_before(known["time"].to_numpy()[kept], samples, rows)
    timeline = np.where(np.isnan(hours), -np.inf, -hours)
    return Measurements(rows, code, hours, values).where(ordered(rows * len(codes) + code, timeline, values))


def ordered(group: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the order by `group`, then `first`, then `second`, as `np.lexsort((second, first, group))` does.

    Faster than `lexsort` where most groups are already in order, as in a cohort.
    """
    order = np.argsort(group, kind="stable")
    group, first, second = group[order], first[order], second[order]
    fall = (first[1:] < first[:-1]) | ((first[1:] == first[:-1]) & (second[1:] < second[:-1]))
    same = group[1:] == group[:-1]
    if (fall & same).any():
        run = np.cumsum(np.append(0, ~same))  # number of each group
        unordered = np.zeros(run[-1] + 1, dtype=bool)
        unordered[run[1:][fall & same]] = True
        places = np.flatnonzero(unordered[run])
        order[places] = order[places][np.lexsort((second[places], first[places], group[places]))]
    return order


def count_events(known: pl.DataFrame, codes: Sequence[str]) -> dict[str, int]:
    """Count the events of each code."""
    counts = known.filter(pl.col("code").is_in(list(codes))).group_by("code").len().sort("code")
    return dict(counts.iter_rows())
