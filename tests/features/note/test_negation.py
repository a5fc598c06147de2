"""Which words of a sentence are denied."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features.note import negation as note_negation
from polyclinic.features.note.layout import Note, NoteLayout
from polyclinic.features.note.negation import PHRASES, denied, is_cue
from polyclinic.features.note.tokenizer import words

CUES = sorted({phrase.strip() for text in PHRASES.values() for phrase in text.split(";")})


def denied_of(text: str) -> str:
    found = [word.text for word in words(text)]
    return " ".join(word for word, is_denied in zip(found, denied(found), strict=True) if is_denied)


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(note_negation).failed == 0


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("No pleural effusion.", "pleural effusion"),
        ("Not immunosuppressed", "immunosuppressed"),
        ("Denies taking prednisolone", "taking prednisolone"),
        ("The heart is not enlarged", "enlarged"),
        ("Costophrenic angles are clear, no effusion", "effusion"),
        ("No evidence of pneumothorax", "evidence of pneumothorax"),
        ("Culture -ve for MRSA", "mrsa"),
        ("No fever, cough or rash but hypotension", "fever cough or rash"),
        ("Chest pain, although no dyspnoea", "dyspnoea"),
        ("Pneumothorax not seen", "pneumothorax"),
        ("Pneumonia has been ruled out", "pneumonia has"),
        ("Old rib fractures on the left and a small nodule is unlikely", "and a small nodule is"),
        ("Effusion persists, yet consolidation absent", "consolidation"),
    ],
)
def test_a_cue_denies_what_stands_beside_it(sentence, expected):
    assert denied_of(sentence) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "Small left effusion",
        "Cannot exclude a nodule",
        "Pneumonia cannot be ruled out",
        "No increase in the effusion",
        "No significant interval change of the mass",
        "Gram negative rods",
        "Not only consolidation",
        "",
    ],
)
def test_doubts_and_what_looks_like_a_cue_deny_nothing(sentence):
    assert denied_of(sentence) == ""


def test_cues():
    assert [word for word in ("No", "without", "unlikely", "effusion", "but", "of") if is_cue(word)] == [
        "No", "without", "unlikely"
    ]  # fmt: skip


@given(st.lists(st.sampled_from([*CUES, "effusion", "fever", "cough"]), max_size=12).map(" ".join))
def test_of_any_sentence_each_word_is_denied_or_not_and_single_cues_never(sentence):
    found = sentence.split()
    told = denied(found)
    assert len(told) == len(found)
    assert not any(told) or any(cue in sentence for cue in CUES)
    assert not any(
        is_denied and word in ("no", "without", "denies") for word, is_denied in zip(found, told, strict=True)
    )


def test_a_cue_does_not_reach_over_the_end_of_a_sentence_or_note():
    layout = NoteLayout.of([Note("history", "No fever. Cough"), Note("findings", "Effusion. No mass")])
    assert [word.text for word in layout.words if layout.is_denied(word)] == ["fever", "mass"]
    assert [word.text for word in layout.last(1, 1).words if layout.is_denied(word)] == ["mass"]
