"""Codes: `KIND//NAME//UNIT` in the source's own vocabulary, and the modality of each kind."""

from collections.abc import Mapping

import polars as pl

from polyclinic import modalities

SEPARATOR = "//"

#: Outcomes: labels of tasks, never inputs by default.
OUTCOME = "OUTCOME"

#: MEDS' code of the birth; its time is the date of birth, which does not mark the start of the record.
BIRTH = "MEDS_BIRTH"

#: Kinds with a modality of their own; every other kind but OUTCOME is structured.
MODALITY_OF_KIND: Mapping[str, str] = {kind: row.name for row in modalities.MODALITIES.values() for kind in row.kinds}

#: Kinds whose timed numbers are also part of the series modality.
SERIES_KINDS = ("LAB", "VITAL")

MODALITIES = tuple(modalities.MODALITIES)


def kind(code: str) -> str:
    """Return the kind: the first part of a code.

    >>> kind("LAB//lactate//mmol/L")
    'LAB'
    """
    return code.split(SEPARATOR, 1)[0]


def name(code: str) -> str:
    """Return the name: the second part of a code, or the whole code if it has one part.

    >>> name("LAB//lactate//mmol/L"), name("MEDS_BIRTH")
    ('lactate', 'MEDS_BIRTH')
    """
    parts = code.split(SEPARATOR, 2)
    return parts[1] if len(parts) > 1 else code


def unit(code: str) -> str | None:
    """Return the unit: the third part of a code, or None.

    >>> unit("LAB//lactate//mmol/L"), unit("DEMOGRAPHIC//sex")
    ('mmol/L', None)
    """
    parts = code.split(SEPARATOR, 2)
    return parts[2] if len(parts) > 2 else None


def modality(code: str) -> str | None:
    """Return the modality of a code's events, or None for outcomes.

    >>> modality("NOTE//findings"), modality("DIAGNOSIS//I10"), modality("OUTCOME//died")
    ('note', 'structured', None)
    """
    return None if kind(code) == OUTCOME else MODALITY_OF_KIND.get(kind(code), "structured")


def kinds(codes: pl.Expr) -> pl.Expr:
    """Return an expression for the kind of each code in a column, as text."""
    return codes.cast(pl.String).str.splitn(SEPARATOR, 2).struct.field("field_0")
