"""The numbers in a record as arrays, in an order that does not depend on that of the events."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from polyclinic.features.featurizer import sample_rows

HOUR = np.timedelta64(3_600_000_000, "us")


class Measurements(NamedTuple):
    """Numbers of several samples, sorted by sample, code, time (static facts first) and value."""

    row: np.ndarray  # int64 [event], of the sample
    code: np.ndarray  # int64 [event], place in the list of codes asked for
    hours: np.ndarray  # float64 [event], before the prediction time; NaN: a static fact
    value: np.ndarray  # float64 [event]

    def where(self, kept: np.ndarray) -> "Measurements":
        """Keep some events: a mask or places."""
        return Measurements(*(column[kept] for column in self))

    def within(self, limits: Sequence[tuple[float, float]]) -> "Measurements":
        """Set values beyond the lowest and highest of their code to these (winsorise); keeps the order."""
        if len(self.value) == 0:
            return self
        lowest, highest = np.asarray(limits, dtype=np.float64).T
        return self._replace(value=np.clip(self.value, lowest[self.code], highest[self.code]))

    def by_code(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give each code that occurs, and the places of its events."""
        order = np.argsort(self.code, kind="stable")
        codes, starts = np.unique(self.code[order], return_index=True)
        for code, start, stop in zip(codes.tolist(), starts, np.append(starts, len(order))[1:], strict=True):
            yield code, order[start:stop]


def encode(texts: pl.Series, words: Sequence[str]) -> np.ndarray:
    """Give the place of each text in `words`, int64; -1 where it is not among them."""
    places = texts.cast(pl.String).cast(pl.Enum(list(words)), strict=False).to_physical().to_numpy()
    found: np.ndarray = np.nan_to_num(places.astype(np.float64), nan=-1).astype(np.int64)
    return found


def hours_before(times: np.ndarray, samples: pl.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Give the hours between each event and the prediction time of its sample, float64; NaN for static facts.

    `times` are the events', as `datetime64`, and `rows` those of their samples.

    Raises:
        ValueError: when an event lies after the prediction time.
    """
    hours: np.ndarray = (samples["prediction_time"].to_numpy()[rows] - times) / HOUR
    if (hours < 0).any():
        raise ValueError("the record holds events after the prediction time: cut it with known_at first")
    return hours


def measure(
    known: pl.DataFrame, samples: pl.DataFrame, codes: Sequence[str], bare: Collection[int] = ()
) -> Measurements:
    """Collect the finite numbers of `codes`; events of the codes at the places in `bare` count as 1 instead."""
    rows, places = sample_rows(known, samples), encode(known["code"], codes)
    values = known["numeric_value"].to_numpy().astype(np.float64)  # NaN where there is none
    if bare:
        values = np.where(np.isin(places, list(bare)), 1.0, values)
    kept = np.flatnonzero((rows >= 0) & (places >= 0) & np.isfinite(values))
    rows, places, values = rows[kept], places[kept], values[kept] + 0.0  # -0 and 0 are one number
    hours = hours_before(known["time"].to_numpy()[kept], samples, rows)
    timeline = np.where(np.isnan(hours), -np.inf, -hours)
    return Measurements(rows, places, hours, values).where(ordered(rows * len(codes) + places, timeline, values))


def ordered(group: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give the order by `group`, then `first`, then `second`: that of `np.lexsort((second, first, group))`.

    Groups whose members stand in order already, as those of a cohort mostly do, are not sorted again.
    """
    order = np.argsort(group, kind="stable")
    group, first, second = group[order], first[order], second[order]
    fall = (first[1:] < first[:-1]) | ((first[1:] == first[:-1]) & (second[1:] < second[:-1]))
    same = group[1:] == group[:-1]
    if (fall & same).any():
        run = np.cumsum(np.append(0, ~same))  # the groups, numbered
        unordered = np.zeros(run[-1] + 1, dtype=bool)
        unordered[run[1:][fall & same]] = True
        places = np.flatnonzero(unordered[run])
        order[places] = order[places][np.lexsort((second[places], first[places], group[places]))]
    return order


def count_events(known: pl.DataFrame, codes: Sequence[str]) -> dict[str, int]:
    """Count the events of each of the codes, by code."""
    counts = known.filter(pl.col("code").is_in(list(codes))).group_by("code").len().sort("code")
    return dict(counts.iter_rows())
