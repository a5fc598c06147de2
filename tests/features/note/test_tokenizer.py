"""Words and sentences of notes."""

import doctest
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features.note import tokenizer as note_text
from polyclinic.features.note.tokenizer import MAX_SENTENCE_WORDS, sentences, words


def split(text: str) -> list[str]:
    return [word.text for word in words(text)]


def test_docstring_examples():
    assert doctest.testmod(note_text).failed == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Temp 38.6 °C, HR 120/min", ["temp", "38.6", "°c", "hr", "120", "min"]),
        ("BP 120/80 at 10:30", ["bp", "120/80", "at", "10:30"]),
        ("WBC 14,000 cells/mm3", ["wbc", "14,000", "cells/mm3"]),
        ("5mm nodule, T12", ["5", "mm", "nodule", "t12"]),
        ("follow-up of COVID-19; doesn't smoke", ["follow-up", "of", "covid-19", "doesn't", "smoke"]),
        ("34-year-old", ["34", "year-old"]),
        ("sputum +ve, culture -ve", ["sputum", "+ve", "culture", "-ve"]),
        ("SpO2 <90%", ["spo2", "<", "90", "%"]),
        ("?pneumonia or fluid?", ["?", "pneumonia", "or", "fluid"]),
        ("fever/chills, HIV/AIDS", ["fever", "chills", "hiv", "aids"]),
        ("épanchement pleural, Ödem", ["épanchement", "pleural", "ödem"]),
        ("XXXX (…) -- *** ", ["xxxx"]),
        ("", []),
    ],
)
def test_words(text, expected):
    assert split(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No effusion. No pneumothorax.", ["No effusion.", "No pneumothorax."]),
        ("no capital. here either", ["no capital.", "here either"]),
        ("Nodule of 3.5 cm.", ["Nodule of 3.5 cm."]),
        ("Seen by Dr. Roe (see fig. 2), i.e. today. Stable", ["Seen by Dr. Roe (see fig. 2), i.e. today.", "Stable"]),
        ("1. Effusion. 2. Nodule.", ["1. Effusion.", "2. Nodule."]),
        ("Heart normal.Lungs clear.", ["Heart normal.", "Lungs clear."]),
        ("wrapped in the\nmidst of it", ["wrapped in the midst of it"]),
        ("FINDINGS\n\nclear lungs", ["FINDINGS", "clear lungs"]),
        ("- effusion\n- nodule\n* mass", ["- effusion", "- nodule", "* mass"]),
        ("Effusion?! (Old.) New", ["Effusion?!", "(Old.)", "New"]),
        ("hepatitis B.\n\nNo cough", ["hepatitis B.", "No cough"]),
        (" ... --- \n\n ", []),
    ],
)
def test_sentences(text, expected):
    assert [sentence.text for sentence in sentences(text)] == expected


def test_long_sentences_are_split():
    tokens = sentences("nodule, " * (2 * MAX_SENTENCE_WORDS + 1))
    assert [len(words(sentence.text)) for sentence in tokens] == [MAX_SENTENCE_WORDS, MAX_SENTENCE_WORDS, 1]


ALPHABET = st.sampled_from(
    ["No ", "effusion", ". ", ".", "\n", "  ", "3.5", "-", "?", "Dr", "İ", "ß", "°", "<", "'", "(", ")", "1. "]
)


@given(st.one_of(st.lists(ALPHABET).map("".join), st.text()))
def test_spans_match_the_text(text):
    tokens = words(text)
    assert [text[word.start : word.end].lower() for word in tokens] == [word.text for word in tokens]
    ends = 0
    for sentence in sentences(text):
        assert " ".join(text[sentence.start : sentence.end].split()) == sentence.text
        assert sentence.start >= ends
        ends = sentence.end
    inside = [word for word in tokens for s in sentences(text) if s.start <= word.start and word.end <= s.end]
    assert inside == tokens  # every word is in exactly one sentence


@pytest.mark.parametrize("repeated", [" ", ".", "a. ", "1. ", "\n", " \n", "?", "-", "x'", "°", "(" * 3, "<", "a.B"])
@pytest.mark.slow
def test_tokenizing_takes_linear_time(repeated):
    """No text causes catastrophic backtracking, which would take hours of the processor, and not a second."""
    text = repeated * (100_000 // len(repeated)) + "x"
    start = time.process_time()
    words(text), sentences(text)
    assert time.process_time() - start < 30
