"""Conversions of units, against molar masses and definitions."""

import pytest

from polyclinic.knowledge.unit_conversions import POWERS_OF_TEN, TABLE, conversions

MOLAR_MASSES = {  # g/mol
    "creatinine": 113.12,
    "glucose": 180.16,
    "bilirubin": 584.66,
    "calcium": 40.078,
    "magnesium": 24.305,
    "phosphate": 30.974,  # of phosphorus
    "cholesterol": 386.65,
    "triglycerides": 885.7,
    "lactate": 90.08,  # of lactic acid
    "uric": 168.11,
    "iron": 55.845,
    "cortisol": 362.46,
    "ammonia": 17.031,
}
MASS = {"mg/dL": 10.0, "ug/dL": 0.01, "g/dL": 1e4}  # in mg/L
SUBSTANCE = {"mmol/L": 1.0, "umol/L": 1e-3, "nmol/L": 1e-6}  # in mmol/L


def mass_of(row):
    return next((MOLAR_MASSES[word] for word in row.names.split() if word in MOLAR_MASSES), None)


OF_SUBSTANCE = [row for row in TABLE if mass_of(row) and row.of in MASS and row.to in SUBSTANCE]


@pytest.mark.parametrize("row", OF_SUBSTANCE, ids=lambda row: row.names.split()[0])
def test_factors_follow_from_molar_masses(row):
    assert row.factor == pytest.approx(MASS[row.of] / mass_of(row) / SUBSTANCE[row.to], rel=0.012)


@pytest.mark.parametrize(
    ("code", "of", "number", "wanted"),
    [
        ("LAB//creatinine//umol/L", "mg/dL", 1.0, 88.4),
        ("LAB//Serum Creatinine//µmol/L", "mg/dL", 2.0, 176.8),
        ("LAB//creatinine//mg/dL", "umol/L", 88.4, 1.0),
        ("LAB//glucose//mmol/L", "mg/dL", 90.0, 5.0),
        ("LAB//BUN//mmol/L", "mg/dL", 14.0, 5.0),
        ("LAB//urea//mg/dL", "mmol/L", 5.0, 30.0),
        ("LAB//hgb//g/dL", "g/L", 140.0, 14.0),
        ("LAB//hgb//g/dL", "mmol/L", 8.69, 14.0),
        ("LAB//hemoglobin//g/L", "mmol/L", 8.69, 140.0),
        ("VITAL//temperature//°C", "°F", 98.6, 37.0),
        ("VITAL//Temp//C", "°F", 98.6, 37.0),
        ("VITAL//Temp//degF", "°C", 37.0, 98.6),
        ("DEMOGRAPHIC//weight//kg", "lb", 154.3, 70.0),
        ("LAB//PaO2//mmHg", "kPa", 12.0, 90.0),
        ("LAB//paco2//kPa", "mmHg", 40.0, 5.33),
        ("LAB//lactate//mmol/L", "mg/dL", 18.0, 2.0),
        ("LAB//crp//mg/L", "mg/dL", 5.0, 50.0),
        ("VITAL//spo2//%", "a fraction of 1", 0.97, 97.0),
        ("LAB//hba1c//mmol/mol", "%", 7.0, 53.0),
        ("LAB//glucose", "mg/dL", 90.0, 5.0),
        ("LAB//glucose", "mmol/L", 5.0, 90.0),
    ],
)
def test_known_pairs(code, of, number, wanted):
    found = [c.factor * number + c.offset for c in conversions(code) if c.of == of]
    assert any(value == pytest.approx(wanted, rel=0.01) for value in found)


def test_other_codes_have_powers_of_ten_only():
    assert conversions("LAB//sodium//mmol/L") == POWERS_OF_TEN
    assert conversions("SCORE//gcs") == POWERS_OF_TEN
