"""Words for nothing, in any case and padding, are no values."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.missing import PADDING, WORDS, Missing, known_cells, stripped
from tests.ingest.sinks import read_table

PAD = st.text(st.sampled_from(PADDING), max_size=3)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
ARGUMENTS = st.builds(
    Missing, st.lists(TEXTS, max_size=2).map(tuple), st.lists(TEXTS, max_size=2).map(tuple), st.booleans()
)


@st.composite
def written(draw):
    """Draw a word for nothing in any case and padding."""
    word = "".join(draw(st.sampled_from([sign.lower(), sign.upper()])) for sign in draw(st.sampled_from(WORDS)))
    return draw(PAD) + word + draw(PAD)


def is_missing(words: Missing, text: str | None) -> bool:
    frame = pl.DataFrame({"x": [text]}, schema={"x": pl.String}).select(stripped(pl.col("x")))
    return bool(frame.select(words.among(pl.col("x"))).item())


@given(written())
def test_words_for_nothing_are_missing(text):
    assert Missing().holds(text)
    assert is_missing(Missing(), text)
    assert known_cells({"x": text}) == {"x": ""}


@given(words=ARGUMENTS, text=written() | TEXTS | st.none())
def test_columns_and_single_texts_agree(words, text):
    assert is_missing(words, text) == words.holds(text)


@given(TEXTS.map(lambda text: f"q{text}q"))
def test_other_texts_are_values(text):
    assert not Missing(fillers=True).holds(text)


@given(written())
def test_a_word_can_be_kept_or_added(text):
    bare = text.strip(PADDING)
    assert Missing(kept=(text,)).holds(text) == (bare == "")
    assert Missing(added=("n.d.",)).holds("n.d.")
    assert not Missing(added=("n.d.",)).holds("N.D.")


@pytest.mark.parametrize("text", ["-", "--", "\u2014", ".", "?", "___", "..."])
def test_fillers_are_no_subject_and_no_note_but_may_be_results(text):
    assert Missing(fillers=True).holds(text)
    assert not Missing().holds(text)


MAPPING = """
subject: id
unique: false
columns:
  crp: {code: LAB//crp//mg/L, type: numeric}
  ward: {code: FINDING//ward, type: categorical}
  note: {code: NOTE//remark, type: text}
  died: {code: OUTCOME//died, type: label}
"""


@given(text=written().filter(lambda text: not set(text) & set("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")))
def test_a_word_for_nothing_is_no_patient_value_category_note_or_label(tmp_path_factory, text):
    table = tmp_path_factory.mktemp("t") / "t.csv"
    pl.DataFrame({"id": ["p1", text], "crp": [text, "5"], "ward": text, "note": text, "died": text}).write_csv(table)
    kept = read_table(table, MAPPING)
    assert kept.events == []
    assert kept.reasons == [(3, "no subject")]


def test_a_mapping_can_keep_a_word_as_a_value(tmp_path):
    (tmp_path / "t.csv").write_text("id,what,value\n1,NA,140\n1,NA,none\n1,oedema,None\n1,oedema,NA\n1,oedema,null\n")
    mapping = """
subject: id
long:
  code: what
  value: value
  codes:
    NA: {code: LAB//sodium//mmol/L, type: numeric}
    oedema: {code: FINDING//oedema, type: categorical, not_missing: [none], values: {None: absent, NA: not asked}}
"""
    kept = read_table(tmp_path / "t.csv", mapping)
    assert [event[3] for event in kept.events] == ["absent", "not asked", 140.0]
    assert kept.rejects == []
