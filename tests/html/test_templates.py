import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import polyclinic
from polyclinic.html import content_hash, render, resource, trusted

PACKAGE = Path(polyclinic.__file__).parent
TEMPLATES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.html"))
REPORT_PAGE = "evaluation/report/page.html"
CONTEXT = {"stylesheet": "", "title": "", "lead": "", "links": (), "sections": (), "footer": ""}


def test_values_are_escaped_unless_trusted():
    html = render(REPORT_PAGE, **{**CONTEXT, "title": "<b>&\"'", "sections": ("<i>", trusted("<hr>"))})
    assert "<h1>&lt;b&gt;&amp;&#34;&#39;</h1>" in html
    assert "&lt;i&gt;" in html
    assert "<hr>" in html


def test_a_missing_variable_is_an_error():
    with pytest.raises(UndefinedError, match="lead"):
        render(REPORT_PAGE, **{name: value for name, value in CONTEXT.items() if name != "lead"})


def test_templates_do_not_switch_off_escaping():
    assert len(TEMPLATES) > 10
    for name in TEMPLATES:
        assert not re.search(r"\|\s*safe|autoescape|\bstyle=", (PACKAGE / name).read_text(encoding="utf-8")), name


def test_no_other_module_imports_jinja2():
    importers = [path for path in PACKAGE.rglob("*.py") if re.search(r"\b(jinja2|markupsafe)\b", path.read_text())]
    assert [path.relative_to(PACKAGE).as_posix() for path in importers] == ["html/templates.py"]


def test_the_content_hash_is_that_of_csp():
    """The example of MDN's page on the content security policy."""
    assert content_hash("doSomething();") == "sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc="


def test_resources_are_text_of_the_package():
    assert ":root" in resource("html/page.css")
