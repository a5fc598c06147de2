import dataclasses
import re
from html.parser import HTMLParser

import pytest

from polyclinic.evaluation.report.page import page, write_page
from polyclinic.evaluation.report.shown_counts import shown_figures
from tests.evaluation.cards import EVERY, binary_card, empty_card

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Outline(HTMLParser):
    """Collects tags, ids and links, and fails on tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def outline(html):
    found = Outline()
    found.feed(html)
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def whole():
    return page([make() for make in EVERY], "Results", "All of them.")


def test_tags_nest_and_ids_are_unique(whole):
    found = outline(whole)
    ids = [value for name, value in found.attributes if name == "id"]
    tasks = [name for name in ids if name.startswith("task-")]
    assert tasks == [f"task-{number}" for number in range(len(EVERY))]
    assert len(tasks) == len(set(tasks))
    links = [value[1:] for name, value in found.attributes if name == "href" and value.startswith("#")]
    assert set(tasks) <= set(links) <= set(ids)


def test_nothing_is_fetched_or_run(whole):
    found = outline(whole)
    assert {"script", "link", "iframe", "object", "img"}.isdisjoint(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "default-src 'none'" in whole
    outside = [value for name, value in found.attributes if name in ("href", "src", "xlink:href") and value[0] != "#"]
    assert outside == []
    assert not re.search(r"url\((?!#)|@import", whole)


def test_every_figure_is_on_the_page(whole):
    text = " ".join(" ".join(outline(whole).text).split())
    for make in EVERY:
        card = make()
        assert card.question in text
        for figure in shown_figures(card.evaluation).values():
            assert str(figure) in text, figure.name
        for caveat in card.caveats:
            assert caveat in text


def test_a_card_shows_all_its_parts():
    html = page([binary_card()])
    for heading in ("Compared with other models", "When modalities are missing", "By group", "Before trusting"):
        assert heading in html
    assert html.count("<svg") == 7
    assert "<nav" not in html  # a single task needs none


@pytest.mark.slow
def test_names_cannot_become_markup():
    nasty = "<script>alert(1)</script>\"'&"
    card = binary_card()
    groups = tuple(dataclasses.replace(row, table=nasty, level=nasty) for row in card.evaluation.groups[:1])
    evaluation = dataclasses.replace(card.evaluation, groups=groups)
    card = dataclasses.replace(card, model=nasty, task=nasty, question=nasty, evaluation=evaluation)
    html = page([card], nasty, nasty)
    assert "script" not in outline(html).tags
    assert html.count("&lt;script&gt;") + html.count("&lt;script>") > 8


@pytest.mark.slow
def test_the_same_results_give_the_same_page():
    assert page([binary_card()]) == page([binary_card()])


def test_a_task_without_samples_has_a_page(tmp_path):
    write_page(tmp_path / "page.html", [empty_card()], "Empty")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not estimable: no samples" in html
    outline(html)
