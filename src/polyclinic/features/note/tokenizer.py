"""Split a note's text into words and sentences with their positions."""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_SENTENCE_WORDS = 100
"""Longer sentences (mostly lists) are split, because the sentence encoder would truncate them."""


class Word(NamedTuple):
    """A word, in lower case, and its span in the text."""

    text: str
    start: int
    end: int


class Sentence(NamedTuple):
    """A sentence, with normalised white space, and its span in the text."""

    text: str
    start: int
    end: int


_WORD = re.compile(
    r"""
      (?<!\S)\?(?=\w)                                       # uncertainty: ?pneumonia
    | [<>≤≥]=?(?=\s*\d)                                     # < 90
    | (?<!\S)[+-]ve\b                                       # +ve, -ve
    | \b(?:[µumkn]?g|[µumn]?mol|m?eq|i?u|m?l|cells|beats|breaths)/(?:[dmµu]?l|kg|min|h|hr|day|mm3|m2)\b  # mg/dl
    | \d+(?:[.,:/]\d+)*                                     # 38.6   1,200   120/80   10:30
    | [^\W\d_][^\W_]*(?:['’-][^\W_]+)*                      # effusion   x-ray   covid-19   spo2   doesn't
    | %
    | °[^\W\d_]?
    """,
    re.VERBOSE | re.IGNORECASE,
)

_BREAK = re.compile(
    r"""
      (?<![.!?])(?P<stop>[.!?]+[)\]"'”’]*)\s+              # the end of a sentence
    | (?<=[a-z)])\.(?=[A-Z][a-z])                           # the same without a space
    | (?<!\s)\s*\n\s*\n\s*                                  # an empty line
    | (?<!\s)\s*\n\s*(?=[-*•–]|\d+[.)]\s|[A-Z])             # a new item, or a line that begins with a capital
    """,
    re.VERBOSE,
)
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:dr|drs|mr|mrs|ms|prof|st|vs|cf|fig|approx|ca|incl|e\.g|i\.e|[a-z])$", re.IGNORECASE
)
_LOOK_BACK = 12  # characters: more than any abbreviation
_NUMBERED = re.compile(r"\s*\d+$")


def words(text: str) -> list[Word]:
    """Split a text into words; numbers, units, negations and hyphenated words stay whole; other signs are dropped.

    >>> [word.text for word in words("No X-ray change; CRP 42.2 mg/dl, SpO2 < 90%. ?Pneumonia")]
    ['no', 'x-ray', 'change', 'crp', '42.2', 'mg/dl', 'spo2', '<', '90', '%', '?', 'pneumonia']
    """
    return [Word(found[0].lower(), found.start(), found.end()) for found in _WORD.finditer(text)]


def sentences(text: str) -> list[Sentence]:
    """Split a text into sentences; sentences without words are dropped.

    >>> [sentence.text for sentence in sentences("1. No effusion.  Heart 5.5 cm, seen by Dr. Roe. normal bones")]
    ['1. No effusion.', 'Heart 5.5 cm, seen by Dr. Roe.', 'normal bones']
    """
    return [
        Sentence(" ".join(text[start:end].split()), start, end)
        for begin, stop in _spans(text)
        for start, end in _split_long(text, begin, stop)
    ]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _BREAK.finditer(text):
        if found["stop"] == "." and "\n" not in found[0] and _is_abbreviation(text, start, found.start()):
            continue
        end = found.end("stop") if found["stop"] else found.start() + (found[0] == ".")
        yield start, end
        start = found.end()
    yield start, len(text)


def _is_abbreviation(text: str, start: int, stop: int) -> bool:
    """Return whether a full stop follows an abbreviation or an item's number; `start` is that of the sentence."""
    before = text[max(start, stop - _LOOK_BACK) : stop]
    return bool(_ABBREVIATED.search(before) or (stop - start < _LOOK_BACK and _NUMBERED.fullmatch(before)))


def _split_long(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Split a span into trimmed parts of at most `MAX_SENTENCE_WORDS` words; none if it has no word."""
    found = list(_WORD.finditer(text, start, end))
    for first in range(0, len(found), MAX_SENTENCE_WORDS):
        following = found[first + MAX_SENTENCE_WORDS :]
        begin = found[first].start() if first else start
        stop = following[0].start() if following else end
        part = text[begin:stop]
        yield begin + len(part) - len(part.lstrip()), begin + len(part.rstrip())
