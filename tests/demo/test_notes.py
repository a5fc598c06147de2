import random

import polars as pl
import pytest

from polyclinic.demo.notes import SECTIONS, Draft, Sentence, write_notes
from polyclinic.demo.patients import FINDINGS, HISTORIES
from polyclinic.demo.phrases import ABSENT, HISTORY, PRESENT


@pytest.fixture(scope="module")
def notes(many):
    return write_notes(3, many[0])


@pytest.fixture(scope="module")
def mentions(notes, many):
    return notes.triggers.join(many[0].frame(), left_on="patient_id", right_on="patient")


def test_offsets_locate_the_trigger_words(notes):
    texts = notes.table.unpivot(SECTIONS, index="patient_id", variable_name="section", value_name="text").drop_nulls()
    found = notes.triggers.join(texts, on=["patient_id", "section"], validate="m:1")
    length = pl.col("end") - pl.col("start")
    assert found.height == notes.triggers.height > 1000
    assert found.select((pl.col("text").str.slice("start", length) == pl.col("word")).all()).item()


@pytest.mark.parametrize("history", HISTORIES)
def test_histories_are_affirmed_if_and_only_if_true(mentions, many, history):
    mentioned = mentions.filter(pl.col("concept") == history)
    assert (mentioned[history] == ~mentioned["negated"]).all()
    assert (mentioned["section"] == "indication").all()
    having = many[0].frame().filter(pl.col(history) & pl.col("has_note"))["patient"]
    assert set(having) == set(mentioned.filter(~pl.col("negated"))["patient_id"])
    assert mentioned["negated"].any()


@pytest.mark.parametrize("finding", FINDINGS)
def test_reports_mention_findings_unless_overlooked(mentions, finding):
    named = mentions.filter(pl.col("concept") == finding, pl.col("section") == "findings")
    assert (~named.filter("negated")[f"has_{finding}"]).mean() > 0.9
    assert named.filter(~pl.col("negated"))[f"has_{finding}"].all()
    assert named.filter(~pl.col("negated"))["hedged"].any()


def test_indication_precedes_the_radiograph_and_report_follows(notes, many):
    times = notes.table.join(many[0].frame(), left_on="patient_id", right_on="patient").with_columns(
        late=(pl.col("written_at") - pl.col("admitted")).dt.total_minutes() / 60 - pl.col("film_hour")
    )
    assert (times.filter(pl.col("indication").is_not_null())["late"] < 0).all()
    assert (times.filter(pl.col("findings").is_not_null())["late"] > 0).all()
    assert not set(notes.triggers.filter(pl.col("section") == "indication")["concept"]) & set(FINDINGS)


def test_phrases_do_not_give_the_extent():
    phrases = " ".join(p for table in (PRESENT, ABSENT) for group in table.values() for p in group).lower()
    assert not {"small", "large", "massive", "extensive", "minimal", "moderate"} & set(phrases.split())


def test_each_phrase_of_a_history_marks_one_trigger():
    for affirmed, negated in HISTORY.values():
        assert all(phrase.count("[") == phrase.count("]") == 1 for phrase in (*affirmed, *negated))


def test_careless_notes_have_typing_errors():
    sentence = Sentence("Witnessed [aspiration] during dinner yesterday evening", "aspirated")
    drafts = []
    for careless in (False, True):
        draft = Draft(random.Random(1), "indication", careless)
        for _ in range(30):
            draft.add(sentence)
        drafts.append(draft)
    clean, mistyped = drafts
    assert clean.text.count("aspiration") == 30
    assert 15 < mistyped.text.count("aspiration") < 30
    assert all(mistyped.text[t.start : t.end] == t.word for t in mistyped.triggers)


def test_notes_are_determined_by_the_seed(many):
    again = write_notes(3, many[0])
    assert again.table.equals(write_notes(3, many[0]).table)
    assert not again.table.equals(write_notes(4, many[0]).table)
