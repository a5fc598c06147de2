import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.evaluation.report.about import About, AboutError

KEYS = sorted(About.model_fields)


@given(st.sampled_from(KEYS), st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30))
def test_every_key_is_a_text_as_it_is_written(key, text):
    about = About.from_yaml(f'{key}: "{text}"')
    assert getattr(about, key) == text.strip()
    assert all(value is None for name, value in about if name != key)


@given(st.sampled_from(KEYS), st.sampled_from(["", "null", "~", "''", '"  "']))
def test_nothing_is_not_stated(key, nothing):
    assert About.from_yaml(f"{key}: {nothing}") == About()


@given(st.integers(0, 5), st.text("abcdefgh", min_size=3, max_size=8).map(lambda text: f"x_{text}"))
def test_an_unknown_key_is_refused_with_its_line_and_the_choices(before, key):
    text = "\n".join([f"{name}: x" for name in KEYS[:before]] + [f"{key}: x"])
    with pytest.raises(AboutError, match=rf"about line {before + 1}: {key}: unknown key: choose from .*developer"):
        About.from_yaml(text)


@pytest.mark.parametrize("text", ["developer: [a, b]", "developer: {a: b}"])
def test_a_value_that_is_no_text_is_refused(text):
    with pytest.raises(AboutError, match="about line 1: developer: "):
        About.from_yaml(text)


def test_what_is_no_mapping_is_refused():
    with pytest.raises(AboutError, match="about line 1: give keys"):
        About.from_yaml("- developer")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AboutError, match=r"none\.yaml cannot be read: give the path"):
        About.load(tmp_path / "none.yaml")


def test_an_update_replaces_only_what_it_states():
    before, after = About(developer="A", setting="ward"), About(developer="B")
    assert before.updated(after) == About(developer="B", setting="ward")
    assert before.updated(None) == before
