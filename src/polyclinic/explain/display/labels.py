"""Readable labels of codes and features: `LAB//crp//mg/L maximum` → “CRP, maximum” and “181 mg/L”."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from polyclinic.cohort.codes import name, unit
from polyclinic.features.structured.columns import COUNT, RARE, UNKNOWN
from polyclinic.features.structured.summaries import STATISTICS

SPELLINGS = {
    "bmi": "BMI", "bun": "BUN", "crp": "CRP", "ecg": "ECG", "fio2": "FiO₂", "gcs": "GCS", "hco3": "HCO₃", "inr": "INR",
    "nt_probnp": "NT-proBNP", "paco2": "PaCO₂", "pao2": "PaO₂", "pco2": "pCO₂", "ph": "pH", "po2": "pO₂",
    "sao2": "SaO₂", "spo2": "SpO₂", "wbc": "WBC",
}  # fmt: skip
UNITS = {"umol/L": "µmol/L", "ug/L": "µg/L", "degC": "°C", "10^9/L": "×10⁹/L", "bpm": "/min"}
SLOPE, HOURS = "slope", "hours since last"
STATISTIC_LABELS = {HOURS: "time since the last", "sd": "SD"}
CATEGORY = "= "
CATEGORIES = {RARE: ("a rare value", "no rare value"), UNKNOWN: ("not recorded", "recorded"), "": ("yes", "no")}
NOT_KNOWN = "not known"


class LabelledValue(NamedTuple):
    """The readable label and value of a feature."""

    label: str
    value: str


def label_of(code: str) -> str:
    """Return the readable name of a code.

    >>> label_of("VITAL//spo2//%"), label_of("LAB//white_cells//10^9/L"), label_of("DIAGNOSIS//I10")
    ('SpO₂', 'White cells', 'I10')
    """
    plain = name(code)
    known = SPELLINGS.get(plain.lower())
    return known or plain[:1].upper() + plain[1:].replace("_", " ")


def unit_of(code: str) -> str:
    """Return the unit of a code; empty if it has none.

    >>> unit_of("LAB//creatinine//umol/L")
    'µmol/L'
    """
    plain = unit(code) or ""
    return UNITS.get(plain, plain)


def feature_of(feature: str, code: str, value: float) -> LabelledValue:
    """Return the label of a structured feature, and its value with unit.

    >>> feature_of("LAB//crp//mg/L maximum", "LAB//crp//mg/L", 181.0)
    LabelledValue(label='CRP, maximum', value='181 mg/L')
    >>> feature_of("DEMOGRAPHIC//sex = female", "DEMOGRAPHIC//sex", 0.0)
    LabelledValue(label='Sex', value='not female')
    """
    of = feature.removeprefix(code).strip()
    if of in STATISTICS:
        return LabelledValue(f"{label_of(code)}, {STATISTIC_LABELS.get(of, of)}", with_unit(value, _unit(of, code)))
    if math.isnan(value):
        return LabelledValue(label_of(code), NOT_KNOWN)
    true, false = CATEGORIES.get(of, (of.removeprefix(CATEGORY), f"not {of.removeprefix(CATEGORY)}"))
    return LabelledValue(label_of(code), true if value > 0.5 else false)


def feature_in_words(feature: str, value: float) -> LabelledValue:
    """Return the same as `feature_of`, with the code taken from the feature's name.

    >>> feature_in_words("LAB//lactate//mmol/L hours since last", 3.0)
    LabelledValue(label='Lactate, time since the last', value='3 h')
    """
    code, found, _ = feature.partition(f" {CATEGORY}")
    if not found:
        endings = sorted((*STATISTICS, RARE, UNKNOWN), key=len, reverse=True)
        code = next((feature.removesuffix(f" {one}") for one in endings if feature.endswith(f" {one}")), feature)
    return feature_of(feature, code, value)


def with_unit(value: float, unit: str) -> str:
    """Format a value with its unit; NaN is unknown."""
    if math.isnan(value):
        return NOT_KNOWN
    return f"{number(value)} {unit}" if unit and not unit.startswith("/") else f"{number(value)}{unit}"


def number(value: float) -> str:
    """Format a number to three figures, with a typographic minus sign.

    >>> number(0.12345), number(-38.64), number(12345.6)
    ('0.123', '−38.6', '12,346')
    """
    text = f"{abs(value):,.0f}" if abs(value) >= 100 else f"{abs(value):.3g}"
    return f"−{text}" if value < 0 and text != "0" else text


def signed(value: float, digits: int = 2) -> str:
    """Format a score with its sign.

    >>> signed(0.4249), signed(-1.2), signed(0.001)
    ('+0.42', '−1.20', '0.00')
    """
    text = f"{abs(value):.{digits}f}"
    if not text.strip("0."):
        return text
    return ("+" if value > 0 else "−") + text


def digits_of(largest: float) -> int:
    """Return the decimals of scores so that the largest has two significant figures.

    >>> digits_of(3.2), digits_of(0.61), digits_of(0.0153), digits_of(0.0)
    (2, 2, 3, 2)
    """
    return min(max(2, 1 - math.floor(math.log10(largest))), 6) if largest > 0 else 2


def writer(scores: Iterable[float]) -> Callable[[float], str]:
    """Return a formatter of the scores of one table, with equal decimals."""
    digits = digits_of(max(map(abs, scores), default=0.0))
    return lambda value: signed(value, digits)


def _unit(of: str, code: str) -> str:
    if of == COUNT:
        return "×"
    if of == HOURS:
        return "h"
    return f"{unit_of(code)}/h" if of == SLOPE else unit_of(code)
