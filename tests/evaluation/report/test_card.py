import dataclasses

import markdown
import pytest

from polyclinic.evaluation.report.card import Card, model_card
from tests.evaluation.cards import EVERY, binary_card, empty_card, survival_card


@pytest.mark.parametrize("make", EVERY)
def test_every_card_renders_and_round_trips_through_json(make):
    card = make()
    text = model_card(card)
    assert text.startswith(f"# {card.task}: {card.model}\n\n{card.question}")
    for heading in ("Cautions", "Intended use", "Not for", "Performance"):
        assert f"\n## {heading}\n" in text
    assert Card.from_json(card.to_json()) == card


def test_the_card_reports_every_result():
    card = binary_card()
    text = model_card(card)
    for figure in card.evaluation.figures.values():
        assert str(figure) in text
    for row in card.evaluation.groups:
        level = f"{row.level} ({row.caution})" if row.small else row.level
        assert f"| {level} | {row.n:,} | {row.cases:,} |" in text
    for contender in (*card.comparison.contenders, *card.subsets.contenders):
        assert contender.name in text
    assert "![Observed rate over predicted risk](<calibration.png>)" in text
    assert "1,234,567" in text
    assert "Subjects: train" in text
    assert "| Seed | 0 |" in text
    assert "A single hospital." in text
    html = markdown.markdown(text, extensions=["tables"])
    assert html.count("<table>") == 6


def test_sections_without_content_are_left_out():
    text = model_card(survival_card())
    for heading in ("Limits", "Data", "Comparison", "Groups", "Provenance", "Calibration"):
        assert f"## {heading}" not in text


def test_cautions_precede_the_figures():
    text = model_card(binary_card())
    assert text.index("## Cautions") < text.index("## Performance")
    for caveat in binary_card().caveats:
        assert caveat.split(" (")[0] in text


def test_a_card_without_samples():
    text = model_card(empty_card())
    assert "nothing to evaluate" in text
    assert "not estimable: no samples" in text


def test_names_cannot_break_the_card():
    card = dataclasses.replace(binary_card(), model="<b>x</b>|y", task="a\n# b")
    first, *_ = model_card(card).splitlines()
    assert first == r"# a \# b: &lt;b>x&lt;/b>\|y"
