import re
from html.parser import HTMLParser

import markdown
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.report.document import (
    Bullets,
    Heading,
    Image,
    Paragraph,
    Table,
    plain,
    to_markdown,
)
from polyclinic.evaluation.report.html_blocks import to_html
from tests.properties import examples

NASTY = '<script>alert("x")</script> & *bold* [link](javascript:x) `code` | _x_ # h'
FIGURE = Estimate("auroc", 0.87, 0.85, 0.89, 1200, "DeLong")


def blocks(text):
    return [
        Heading(text, 1),
        Paragraph(text),
        Bullets((text, text)),
        Table((text, "n"), ((text, 1200), (text, FIGURE), (text, None))),
        Image("plot.png", text),
    ]


def test_html_escapes_everything():
    html = to_html(blocks(NASTY))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 9
    assert 'alert("x")' not in html


def test_markdown_renders_as_the_original_text():
    """Read by an independent renderer."""
    html = markdown.markdown(to_markdown(blocks(NASTY)), extensions=["tables"])
    assert "<script" not in html
    assert not re.search(r"<(a|strong|em|code) ", html)
    assert "<h1>&lt;script&gt;" in html
    assert html.count("*bold*") == 9
    assert html.count("<td") == 6  # the pipe within made no columns
    assert "| _x_" in html


PIECES = [*"[](){}|\\`*_#<>&~!:.-+=1 \n", "LAB//x [y]", "a|b", "[y](z)", "1. ", "- ", "&amp;", "\\|", "http://x", "é"]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
RENDERERS = {
    "commonmark": lambda text: MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text),
    "python": lambda text: markdown.markdown(text, extensions=["tables"]),
}


class Cells(HTMLParser):
    """The texts of a page's elements, and the elements that there are."""

    def __init__(self, html):
        super().__init__()
        self.found, self.tags = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("h2", "p", "li", "th", "td"):
            self.found.append("")

    def handle_data(self, data):
        if self.found:
            self.found[-1] += data

    @property
    def texts(self):
        return [" ".join(text.split()) for text in self.found]


@pytest.mark.parametrize("renderer", RENDERERS)
@settings(max_examples=examples(400), deadline=None)
@given(
    st.lists(texts, min_size=2, max_size=2), st.lists(st.lists(texts, min_size=2, max_size=2), min_size=1, max_size=3)
)
def test_tables_of_any_text_round_trip_through_markdown(renderer, header, rows):
    """Read by two independent renderers."""
    table = Table(tuple(header), tuple(tuple(row) for row in rows), strong=frozenset({0}))
    page = Cells(RENDERERS[renderer](to_markdown([table])))
    assert page.texts == [" ".join(text.split()) for row in (header, *rows) for text in row]
    assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "strong"}


@pytest.mark.parametrize("renderer", RENDERERS)
@settings(max_examples=examples(400), deadline=None)
@given(texts.filter(str.strip))
def test_any_text_round_trips_through_markdown(renderer, text):
    page = Cells(RENDERERS[renderer](to_markdown([Heading(text), Paragraph(text), Bullets((text, text))])))
    assert page.texts == [" ".join(text.split())] * 4
    assert page.tags <= {"h2", "p", "ul", "li"}


def test_brackets_of_intervals_are_not_escaped():
    assert plain(".870 [.850, .890], n = 9 [y] [1](z)") == r".870 [.850, .890], n = 9 \[y\] \[1\](z)"


def test_tables_in_markdown_and_html():
    table = Table(
        ("Model", "AUROC", "Method"),
        (("Sex",), ("female", FIGURE, "m"), ("male", Difference(FIGURE, 0.03), "m")),
        words=frozenset({0, 2}),
        strong=frozenset({1}),
        faint=frozenset({2}),
        spans=frozenset({0}),
    )
    text = to_markdown([table])
    assert text.splitlines() == [
        "| Model | AUROC | Method |",
        "| :-- | --: | :-- |",
        "| **Sex** |  |  |",
        "| **female** | .870 [.850, .890] | m |",
        "| male | +.870 [+.850, +.890], p = .030 | m |",
    ]
    html = to_html([table])
    assert '<tr class="span"><th colspan="3">Sex</th></tr>' in html
    assert '<span class="value">.870</span> <span class="interval">[.850, .890]</span>' in html
    assert '<tr class="strong"><th scope="row">female</th>' in html
    assert '<td class="word">m</td>' in html


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (Estimate.missing("auroc", 0, "no positives"), '<span class="missing">not estimable: no positives</span>'),
        (
            Estimate("auroc", 0.5, None, None, 9, "m", "why"),
            '<span class="missing">[interval not estimable: why]</span>',
        ),
    ],
)
def test_missing_figures_state_the_reason(figure, expected):
    assert expected in to_html([Table(("", ""), (("x", figure),))])
