"""Numbers that summarise an electrocardiogram for classical models: rate, regularity, amplitudes, ST and T levels."""

import numpy as np
from jaxtyping import Float32, Int64
from scipy.ndimage import uniform_filter1d

from polyclinic.features.waveform.filters import find_peaks
from polyclinic.features.waveform.leads import LEADS
from polyclinic.features.waveform.preprocessing import Ecg

RHYTHM = ("heart rate", "RR variation")
LEVELS = ("RMS", "highest", "lowest", "ST level", "T level")
NAMES = (*(f"ECG {name}" for name in RHYTHM), *(f"ECG {lead} {level}" for lead in LEADS for level in LEVELS))
"""Rate in beats per minute; variation as a coefficient; levels in mV."""

_SMOOTH_S, _APART_S = 0.08, 0.3  # width of a QRS complex; beats are at least so far apart (200 per minute)
_HEIGHT = 0.3  # of a beat, as a share of the highest
_BEFORE_S, _ST_S, _T_S = (-0.12, -0.06), (0.08, 0.14), (0.18, 0.38)  # windows relative to the QRS complex


def summary(ecg: Ecg, sampling_hz: float) -> Float32[np.ndarray, " column"]:
    """Return the numbers called `NAMES`; NaN where a lead is absent or fewer than three beats are found."""
    beats = qrs_complexes(ecg, sampling_hz)
    rhythm = [np.nan, np.nan]
    if len(beats) >= 3:
        intervals = np.diff(beats) / sampling_hz
        rhythm = [60 / float(intervals.mean()), float(intervals.std() / intervals.mean())]
    levels = [_levels(ecg.signal[lead], ecg.valid[lead], beats, sampling_hz) for lead in range(len(LEADS))]
    return np.array([*rhythm, *np.concatenate(levels)], dtype=np.float32)


def qrs_complexes(ecg: Ecg, sampling_hz: float) -> Int64[np.ndarray, " beat"]:
    """Find the QRS complexes: peaks of the smoothed squared slope over all leads (after Pan & Tompkins 1985)."""
    steady = ecg.valid[:, 1:] & ecg.valid[:, :-1]
    slope = np.where(steady, np.diff(ecg.signal, axis=1), 0) ** 2
    energy = slope.sum(axis=0) / np.maximum(steady.sum(axis=0), 1)
    energy = uniform_filter1d(energy, max(1, round(_SMOOTH_S * sampling_hz)), mode="constant")
    height = _HEIGHT * float(np.quantile(energy, 0.98))
    if height <= 0:
        return np.zeros(0, dtype=np.int64)
    return find_peaks(energy, height, max(1, round(_APART_S * sampling_hz)))


def _levels(signal: np.ndarray, valid: np.ndarray, beats: np.ndarray, sampling_hz: float) -> list[float]:
    values = signal[valid]
    if not len(values):
        return [np.nan] * len(LEVELS)
    low, high = np.quantile(values, [0.005, 0.995])
    whole = np.where(valid, signal, np.nan)
    before, st, t = (_around(whole, beats, window, sampling_hz) for window in (_BEFORE_S, _ST_S, _T_S))
    return [float(np.sqrt(np.mean(values**2))), float(high), float(low), st - before, t - before]


def _around(trace: np.ndarray, beats: np.ndarray, window: tuple[float, float], sampling_hz: float) -> float:
    """Return the median over the beats of the mean in a window; NaN without a beat whose window is recorded."""
    places = np.arange(round(window[0] * sampling_hz), round(window[1] * sampling_hz) + 1)
    inside = beats[(beats + places[0] >= 0) & (beats + places[-1] < len(trace))]
    means = trace[inside[:, None] + places].mean(axis=1)
    known = means[~np.isnan(means)]
    return float(np.median(known)) if len(known) else float("nan")
