"""The hand-written reference pages name every key and every choice that the code knows."""

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


@pytest.mark.parametrize("folder", ["how-to", "explanation", "adr", "reference", "tutorial"])
def test_every_page_is_in_the_navigation(folder):
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs" / folder).rglob("*.md")]
    assert [page for page in pages if f"- {page}\n" not in navigation] == []
