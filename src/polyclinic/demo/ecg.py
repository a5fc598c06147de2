"""Draw ten-second, twelve-lead ECGs of a block of patients, and write WFDB records (format 16).

Each beat is a sum of Gaussian waves around its R peak, as in McSharry et al. 2003 (ECGSYN). Atrial fibrillation removes
the P waves and makes the rhythm irregular; ischaemia depresses the ST segment and inverts the T wave; sepsis and
inflammation raise the heart rate; a large heart raises the voltages (Sokolow & Lyon 1949).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int16

from polyclinic.demo.patients import Flags, Numbers, Patients

SAMPLING_HZ, SECONDS = 125, 10
SAMPLES = SAMPLING_HZ * SECONDS
UNITS_PER_MV = 1000
BEATS = 44  # enough for ten seconds at the fastest rate
FASTEST_BPM, SLOWEST_BPM = 190.0, 42.0
MEASURED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LARGE_HEART_VOLTAGE = 1.45  # factor of the R wave to the left, and of the S wave to the right


class Wave(NamedTuple):
    """A deflection: its time relative to the R peak, its width, and its height in each of the `MEASURED` leads."""

    centre_s: float
    width_s: float
    height_mv: tuple[float, ...]


Q = Wave(-0.030, 0.010, (-0.05, -0.10, 0.00, 0.00, 0.00, -0.03, -0.08, -0.08))
R = Wave(0.0, 0.011, (0.65, 1.05, 0.20, 0.45, 0.80, 1.35, 1.30, 1.05))
S = Wave(0.028, 0.011, (-0.10, -0.18, -0.85, -1.10, -0.75, -0.45, -0.30, -0.12))
P = Wave(-0.165, 0.024, (0.08, 0.14, 0.05, 0.05, 0.06, 0.07, 0.09, 0.08))
ST = Wave(0.145, 0.050, (-0.08, -0.10, 0.03, -0.04, -0.08, -0.14, -0.16, -0.12))  # in ischaemia
T = Wave(0.290, 0.052, (0.20, 0.28, -0.05, 0.35, 0.40, 0.40, 0.33, 0.25))
_RAISED = {R: ("I", "V5", "V6"), S: ("V1", "V2")}  # by a large heart

Trace = Float32[np.ndarray, "patient sample"]


class Ecgs(NamedTuple):
    """The ECGs of a block of patients, and what is true of them."""

    signals: Int16[np.ndarray, "patient sample lead"]  # in units of 1/`UNITS_PER_MV` mV; leads as `LEADS`
    rate_bpm: Numbers
    peaks_s: Float64[np.ndarray, "patient beat"]  # times of the R peaks; some lie outside the recording


def draw_ecgs(rng: np.random.Generator, patients: Patients) -> Ecgs:
    """Draw the patients' ECGs; the limb leads follow from I and II."""
    people, ill, count = patients.people, patients.illness, len(patients)
    rate = 82 + 4 * ill.inflammation + 6 * ill.has("sepsis") + 10 * rng.standard_normal(count)
    rate = np.clip(rate + 14 * people.atrial_fibrillation, SLOWEST_BPM, FASTEST_BPM)
    peaks = _peaks(rng, rate, people.atrial_fibrillation)
    before, after, period = _beats(peaks)
    from_peak = np.where(after < before, after, -before)
    regular = (~people.atrial_fibrillation).astype(np.float32)[:, None]
    ischaemic = ill.ischaemia.astype(np.float32)[:, None]
    large = ill.found("cardiomegaly").astype(np.float32)[:, None]
    time = np.arange(SAMPLES, dtype=np.float32) / SAMPLING_HZ
    flutter = (1 - regular) * np.sin(2 * np.pi * _uniform_column(rng, 5.0, 7.5, count) * time)
    shapes = {wave: _gaussian(from_peak, wave) for wave in (Q, R, S)}
    shapes |= {P: regular * _gaussian(-before, P), ST: ischaemic * _gaussian(after, ST)}
    shapes[T] = (1 - 1.6 * ischaemic) * _gaussian(after, T._replace(centre_s=0), T.centre_s * np.sqrt(period))
    wander = np.sin(2 * np.pi * (_uniform_column(rng, 0.15, 0.35, count) * time + _uniform_column(rng, 0, 1, count)))
    size = _uniform_column(rng, 0.75, 1.25, count)
    measured: dict[str, np.ndarray] = {}
    for place, lead in enumerate(MEASURED):
        raised = {wave: 1 + (LARGE_HEART_VOLTAGE - 1) * large * (lead in leads) for wave, leads in _RAISED.items()}
        waves = (wave.height_mv[place] * raised.get(wave, 1) * shape for wave, shape in shapes.items())
        trace = size * sum(waves, 0.04 * flutter)
        trace = trace + 0.06 * wander + 0.015 * rng.standard_normal(trace.shape, dtype=np.float32)
        measured[lead] = np.rint(UNITS_PER_MV * trace)
    leads = measured | _derived(measured["I"], measured["II"])
    return Ecgs(np.stack([np.rint(leads[lead]).astype(np.int16) for lead in LEADS], axis=-1), rate, peaks)


