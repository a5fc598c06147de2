"""Tables of demographics, treatment and outcomes of a block of patients."""

import numpy as np
import polars as pl

from polyclinic.demo.labs_and_vitals import Moments, times
from polyclinic.demo.patients import CONDITIONS, FINDINGS, Patients

CHRONIC = ("diabetes", "hypertension", "kidney_disease")
DOSE_MG = 50
PANEL_HOUR = 60.0  # when a panel of readers agrees on findings and diagnosis


def at(patients: Patients, hours: np.ndarray | float) -> pl.Series:
    """Return one time per patient, `hours` after admission."""
    indices = np.arange(len(patients))
    return times(patients, Moments(indices, np.broadcast_to(np.asarray(hours, float), (len(patients),))))


def demographics(rng: np.random.Generator, patients: Patients) -> pl.DataFrame:
    """Return one row per patient; height and weight are often missing."""
    people = patients.people
    measured = pl.Series(rng.random(len(patients)) < 0.8)
    table = pl.DataFrame(
        {
            "patient_id": people.patient,
            "age": people.age.astype(np.int64),
            "sex": np.where(people.female, "F", "M"),
            "height_cm": pl.Series(people.height_cm.astype(np.int64)).set(~measured, None),
            "weight_kg": pl.Series(people.weight_kg).set(~measured, None),
            **{name: np.where(getattr(people, name), "yes", "no") for name in CHRONIC},
        }
    )
    return table.filter(pl.Series(patients.care.has_structured))


def treatments(patients: Patients) -> pl.DataFrame:
    """Return one row per treated patient."""
    care = patients.care
    table = pl.DataFrame(
        {
            "patient_id": patients.people.patient,
            "given_at": at(patients, care.treated_hour),
            "hydrocortisone_mg": np.full(len(patients), DOSE_MG),
        }
    )
    return table.filter(pl.Series(care.treated & care.has_structured))


def outcomes(patients: Patients) -> pl.DataFrame:
    """Return one row per outcome: `patient_id`, `time`, `outcome`, `value`. Unobserved outcomes have no row."""
    truth, all_patients = patients.outcomes, np.ones(len(patients), bool)
    discharge = np.minimum(24 * truth.stay_days, np.where(truth.died, truth.death_hour, np.inf))
    condition = np.array(CONDITIONS)[patients.illness.condition]
    ones = np.full(len(patients), "1")
    rows = [
        ("deterioration", truth.deterioration_hour, _flag(truth.deteriorated), truth.known),
        ("diagnosis", PANEL_HOUR, condition, all_patients),
        ("length_of_stay", discharge, np.char.mod("%.2f", discharge / 24), all_patients),
        ("death", truth.death_hour, ones, truth.died),
        ("end_of_follow_up", truth.follow_up_hour, ones, ~truth.died),
        *((finding, PANEL_HOUR, _flag(patients.illness.found(finding)), all_patients) for finding in FINDINGS),
    ]
    tables = [
        pl.DataFrame(
            {"patient_id": patients.people.patient, "time": at(patients, hours), "outcome": name, "value": value}
        ).filter(pl.Series(kept))
        for name, hours, value, kept in rows
    ]
    return pl.concat(tables).sort("patient_id", "time", "outcome")


def _flag(yes: np.ndarray) -> np.ndarray:
    return np.where(yes, "1", "0")
