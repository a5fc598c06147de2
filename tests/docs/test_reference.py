"""The hand-written reference pages name every key and every choice that the code knows."""

import re

import pytest

from polyclinic.ingest.table.mapping import Column, Long, TableMapping, Time, Unit, Units
from polyclinic.tasks import BUILT_IN, Exclusion, Inputs, Prediction, Target, Task
from tests.docs.pages import ROOT


def _text(page: str) -> str:
    return (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")


def _fields(*models) -> set[str]:
    return {field for model in models for field in model.model_fields}


def _unnamed(page: str, words: set[str]) -> list[str]:
    text = _text(page)
    return sorted(word for word in words if f"`{word}`" not in text)


def test_table_mapping_names_every_key():
    assert _unnamed("table-mapping.md", _fields(TableMapping, Time, Column, Units, Long) | {"units"}) == []
    assert all(f"{field}:" in _text("table-mapping.md") for field in _fields(Unit))


def test_task_names_every_key_and_every_built_in_task():
    assert _unnamed("task.md", _fields(Task, Prediction, Target, Exclusion, Inputs) | set(BUILT_IN)) == []


def test_study_names_every_key_and_every_choice():
    from polyclinic.models import ENCODERS, FUSIONS
    from polyclinic.study import Network, Study

    encoders = {name for names in ENCODERS.values() for name in names}
    assert _unnamed("study.md", _fields(Study, Network) | encoders | set(FUSIONS)) == []


def test_every_kind_of_irregular_input_has_its_property_test():
    rows = [line for line in _text("irregular-input.md").splitlines() if line.startswith("| ") and "/test_" in line]
    assert len(rows) >= 20
    for row in rows:
        names = re.findall(r"`(\w+/test_\w+)`", row.rsplit("|", 2)[1])
        found = [file for name in names for file in (ROOT / "tests").rglob(f"{name.rpartition('/')[2]}.py")]
        found = [file for file in found if any(file.as_posix().endswith(f"/{name}.py") for name in names)]
        assert len(found) == len(names) > 0, row
        assert all("@given" in file.read_text(encoding="utf-8") for file in found), row


@pytest.mark.parametrize("folder", ["how-to", "explanation", "adr", "reference", "tutorial"])
def test_every_page_is_in_the_navigation(folder):
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs" / folder).rglob("*.md")]
    assert [page for page in pages if f"- {page}\n" not in navigation] == []
