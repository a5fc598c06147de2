"""Codes: `KIND//NAME//UNIT` in the source's own vocabulary, and the modality in which each kind is seen."""

from collections.abc import Mapping

import polars as pl

from polyclinic import modalities

SEPARATOR = "//"

#: Answers to questions, never inputs by default.
OUTCOME = "OUTCOME"

#: MEDS' code of the birth; its time is the date. A date known of the subject, and not the beginning of its record.
BIRTH = "MEDS_BIRTH"

#: Kinds with a modality of their own; every other kind but OUTCOME is structured.
MODALITY_OF_KIND: Mapping[str, str] = {
    kind: row.name for row in modalities.MODALITIES.values() for kind in row.kinds
} | {"WAVEFORM": "waveform"}

#: Kinds whose timed numbers are also seen as a series.
SERIES_KINDS = ("LAB", "VITAL")

MODALITIES = (*modalities.MODALITIES, "waveform")


def kind(code: str) -> str:
    """Give the first part of a code.

    >>> kind("LAB//lactate//mmol/L")
    'LAB'
    """
    return code.split(SEPARATOR, 1)[0]


def name(code: str) -> str:
    """Give the second part of a code, or the whole of a code without parts.

    >>> name("LAB//lactate//mmol/L"), name("MEDS_BIRTH")
    ('lactate', 'MEDS_BIRTH')
    """
    parts = code.split(SEPARATOR, 2)
    return parts[1] if len(parts) > 1 else code


def unit(code: str) -> str | None:
    """Give the third part of a code; None where it has none.

    >>> unit("LAB//lactate//mmol/L"), unit("DEMOGRAPHIC//sex")
    ('mmol/L', None)
    """
    parts = code.split(SEPARATOR, 2)
    return parts[2] if len(parts) > 2 else None


def modality(code: str) -> str | None:
    """Give the modality of a code's events; None for outcomes.

    >>> modality("NOTE//findings"), modality("DIAGNOSIS//I10"), modality("OUTCOME//died")
    ('note', 'structured', None)
    """
    return None if kind(code) == OUTCOME else MODALITY_OF_KIND.get(kind(code), "structured")


def kinds(codes: pl.Expr) -> pl.Expr:
    """Give the kind of every code of a column, as text."""
    return codes.cast(pl.String).str.splitn(SEPARATOR, 2).struct.field("field_0")
