from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.attribute_texts import known, source_attributes
from polyclinic.evaluation.report.description import Description
from polyclinic.evaluation.report.source_attributes import KEYS, SourceAttributes, remedy
from tests.evaluation.cards import EVERY, binary_card

SIZES = (4, 4, 2, 4, 2, 4, 5, 4, 2)


def test_there_are_31_attributes_in_nine_groups():
    groups = [field.annotation.model_fields for field in SourceAttributes.model_fields.values()]
    assert tuple(map(len, groups)) == SIZES
    assert len(list(source_attributes(binary_card()).items())) == sum(SIZES) == 31


@pytest.mark.parametrize("make", EVERY)
def test_each_is_a_fact_or_null(make):
    for group, name, value in source_attributes(make()).items():
        if value is None:
            text = remedy(group, name)
            assert text.startswith(("not stated (key: ", "not computed (by "))
            for key in text.partition("(key: ")[2].rstrip(")").split(", "):
                assert not key or key in About.model_fields
        else:
            assert value.text
            assert value.source != "stated", "people stated nothing"


@given(
    st.sampled_from(sorted({key for keys in KEYS.values() for key in keys.split(", ")} | {"funding", "intended_use"}))
)
def test_a_statement_is_given_as_it_is(key):
    card = replace(binary_card(), description=Description(about=About(**{key: "What people say"})))
    stated = [value for *_, value in source_attributes(card).items() if value and "stated" in value.source]
    assert len(stated) == 1
    assert stated[0].text.startswith("What people say")


def test_a_fact_is_told_from_a_statement():
    assert known(None) is None
    assert known("a").source == "stated"
    assert known(None, "b").source == "computed"
    assert (known("a", "b").text, known("a", "b").source) == ("a b", "stated and computed")
