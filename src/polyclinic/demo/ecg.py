"""Draw ten-second, two-lead ECGs of a block of patients, and write WFDB records (format 16).

Each beat is a sum of Gaussian waves around its R peak, as in McSharry et al. 2003 (ECGSYN). Atrial fibrillation removes
the P waves and makes the rhythm irregular; ischaemia depresses the ST segment and inverts the T wave; sepsis and
inflammation raise the heart rate.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int16

from polyclinic.demo.patients import Flags, Numbers, Patients

SAMPLING_HZ, SECONDS = 250, 10
SAMPLES = SAMPLING_HZ * SECONDS
UNITS_PER_MV = 1000
BEATS = 44  # enough for ten seconds at the fastest rate
FASTEST_BPM, SLOWEST_BPM = 190.0, 42.0
LEADS = ("II", "V5")


class Wave(NamedTuple):
    """A deflection: its time relative to the R peak, its width, and its height in each lead."""

    centre_s: float
    width_s: float
    height_mv: tuple[float, float]


Q = Wave(-0.030, 0.010, (-0.10, -0.08))
R = Wave(0.0, 0.011, (1.05, 1.30))
S = Wave(0.028, 0.011, (-0.18, -0.30))
P = Wave(-0.165, 0.024, (0.14, 0.09))
ST = Wave(0.145, 0.050, (-0.10, -0.16))  # in ischaemia
T = Wave(0.290, 0.052, (0.28, 0.33))

Trace = Float32[np.ndarray, "patient sample"]


def draw_ecgs(rng: np.random.Generator, patients: Patients) -> Int16[np.ndarray, "patient sample lead"]:
    """Return the patients' ECGs, in units of 1/`UNITS_PER_MV` mV."""
    people, ill, count = patients.people, patients.illness, len(patients)
    rate = 82 + 4 * ill.inflammation + 6 * ill.has("sepsis") + 10 * rng.standard_normal(count)
    rate = np.clip(rate + 14 * people.atrial_fibrillation, SLOWEST_BPM, FASTEST_BPM)
    before, after, period = _beats(rng, rate, people.atrial_fibrillation)
    from_peak = np.where(after < before, after, -before)
    regular = (~people.atrial_fibrillation).astype(np.float32)[:, None]
    ischaemic = ill.ischaemia.astype(np.float32)[:, None]
    time = np.arange(SAMPLES, dtype=np.float32) / SAMPLING_HZ
    flutter = (1 - regular) * np.sin(2 * np.pi * _uniform_column(rng, 5.0, 7.5, count) * time)
    shapes = {wave: _gaussian(from_peak, wave) for wave in (Q, R, S)}
    shapes |= {P: regular * _gaussian(-before, P), ST: ischaemic * _gaussian(after, ST)}
    shapes[T] = (1 - 1.6 * ischaemic) * _gaussian(after, T._replace(centre_s=0), T.centre_s * np.sqrt(period))
    wander = np.sin(2 * np.pi * (_uniform_column(rng, 0.15, 0.35, count) * time + _uniform_column(rng, 0, 1, count)))
    size = _uniform_column(rng, 0.75, 1.25, count)
    leads = []
    for lead in range(len(LEADS)):
        trace = size * sum((wave.height_mv[lead] * shape for wave, shape in shapes.items()), 0.04 * flutter)
        trace = trace + 0.06 * wander + 0.015 * rng.standard_normal(trace.shape, dtype=np.float32)
        leads.append(np.rint(UNITS_PER_MV * trace).astype(np.int16))
    return np.stack(leads, axis=-1)


def _uniform_column(rng: np.random.Generator, low: float, high: float, count: int) -> Float32[np.ndarray, "patient 1"]:
    return rng.uniform(low, high, (count, 1)).astype(np.float32)


def _gaussian(distance: Trace, wave: Wave, centre: Trace | float | None = None) -> Trace:
    middle = wave.centre_s if centre is None else centre
    return np.exp(-0.5 * ((distance - middle) / wave.width_s) ** 2)


def _beats(rng: np.random.Generator, rate: Numbers, irregular: Flags) -> tuple[Trace, Trace, Trace]:
    """Return, for each sample, the seconds to the next R peak, since the last one, and between the two."""
    count = len(rate)
    beat = 60 / rate[:, None]
    variation = np.where(irregular, 0.20, 0.025)[:, None] * rng.standard_normal((count, BEATS))
    beats = beat * np.clip(1 + variation, 0.6, 1.6)
    peaks = np.cumsum(beats, axis=1) - beats[:, :1] - beat * rng.random((count, 1))
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
