"""Draw blood tests and vital signs of a block of patients, with noise and informative missingness.

Patients who seem more ill are measured more often, and some tests are ordered on suspicion only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.demo.patients import OBSERVED_HOURS, Numbers, Patients, sigmoid

Rows = NDArray[np.float64]


class Lab(NamedTuple):
    """Unit, decimals and panel of a test."""

    unit: str
    decimals: int
    panel: str


LABS: Mapping[str, Lab] = {
    "haemoglobin": Lab("g/dL", 1, "blood"),
    "white_cells": Lab("10^9/L", 1, "blood"),
    "platelets": Lab("10^9/L", 0, "blood"),
    "sodium": Lab("mmol/L", 0, "blood"),
    "potassium": Lab("mmol/L", 1, "blood"),
    "urea": Lab("mmol/L", 1, "blood"),
    "creatinine": Lab("umol/L", 0, "blood"),
    "glucose": Lab("mmol/L", 1, "blood"),
    "albumin": Lab("g/L", 0, "liver"),
    "crp": Lab("mg/L", 0, "infection"),
    "procalcitonin": Lab("ug/L", 2, "suspected"),
    "lactate": Lab("mmol/L", 1, "gas"),
    "bicarbonate": Lab("mmol/L", 1, "gas"),
    "pco2": Lab("kPa", 1, "gas"),
    "nt_probnp": Lab("ng/L", 0, "heart"),
    "troponin": Lab("ng/L", 0, "heart"),
}
#: Tests that some laboratories report in another unit: that unit, and the factor from the unit in `LABS`.
OTHER_UNITS: Mapping[str, tuple[str, float]] = {"lactate": ("mg/dL", 9.01), "creatinine": ("mg/dL", 0.0113)}

#: Vital signs: unit, decimals, and probability of being recorded in a round.
VITALS: Mapping[str, tuple[str, int, float]] = {
    "heart_rate": ("bpm", 0, 0.97),
    "respiratory_rate": ("bpm", 0, 0.93),
    "spo2": ("%", 0, 0.96),
    "systolic_pressure": ("mmHg", 0, 0.88),
    "diastolic_pressure": ("mmHg", 0, 0.88),
    "temperature": ("degC", 1, 0.45),
}
MAX_DRAWS, MAX_ROUNDS = 9, 96


class Moments(NamedTuple):
    """Flat rows of measurements: index of the patient in the block, and hours after admission."""

    patient: NDArray[np.int64]
    hour: Rows

    @classmethod
    def of(cls, hours: NDArray[np.float64], kept: NDArray[np.bool_]) -> "Moments":
        """Flatten `hours` [patient, moment] where `kept`."""
        return cls(np.nonzero(kept)[0], hours[kept])

    def noise(self, rng: np.random.Generator, scale: float) -> Rows:
        """Return the measurement error of each row."""
        return scale * rng.standard_normal(len(self.patient))


def times(patients: Patients, moments: Moments) -> pl.Series:
    """Return the times of the rows, to the minute."""
    minutes = np.round(moments.hour * 60).astype("timedelta64[m]")
    return pl.Series("time", patients.people.admitted[moments.patient] + minutes)


def _table(patients: Patients, moments: Moments, columns: dict[str, Any], recorded: NDArray[np.bool_]) -> pl.DataFrame:
    head = {"patient_id": patients.people.patient[moments.patient], "taken_at": times(patients, moments)}
    return pl.DataFrame(head | columns).filter(pl.Series(recorded[moments.patient]))


# --- blood tests ---------------------------------------------------------------------------------------------------


def draw_labs(rng: np.random.Generator, patients: Patients) -> pl.DataFrame:
    """Return one row per blood draw: `patient_id`, `taken_at`, each of `LABS`, and units that vary."""
    severity, count = patients.care.severity, len(patients)
    draws = np.clip(2 + rng.poisson(1.6 * np.exp(0.35 * severity)), 2, MAX_DRAWS)
    hours = np.sort(rng.uniform(4, OBSERVED_HOURS - 0.5, (count, MAX_DRAWS)), axis=1)
    hours[:, 0] = rng.uniform(0.4, 2.5, count)
    chosen = rng.random((count, MAX_DRAWS)).argsort(axis=1) < (draws - 1)[:, None]
    chosen[:, 0] = True
    moments = Moments.of(hours, chosen)
    levels = _lab_levels(rng, patients, moments)
    ordered = _ordered(rng, patients, moments)
    foreign = (rng.random(count) < 0.15)[moments.patient]
    columns: dict[str, Any] = {}
    for name, lab in LABS.items():
        factor = np.where(foreign, OTHER_UNITS[name][1], 1.0) if name in OTHER_UNITS else 1.0
        decimals = lab.decimals + (2 if name == "creatinine" else 0)
        values = pl.Series(np.round(levels[name] * factor, decimals), nan_to_null=True)
        columns[name] = values.set(pl.Series(~ordered[lab.panel]), None)
        if name in OTHER_UNITS:
            columns[f"{name}_unit"] = np.where(foreign, OTHER_UNITS[name][0], lab.unit)
    return _table(patients, moments, columns, patients.care.has_structured)


def _ordered(rng: np.random.Generator, patients: Patients, moments: Moments) -> dict[str, NDArray[np.bool_]]:
    """Return which panels were ordered at each draw."""
    ill, severity = patients.illness, patients.care.severity
    infected = ill.has("pneumonia") | ill.has("sepsis")
    first = moments.hour < 3
    probabilities: dict[str, Numbers] = {
        "blood": np.full(len(patients), 0.96),
        "liver": np.full(len(patients), 0.55),
        "infection": sigmoid(0.6 + 0.9 * infected),
        "suspected": sigmoid(-2.2 + 2.0 * infected + 0.4 * severity),
        "gas": sigmoid(0.5 + 0.8 * severity + 0.8 * ill.has("copd_exacerbation")),
        "heart": sigmoid(-1.2 + 1.8 * ill.has("heart_failure") + 2.0 * ill.ischaemia),
    }
    extra_at_first = {"blood": 1.0, "gas": 0.25, "infection": 0.3, "heart": 0.25}
    ordered = {}
    for panel, probability in probabilities.items():
        p = probability[moments.patient] + first * extra_at_first.get(panel, 0.0)
        ordered[panel] = rng.random(len(p)) < p
    return ordered


def _lab_levels(rng: np.random.Generator, patients: Patients, moments: Moments) -> dict[str, Rows]:
    people, ill, patient, t = patients.people, patients.illness, moments.patient, moments.hour / OBSERVED_HOURS

    def individual(scale: float) -> Numbers:
        return scale * rng.standard_normal(len(patients))

    def around(level: Numbers, error: float, drift: float = 0.0) -> Rows:
        """Each patient's level, with a linear drift over the two days and measurement error."""
        return level[patient] + individual(drift)[patient] * t + moments.noise(rng, error)

    male, old, renal, inflamed = ~people.female, people.age_decades, ill.renal, ill.inflammation
    copd, failing = ill.has("copd_exacerbation"), ill.has("heart_failure")
    bicarbonate = 24.5 - 2.4 * ill.perfusion - 0.4 * renal + 4.0 * copd + individual(0.9)
    return {
        "haemoglobin": around(12.6 + 1.1 * male - 0.25 * old - 0.9 * people.kidney_disease + individual(1.3), 0.3, 0.5),
        "white_cells": np.exp(around(2.25 + 0.16 * inflamed + individual(0.25), 0.08, 0.15)),
        "platelets": np.exp(around(5.45 - 0.06 * ill.perfusion + individual(0.28), 0.07, 0.1)),
        "sodium": around(138 - 1.2 * failing + individual(3.2), 1.0, 1.5),
        "potassium": around(4.15 + 0.28 * renal + individual(0.25), 0.15, 0.15),
        "urea": np.exp(around(1.95 + 0.36 * renal + 0.06 * old + individual(0.18), 0.08, 0.08)),
        "creatinine": np.exp(around(4.35 + 0.36 * renal + 0.16 * male + individual(0.12), 0.06, 0.06)),
        "glucose": np.exp(around(1.85 + 0.42 * people.diabetes + individual(0.15), 0.14, 0.1)),
        "albumin": around(36 - 2.0 * inflamed - 1.5 * ill.has("lung_cancer") + individual(3.5), 1.0, 1.0),
        "crp": np.exp(around(3.5 + 0.95 * inflamed + individual(0.35), 0.15, 0.4)),
        "procalcitonin": np.exp(around(-1.2 + 1.1 * inflamed + 1.2 * ill.has("sepsis") + individual(0.6), 0.2, 0.3)),
        "lactate": np.exp(around(0.45 + 0.45 * ill.perfusion + individual(0.12), 0.10, 0.08)),
        "bicarbonate": around(bicarbonate, 0.8, 0.8),
        "pco2": around(4.9 + 2.2 * copd + 0.4 * people.copd + individual(0.5), 0.25, 0.3),
        "nt_probnp": np.exp(
            around(5.6 + 1.9 * failing + 0.8 * people.heart_failure + 0.2 * old + individual(0.7), 0.15, 0.2)
        ),
        "troponin": np.exp(around(2.3 + 1.9 * ill.ischaemia + 0.35 * renal + 0.15 * old + individual(0.5), 0.12, 0.3)),
    }


