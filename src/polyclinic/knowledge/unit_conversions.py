"""Conversions between the units that laboratories and monitors use for the same quantity.

Factors are those of the AMA Manual of Style, 11th edition, chapter 17.5 (conventional units to SI), which follow from
the molar masses; pressures, lengths, masses and temperatures are exact by definition (NIST SP 811). HbA1c is by the
IFCC–NGSP master equation (Hoelzel 2004).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from polyclinic.cohort import name, unit


class Conversion(NamedTuple):
    """A number in unit `of` times `factor` plus `offset` is the number in the wanted unit; `of` None: not named."""

    of: str | None
    factor: float
    offset: float = 0.0

    def __str__(self) -> str:
        """Describe it, such as `looks like mg/dL: ×88.4`.

        >>> str(Conversion("mg/dL", 88.4)), str(Conversion(None, 1000))
        ('looks like mg/dL: ×88.4', 'looks like a power of ten: ×1000')
        """
        shift = "" if not self.offset else f" {'+' if self.offset > 0 else '−'} {abs(self.offset):.3g}"
        return f"looks like {self.of or 'a power of ten'}: ×{self.factor:.4g}{shift}"


class _Row(NamedTuple):
    names: str  # words of a code's name, any of which is enough
    of: str
    to: str
    factor: float
    offset: float = 0.0


TABLE = (
    _Row("creatinine creat crea", "mg/dL", "umol/L", 88.4),
    _Row("glucose glu", "mg/dL", "mmol/L", 1 / 18.016),
    _Row("bilirubin bili", "mg/dL", "umol/L", 17.1),
    _Row("bun urea", "mg/dL", "mmol/L", 0.357),  # of urea nitrogen
    _Row("urea", "mg/dL", "mmol/L", 0.1665),  # of urea itself
    _Row("bun urea", "mg/dL urea nitrogen", "mg/dL", 2.14),
    _Row("calcium ca", "mg/dL", "mmol/L", 0.2495),
    _Row("calcium ca magnesium mg", "mEq/L", "mmol/L", 0.5),
    _Row("magnesium mg", "mg/dL", "mmol/L", 0.4114),
    _Row("phosphate phosphorus phos", "mg/dL", "mmol/L", 0.3229),
    _Row("cholesterol chol ldl hdl", "mg/dL", "mmol/L", 0.02586),
    _Row("triglycerides triglyceride", "mg/dL", "mmol/L", 0.01129),
    _Row("haemoglobin hemoglobin hb hgb", "g/dL", "g/L", 10),
    _Row("haemoglobin hemoglobin hb hgb", "g/dL", "mmol/L", 0.6206),
    _Row("haemoglobin hemoglobin hb hgb", "mmol/L", "g/L", 16.114),
    _Row("mchc albumin alb protein globulin", "g/dL", "g/L", 10),
    _Row("fibrinogen", "mg/dL", "g/L", 0.01),
    _Row("lactate lact lactic", "mg/dL", "mmol/L", 0.111),
    _Row("urate uric", "mg/dL", "umol/L", 59.48),
    _Row("ammonia", "ug/dL", "umol/L", 0.5872),
    _Row("iron", "ug/dL", "umol/L", 0.179),
    _Row("cortisol", "ug/dL", "nmol/L", 27.59),
    _Row("crp protein", "mg/dL", "mg/L", 10),
    _Row("troponin troponini troponint ddimer dimer", "ng/mL", "ng/L", 1000),
    _Row("hba1c a1c", "%", "mmol/mol", 10.929, -23.5),
    _Row("temperature temp", "°F", "°C", 5 / 9, -160 / 9),
    _Row("temperature temp", "K", "°C", 1, -273.15),
    _Row("weight wt", "lb", "kg", 0.45359237),
    _Row("weight wt", "g", "kg", 0.001),
    _Row("height ht", "in", "cm", 2.54),
    _Row("height ht", "m", "cm", 100),
    _Row("pao2 paco2 po2 pco2 bp pressure sbp dbp map nisysabp nidiasabp sysabp diasabp", "kPa", "mmHg", 7.50062),
    _Row("peep pip pplat pressure cvp", "cmH2O", "mmHg", 0.73556),
    _Row("fio2 spo2 sao2 saturation hematocrit haematocrit hct", "a fraction of 1", "%", 100),
)
"""A conversion per row; each is also used the other way round."""

POWERS_OF_TEN = tuple(Conversion(None, 10.0**power) for power in (-6, -3, -2, -1, 1, 2, 3, 6))

_UNITS = {"c": "°c", "degc": "°c", "celsius": "°c", "f": "°f", "degf": "°f", "fahrenheit": "°f", "lbs": "lb"}


def conversions(code: str) -> tuple[Conversion, ...]:
    """Return the conversions to a code's unit from the other units of what it measures, and then powers of ten.

    >>> [str(found) for found in conversions("LAB//creatinine//umol/L")][:1]
    ['looks like mg/dL: ×88.4']
    """
    return (*_named(code), *POWERS_OF_TEN)


def _named(code: str) -> Iterator[Conversion]:
    own, words = _plain(unit(code) or ""), _words(name(code))
    rows = [row for row in TABLE if words & set(row.names.split())]
    is_listed = own in {_plain(side) for row in rows for side in (row.of, row.to)}
    for row in rows:
        if own == _plain(row.to) or not is_listed:
            yield Conversion(row.of, row.factor, row.offset)
        if own == _plain(row.of) or not is_listed:
            yield Conversion(row.to, 1 / row.factor, -row.offset / row.factor)


def _words(text: str) -> set[str]:
    """Return the words of a name, with the name as one word: `Serum creatinine`, `D-dimer`, `paO2`."""
    words = re.findall(r"[a-z0-9]+", text.casefold())
    return {*words, "".join(words)}


def _plain(text: str) -> str:
    """Write a unit in one way, whatever its case, spaces and sign for micro."""
    plain = re.sub(r"\s+", "", text.casefold()).replace("µ", "u").replace("μ", "u")
    return _UNITS.get(plain, plain)
