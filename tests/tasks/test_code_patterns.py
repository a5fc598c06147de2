import pytest

from polyclinic.tasks import Inputs

CODES = ["LAB//lactate//mmol/L", "NOTE//impression", "OUTCOME//died", "VITAL//HR//bpm"]


def test_all_codes_except_outcomes_are_inputs():
    assert Inputs().among(CODES) == ["LAB//lactate//mmol/L", "NOTE//impression", "VITAL//HR//bpm"]


@pytest.mark.parametrize("include", ["*", "OUTCOME//*", ("*", "OUTCOME//died")])
def test_outcomes_are_never_inputs(include):
    assert not Inputs(include=include, exclude=()).selects("OUTCOME//died")


def test_exclude_takes_precedence_over_include():
    inputs = Inputs(include=["LAB//*", "NOTE//*"], exclude="NOTE//impression")
    assert inputs.among(CODES) == ["LAB//lactate//mmol/L"]


def test_in_words():
    assert Inputs().in_words() == "all codes"
    assert Inputs(exclude=["OUTCOME//*", "NOTE//*"]).in_words() == "all codes except NOTE//*"
    assert Inputs(include=["LAB//*", "VITAL//*"]).in_words() == "LAB//* or VITAL//*"