# --- vital signs ---------------------------------------------------------------------------------------------------


def draw_vitals(rng: np.random.Generator, patients: Patients) -> pl.DataFrame:
    """Return one row per nursing round: `patient_id`, `taken_at`, each of `VITALS`, and the temperature's unit."""
    moments = _rounds(rng, patients)
    levels = _vital_levels(rng, patients, moments)
    fahrenheit = (rng.random(len(patients)) < 0.10)[moments.patient]
    levels["temperature"] = np.where(fahrenheit, levels["temperature"] * 1.8 + 32, levels["temperature"])
    columns: dict[str, Any] = {}
    for name, (_, decimals, probability) in VITALS.items():
        values = pl.Series(np.round(levels[name], decimals))
        kept = rng.random(len(values)) < probability
        columns[name] = (values if decimals else values.cast(pl.Int64)).set(pl.Series(~kept), None)
    columns["temperature_unit"] = np.where(fahrenheit, "degF", "degC")
    return _table(patients, moments, columns, patients.care.has_series)


def _rounds(rng: np.random.Generator, patients: Patients) -> Moments:
    """Draw the times of rounds: about hourly for the severely ill, every 2–3 hours for others, some with a gap."""
    count = len(patients)
    gap = np.clip(1.7 - 0.35 * patients.care.severity + 0.2 * rng.standard_normal(count), 0.8, 3.2)[:, None]
    hours = (
        rng.uniform(0.1, 1.0, (count, 1)) + np.cumsum(gap * rng.uniform(0.5, 1.5, (count, MAX_ROUNDS)), axis=1) - gap
    )
    left = rng.uniform(6, 40, (count, 1))
    away = (rng.random((count, 1)) < 0.25) & (hours > left) & (hours < left + rng.uniform(3, 7, (count, 1)))
    return Moments.of(hours, (hours > 0.1) & (hours < OBSERVED_HOURS) & ~away)


