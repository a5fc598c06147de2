"""Detection of negated words."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features.note import negation as note_negation
from polyclinic.features.note.layout import Note, NoteLayout
from polyclinic.features.note.negation import PHRASES, is_cue, negated_words
from polyclinic.features.note.tokenizer import words

CUES = sorted({phrase.strip() for text in PHRASES.values() for phrase in text.split(";")})


def negated_in(text: str) -> str:
    tokens = [word.text for word in words(text)]
    return " ".join(word for word, is_negated in zip(tokens, negated_words(tokens), strict=True) if is_negated)


def test_docstring_examples():
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
def test_cues_negate_their_scope(sentence, expected):
    assert negated_in(sentence) == expected


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
def test_uncertainty_and_pseudo_negations_negate_nothing(sentence):
    assert negated_in(sentence) == ""


def test_is_cue():
    assert [word for word in ("No", "without", "unlikely", "effusion", "but", "of") if is_cue(word)] == [
        "No", "without", "unlikely"
    ]  # fmt: skip


@given(st.lists(st.sampled_from([*CUES, "effusion", "fever", "cough"]), max_size=12).map(" ".join))
def test_negation_needs_a_cue_and_excludes_cues(sentence):
    tokens = sentence.split()
    negated = negated_words(tokens)
    assert len(negated) == len(tokens)
    assert not any(negated) or any(cue in sentence for cue in CUES)
    assert not any(
        is_negated and word in ("no", "without", "denies") for word, is_negated in zip(tokens, negated, strict=True)
    )


def test_scope_ends_with_the_sentence_or_note():
    layout = NoteLayout.of([Note("history", "No fever. Cough"), Note("findings", "Effusion. No mass")])
    assert [word.text for word in layout.words if layout.is_negated(word)] == ["fever", "mass"]
    assert [word.text for word in layout.last(1, 1).words if layout.is_negated(word)] == ["mass"]
