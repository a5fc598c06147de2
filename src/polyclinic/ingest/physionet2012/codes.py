"""The parameters of the PhysioNet/CinC Challenge 2012: code, unit and plausible range in a living adult.

Units are those of the challenge's page (https://physionet.org/content/challenge-2012/), except magnesium, which is in
mg/dL: the page says mmol/L, but the median of 2.0 is twice the physiological value in mmol/L. The ranges are wide: they
exclude the impossible (pH 73, 1.8 cm, -17.8 °C) and keep the extreme. Zero is allowed for values that can be zero in
cardiac arrest.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Parameter(NamedTuple):
    """One parameter: its code, plausible range (inclusive), and the categories that its numbers encode, if any."""

    code: str
    lowest: float
    highest: float
    static: bool = False
    names: Mapping[int, str] | None = None


SEXES = {0: "female", 1: "male"}
ICU_TYPES = {1: "coronary", 2: "cardiac surgery recovery", 3: "medical", 4: "surgical"}

PARAMETERS: Mapping[str, Parameter] = {
    # Descriptors, at 00:00. The ICU type is not static, so that it marks the time of admission.
    "Age": Parameter("DEMOGRAPHIC//age//years", 15, 120, static=True),  # 200 and more stand for ages over 89
    "Gender": Parameter("DEMOGRAPHIC//sex", 0, 1, static=True, names=SEXES),
    "Height": Parameter("DEMOGRAPHIC//height//cm", 100, 250, static=True),
    "ICUType": Parameter("DEMOGRAPHIC//icu_type", 1, 4, names=ICU_TYPES),
    # Charted at the bedside.
    "DiasABP": Parameter("VITAL//DiasABP//mmHg", 0, 300),
    "FiO2": Parameter("VITAL//FiO2//fraction", 0.15, 1),
    "GCS": Parameter("VITAL//GCS//points", 3, 15),
    "HR": Parameter("VITAL//HR//bpm", 0, 350),
    "MAP": Parameter("VITAL//MAP//mmHg", 0, 350),
    "MechVent": Parameter("PROCEDURE//MechVent", 0, 1),
    "NIDiasABP": Parameter("VITAL//NIDiasABP//mmHg", 0, 300),
    "NIMAP": Parameter("VITAL//NIMAP//mmHg", 0, 350),
    "NISysABP": Parameter("VITAL//NISysABP//mmHg", 0, 400),
    "RespRate": Parameter("VITAL//RespRate//bpm", 0, 120),
    "SysABP": Parameter("VITAL//SysABP//mmHg", 0, 400),
    "Temp": Parameter("VITAL//Temp//C", 20, 45),
    "Urine": Parameter("VITAL//Urine//mL", 0, 15_000),
    "Weight": Parameter("VITAL//Weight//kg", 20, 400),
    # From the laboratory.
    "ALP": Parameter("LAB//ALP//U/L", 1, 20_000),
    "ALT": Parameter("LAB//ALT//U/L", 1, 50_000),
    "AST": Parameter("LAB//AST//U/L", 1, 50_000),
    "Albumin": Parameter("LAB//Albumin//g/dL", 0.3, 8),
    "BUN": Parameter("LAB//BUN//mg/dL", 0, 400),
    "Bilirubin": Parameter("LAB//Bilirubin//mg/dL", 0, 100),
    "Cholesterol": Parameter("LAB//Cholesterol//mg/dL", 10, 1_500),
    "Creatinine": Parameter("LAB//Creatinine//mg/dL", 0.05, 50),
    "Glucose": Parameter("LAB//Glucose//mg/dL", 5, 3_000),
    "HCO3": Parameter("LAB//HCO3//mmol/L", 1, 80),
    "HCT": Parameter("LAB//HCT//%", 5, 80),
    "K": Parameter("LAB//K//mEq/L", 0.8, 15),
    "Lactate": Parameter("LAB//Lactate//mmol/L", 0.05, 50),
    "Mg": Parameter("LAB//Mg//mg/dL", 0.1, 20),
    "Na": Parameter("LAB//Na//mEq/L", 80, 220),
    "PaCO2": Parameter("LAB//PaCO2//mmHg", 5, 250),
    "PaO2": Parameter("LAB//PaO2//mmHg", 10, 760),
    "Platelets": Parameter("LAB//Platelets//cells/nL", 0, 5_000),
    "SaO2": Parameter("LAB//SaO2//%", 5, 100),
    "TroponinI": Parameter("LAB//TroponinI//ug/L", 0, 2_000),
    "TroponinT": Parameter("LAB//TroponinT//ug/L", 0, 500),
    "WBC": Parameter("LAB//WBC//cells/nL", 0, 1_000),
    "pH": Parameter("LAB//pH", 6.2, 8),
}

OUTCOMES: Mapping[str, Parameter] = {
    "SAPS-I": Parameter("OUTCOME//SAPS-I", 0, 60),
    "SOFA": Parameter("OUTCOME//SOFA", 0, 24),
    "Length_of_stay": Parameter("OUTCOME//length_of_stay//days", 0, 2_000),
    "Survival": Parameter("OUTCOME//survival//days", 0, 40_000),
    "In-hospital_death": Parameter("OUTCOME//in_hospital_death", 0, 1),
}
