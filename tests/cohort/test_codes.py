"""Codes and the modality in which they are seen."""

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
def test_parts(code: str, parts: tuple[str, str, str | None]) -> None:
    assert (kind(code), name(code), unit(code)) == parts
    assert pl.Series([code]).to_frame("code").select(kinds(pl.col("code"))).item() == parts[0]


def test_outcomes_have_no_modality_and_every_other_code_has_one() -> None:
    assert modality(f"{OUTCOME}//died") is None
    assert {modality(f"{k}//x") for k in ("NOTE", "IMAGE", "WAVEFORM", "LAB", "anything")} <= set(MODALITIES)