def _vital_levels(rng: np.random.Generator, patients: Patients, moments: Moments) -> dict[str, Rows]:
    people, ill, patient, hour = patients.people, patients.illness, moments.patient, moments.hour
    trend = (ill.course[patient] * np.clip((hour - 6) / (OBSERVED_HOURS - 6), 0, 1)).astype(np.float64)
    day = np.sin(2 * np.pi * (hour / 24) + rng.uniform(0, 2 * np.pi, len(patients))[patient])

    def individual(scale: float) -> Numbers:
        return scale * rng.standard_normal(len(patients))

    pneumonia, copd, sepsis = ill.has("pneumonia"), ill.has("copd_exacerbation"), ill.has("sepsis")
    rate = 84 + 4 * ill.inflammation + 6 * sepsis + 5 * ill.has("pneumothorax") + individual(11)
    breaths = 19 + 1.5 * pneumonia + 2.0 * copd + 1.5 * ill.has("pneumothorax") + individual(2.6)
    oxygen = 95.5 - 1.2 * pneumonia - 3.5 * copd - 1.0 * ill.has("heart_failure") + individual(1.4)
    pressure = 128 + 8 * people.hypertension - 14 * sepsis - 2 * ill.perfusion + individual(13)
    systolic = pressure[patient] + 3 * day + moments.noise(rng, 7)
    return {
        "heart_rate": rate[patient] + 8.5 * trend + 4 * day + moments.noise(rng, 5),
        "respiratory_rate": np.maximum(breaths[patient] + 4.0 * trend + moments.noise(rng, 1.6), 6),
        "spo2": np.clip(oxygen[patient] - 2.8 * trend + moments.noise(rng, 1.1), 70, 100),
        "systolic_pressure": np.maximum(systolic, 60),
        "diastolic_pressure": np.maximum(0.55 * systolic + individual(5)[patient] + moments.noise(rng, 4), 30),
        "temperature": 37.0
        + (0.45 * ill.inflammation + individual(0.3))[patient]
        + 0.25 * day
        + moments.noise(rng, 0.2),
    }
