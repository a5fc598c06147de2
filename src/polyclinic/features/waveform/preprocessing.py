"""A recorded electrocardiogram → twelve leads in millivolts at one rate and length, each with its mask."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

from polyclinic.features.waveform.filters import resample_polyphase
from polyclinic.features.waveform.leads import LEADS, derive_limb_leads, standard_lead
from polyclinic.ingest.formats.waveform import MILLIVOLTS, Waveform

LEAST_SECONDS = 1.0
"""A lead with less recorded than this is absent."""
RATES_HZ = (40.0, 100_000.0)
"""Leads sampled more slowly or faster than these are absent: they are no electrocardiogram."""
_LARGEST_FACTOR = 10_000  # of the resampling: a smaller one lets the trace drift by milliseconds


class Ecg(NamedTuple):
    """Twelve leads in the order of `LEADS`; values are 0 where not valid."""

    signal: Float32[np.ndarray, "12 time"]  # mV, each lead less its median
    valid: Bool[np.ndarray, "12 time"]


def read_ecg(waveform: Waveform, sampling_hz: float, samples: int, known_s: float = math.inf) -> Ecg:
    """Select the standard leads, resample them to `sampling_hz`, and cut or pad them to `samples`.

    Of a longer recording the last part is taken. `known_s` is the time from its beginning to the prediction: nothing
    recorded later is read, except that the first `samples` count as known when the recording begins, since a resting
    ECG of ten seconds is one event. A shorter recording is padded at the end.

    A lead is not valid where it is missing, has less than a second recorded, is constant, has no unit of voltage or was
    sampled at a rate beyond `RATES_HZ`. Limb leads are derived where two others are there. Gaps (NaN) are interpolated
    for the resampling and then masked. Without a standard lead, nothing is valid.
    """
    signal, valid = np.zeros((len(LEADS), samples)), np.zeros((len(LEADS), samples), dtype=bool)
    if not RATES_HZ[0] <= waveform.sampling_hz <= RATES_HZ[1]:
        return Ecg(signal.astype(np.float32), valid)
    part = _known_part(waveform, samples / sampling_hz, known_s)
    for column, (name, unit) in enumerate(zip(waveform.leads, waveform.units, strict=True)):
        lead, scale = standard_lead(name), MILLIVOLTS.get(unit.strip().lower())
        if lead is None or scale is None or valid[lead.place].any():
            continue
        recorded = part[:, column].astype(np.float64)
        finite = np.isfinite(recorded)
        if finite.sum() >= LEAST_SECONDS * waveform.sampling_hz and np.ptp(recorded[finite]) > 0:
            resampled, there = resample(recorded * (scale * lead.sign), waveform.sampling_hz, sampling_hz)
            length = min(len(resampled), samples)
            signal[lead.place, :length], valid[lead.place, :length] = resampled[:length], there[:length]
    derive_limb_leads(signal, valid)
    return Ecg(np.where(valid, signal, 0).astype(np.float32), valid)


def resample(
    values: Float[np.ndarray, " sample"], from_hz: float, to_hz: float
) -> tuple[Float[np.ndarray, " time"], Bool[np.ndarray, " time"]]:
    """Resample a signal with gaps, less its median; polyphase with an anti-aliasing filter.

    A resampled value is valid where the recorded values on both sides of its time are; gaps are 0.
    """
    finite = np.isfinite(values)
    places = np.arange(len(values))
    filled = np.interp(places, places[finite], values[finite] - np.median(values[finite]))
    ratio = Fraction(to_hz / from_hz).limit_denominator(_LARGEST_FACTOR)
    resampled = filled if ratio == 1 else resample_polyphase(filled, ratio.numerator, ratio.denominator)
    times = np.arange(len(resampled)) * float(1 / ratio)
    valid: np.ndarray = np.interp(times, places, finite.astype(np.float64)) > 1 - 1e-9
    return np.where(valid, resampled, 0), valid


def _known_part(waveform: Waveform, seconds: float, known_s: float) -> Float32[np.ndarray, "sample lead"]:
    """Cut off what was recorded after the prediction, and then all but the last `seconds`."""
    window = math.ceil(seconds * waveform.sampling_hz)
    known = max(window, math.floor(min(known_s, waveform.duration_s) * waveform.sampling_hz))
    return waveform.signals[:known][-window:]