def truth(patients: Patients, ecgs: Ecgs) -> pl.DataFrame:
    """Return what is true of each patient's ECG; R peaks are those within the recording."""
    return pl.DataFrame(
        {
            "patient": patients.people.patient,
            "rate_bpm": ecgs.rate_bpm,
            "atrial_fibrillation": patients.people.atrial_fibrillation,
            "ischaemia": patients.illness.ischaemia,
            "large_heart": patients.illness.found("cardiomegaly"),
            "r_peaks_s": [row[(row >= 0) & (row < SECONDS)].tolist() for row in ecgs.peaks_s],
        }
    )


def _derived(i: np.ndarray, ii: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the other limb leads by the laws of Einthoven and Goldberger."""
    return {"III": ii - i, "aVR": -(i + ii) / 2, "aVL": i - ii / 2, "aVF": ii - i / 2}


def _uniform_column(rng: np.random.Generator, low: float, high: float, count: int) -> Float32[np.ndarray, "patient 1"]:
    return rng.uniform(low, high, (count, 1)).astype(np.float32)


def _gaussian(distance: Trace, wave: Wave, centre: Trace | float | None = None) -> Trace:
    middle = wave.centre_s if centre is None else centre
    return np.exp(-0.5 * ((distance - middle) / wave.width_s) ** 2)


def _peaks(rng: np.random.Generator, rate: Numbers, irregular: Flags) -> Float64[np.ndarray, "patient beat"]:
    """Draw the times of the R peaks, of which the first lies before the recording."""
    beat = 60 / rate[:, None]
    variation = np.where(irregular, 0.20, 0.025)[:, None] * rng.standard_normal((len(rate), BEATS))
    beats = beat * np.clip(1 + variation, 0.6, 1.6)
    peaks: np.ndarray = np.cumsum(beats, axis=1) - beats[:, :1] - beat * rng.random((len(rate), 1))
    return peaks


def _beats(peaks: Float64[np.ndarray, "patient beat"]) -> tuple[Trace, Trace, Trace]:
    """Return, for each sample, the seconds to the next R peak, since the last one, and between the two."""
    count = len(peaks)
    place = np.clip(np.ceil(peaks * SAMPLING_HZ).astype(np.int64), 0, SAMPLES)
    steps = np.zeros((count, SAMPLES + 1), np.int64)
    np.add.at(steps, (np.arange(count)[:, None], place), 1)
    passed = np.cumsum(steps, axis=1)[:, :SAMPLES]
    time = np.arange(SAMPLES) / SAMPLING_HZ
    last = np.take_along_axis(peaks, np.maximum(passed - 1, 0), axis=1)
    following = np.take_along_axis(peaks, np.minimum(passed, BEATS - 1), axis=1)
    until, since = following - time, time - last
    return until.astype(np.float32), since.astype(np.float32), (following - last).astype(np.float32)


def write_record(folder: Path, name: str, signal: Int16[np.ndarray, "sample lead"]) -> None:
    """Write `<name>.hea` and `<name>.dat`, following WFDB's HEADER(5) and SIGNAL(5)."""
    (folder / f"{name}.dat").write_bytes(signal.astype("<i2").tobytes())
    lines = [f"{name} {len(LEADS)} {SAMPLING_HZ} {len(signal)}"]
    for lead, title in enumerate(LEADS):
        checksum = int(signal[:, lead].sum(dtype=np.int16))
        lines.append(f"{name}.dat 16 {UNITS_PER_MV}/mV 16 0 {signal[0, lead]} {checksum} 0 {title}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
