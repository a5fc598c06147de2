import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.card import model_card
from polyclinic.evaluation.report.card_document import CardDocument, card_json, card_schema
from polyclinic.evaluation.report.description import Description
from tests.evaluation.cards import EVERY, binary_card

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "card.schema.json"


@pytest.mark.parametrize("make", EVERY)
def test_every_card_is_valid_json(make):
    plain = json.loads(json.dumps(card_json([make()]), allow_nan=False))
    assert CardDocument.model_validate(plain).model_dump(mode="json") == plain
    jsonschema.validate(plain, card_schema())


def test_the_published_schema_is_that_of_the_document():
    assert json.loads(PUBLISHED.read_text()) == card_schema()


def test_unknown_and_missing_keys_are_refused():
    plain = card_json([binary_card()])
    with pytest.raises(ValidationError):
        CardDocument.model_validate(plain | {"more": 1})
    plain["tasks"][0].pop("source_attributes")
    with pytest.raises(ValidationError):
        CardDocument.model_validate(plain)


def test_small_groups_have_no_counts():
    card = binary_card()
    rows = (
        replace(card.evaluation.groups[0], cases=3, caution="only 3 with the outcome"),
        replace(card.evaluation.groups[1], n=4, subjects=4, caution="only 4 subjects"),
    )
    card = replace(card, evaluation=replace(card.evaluation, groups=rows))
    first, second = card_json([card])["tasks"][0]["groups"]
    assert (first["cases"], first["figures"]) == (None, {})
    assert (second["samples"], second["figures"]) == (None, {})
    text = model_card(card)
    assert f"| {rows[0].level} (fewer than 5 with the outcome) | not shown | &lt; 5 |" in text, "the other follows"
    assert f"| {rows[1].level} (fewer than 5 subjects) | &lt; 5 |" in text
    assert "only 3" not in text
    assert "only 4" not in text


def test_statements_are_in_the_card_and_what_is_missing_names_its_key():
    card = replace(binary_card(), description=Description(about=About(developer="Clinic X")))
    text = model_card(card)
    assert "| Developer and contact | Clinic X | stated |" in text
    assert "| Funding | not stated (key: funding) | – |" in text
    plain = card_json([card])
    assert plain["about"]["developer"] == plain["tasks"][0]["applied_model_card"]["basic_info"]["model_developer"]
    assert plain["tasks"][0]["source_attributes"]["details"]["funding"] is None
