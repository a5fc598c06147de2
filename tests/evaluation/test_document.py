import re

import markdown
import pytest

from polyclinic.evaluation.document import Bullets, Heading, Paragraph, Picture, Table, to_html, to_markdown
from polyclinic.evaluation.figure import Difference, Figure

NASTY = '<script>alert("x")</script> & *bold* [link](javascript:x) `code` | _x_ # h'
FIGURE = Figure("auroc", 0.87, 0.85, 0.89, 1200, "DeLong")


def blocks(text):
    return [
        Heading(text, 1),
        Paragraph(text),
        Bullets((text, text)),
        Table((text, "n"), ((text, 1200), (text, FIGURE), (text, None))),
        Picture("plot.png", text),
    ]


def test_html_escapes_everything():
    html = to_html(blocks(NASTY))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 9
    assert 'alert("x")' not in html


def test_markdown_gives_the_text_back_and_no_markup():
    """Read by an independent renderer."""
    html = markdown.markdown(to_markdown(blocks(NASTY)), extensions=["tables"])
    assert "<script" not in html
    assert not re.search(r"<(a|strong|em|code) ", html)
    assert "<h1>&lt;script&gt;" in html
    assert html.count("*bold*") == 9
    assert html.count("<td") == 6  # the pipe within made no columns
    assert "| _x_" in html


def test_tables_become_tables():
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
    ("figure", "told"),
    [
        (Figure.missing("auroc", 0, "no positives"), '<span class="missing">not estimable: no positives</span>'),
        (Figure("auroc", 0.5, None, None, 9, "m", "why"), '<span class="missing">[interval not estimable: why]</span>'),
    ],
)
def test_what_is_missing_says_why(figure, told):
    assert told in to_html([Table(("", ""), (("x", figure),))])
