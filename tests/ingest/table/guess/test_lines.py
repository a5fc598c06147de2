"""Names of every script are written into a guess as they are, and read back."""

from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.table.guess.lines import quoted
from polyclinic.yaml_errors import parse

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True))
def test_names_are_read_as_they_were(names):
    text = "\n".join(f"{quoted(name)}: {{code: {quoted(name)}}}" for name in names)
    assert parse(text, "guess.yaml")[0] == {name: {"code": name} for name in names}


@given(st.text(st.characters(categories=["L", "N"]), min_size=1))
def test_letters_are_not_escaped(name):
    assert quoted(name) in (name, f'"{name}"')
