"""Codes and their modalities."""

import polars as pl
import pytest

from polyclinic.cohort import MODALITIES, OUTCOME, kind, kinds, modality, name, unit


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("LAB//lactate//mmol/L", ("LAB", "lactate", "mmol/L")),
        ("DEMOGRAPHIC//sex", ("DEMOGRAPHIC", "sex", None)),
        ("MEDS_BIRTH", ("MEDS_BIRTH", "MEDS_BIRTH", None)),
        ("LAB//ratio//a//b", ("LAB", "ratio", "a//b")),
    ],
)
def test_parts_of_a_code(code: str, parts: tuple[str, str, str | None]) -> None:
    assert (kind(code), name(code), unit(code)) == parts
    assert pl.Series([code]).to_frame("code").select(kinds(pl.col("code"))).item() == parts[0]


def test_every_code_but_outcomes_has_a_modality() -> None:
    assert modality(f"{OUTCOME}//died") is None
    assert {modality(f"{k}//x") for k in ("NOTE", "IMAGE", "WAVEFORM", "LAB", "anything")} <= set(MODALITIES)
