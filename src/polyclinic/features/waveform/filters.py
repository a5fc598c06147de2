"""Polyphase resampling and peaks, as of `scipy.signal`, which takes longer to import than an assessment does."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

ZERO_CROSSINGS = 10
"""Of the low-pass filter, on either side."""
KAISER_BETA = 5.0


def resample_polyphase(values: Float[np.ndarray, " sample"], up: int, down: int) -> Float[np.ndarray, " time"]:
    """Resample by up / down with a windowed-sinc low-pass filter; beyond its ends the signal is the line through them.

    Equals `scipy.signal.resample_poly(values, up, down, padtype="line")`.
    """
    filtered = _filter(len(values), up, down)
    signal = values[filtered.places]
    signal[filtered.outside] = values[0] + filtered.beyond * (values[-1] - values[0]) / max(len(values) - 1, 1)
    resampled: np.ndarray = (signal * filtered.taps).sum(axis=1)
    return resampled


class _Filter(NamedTuple):
    """What each value of the result adds up: taps times values at places, or on the line where these are outside."""

    taps: Float[np.ndarray, "time tap"]
    places: Int[np.ndarray, "time tap"]  # 0 where outside
    outside: tuple[Int[np.ndarray, " place"], ...]  # of each axis
    beyond: Int[np.ndarray, " place"]  # the places outside


@lru_cache(maxsize=2)  # the leads of a recording, and mostly all recordings, have one length and rate
def _filter(length: int, up: int, down: int) -> _Filter:
    rate = max(up, down)
    half = ZERO_CROSSINGS * rate
    taps = np.sinc(np.arange(-half, half + 1) / rate) * np.kaiser(2 * half + 1, KAISER_BETA)
    taps *= up / taps.sum()
    times = np.arange(-(-length * up // down))  # of the result
    first = -((half - times * down) // up)
    places = first[:, None] + np.arange(2 * half // up + 1)
    tap = half + times[:, None] * down - places * up
    outside = np.nonzero((places < 0) | (places >= length))
    beyond = places[outside]
    places[outside] = 0
    return _Filter(np.where(tap >= 0, taps[np.maximum(tap, 0)], 0), places, outside, beyond)


def find_peaks(values: Float[np.ndarray, " sample"], height: float, distance: int) -> Int[np.ndarray, " peak"]:
    """Find the local maxima of at least a height; of two nearer than the distance, the higher one.

    Equals `scipy.signal.find_peaks(values, height=height, distance=distance)`: a flat maximum is at its middle.
    """
    change = np.flatnonzero(np.diff(values))
    start, end = np.concatenate([[0], change + 1]), np.concatenate([change, [len(values) - 1]])
    level = values[start]
    is_peak = (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:]) & (level[1:-1] >= height)
    peaks = ((start + end) // 2)[1:-1][is_peak]
    kept = np.ones(len(peaks), dtype=bool)
    for place in np.argsort(values[peaks])[::-1]:
        if kept[place]:
            kept &= (np.abs(peaks - peaks[place]) >= distance) | (np.arange(len(peaks)) == place)
    return np.asarray(peaks[kept])
