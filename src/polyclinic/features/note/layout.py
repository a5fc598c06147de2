"""The notes of a sample in reading order, and the positions of their words and sentences."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from polyclinic.cohort import name
from polyclinic.features.featurizer import sample_rows
from polyclinic.features.measurements import hours_before
from polyclinic.features.note.negation import negated_words
from polyclinic.features.note.tokenizer import sentences, words

KIND = "NOTE//"

READING_ORDER = ("clinical", "history", "indication", "comparison", "technique", "findings", "impression")
"""Order of sections written at the same time; others follow by name."""

_RANK = {section: place for place, section in enumerate(READING_ORDER)}


class Note(NamedTuple):
    """One note, or one section of one."""

    section: str
    text: str


class Piece(NamedTuple):
    """A word in lower case, or a sentence, with its note and its character span."""

    text: str
    note: int
    start: int
    end: int


@dataclass(frozen=True)
class NoteLayout:
    """A sample's notes in reading order, with the words and sentences in the columns of its arrays."""

    notes: tuple[Note, ...]
    words: tuple[Piece, ...]
    sentences: tuple[Piece, ...]

    @classmethod
    def of(cls, notes: Sequence[Note]) -> Self:
        """Split notes into words and sentences."""
        return cls(
            tuple(notes),
            tuple(Piece(word.text, n, *word[1:]) for n, note in enumerate(notes) for word in words(note.text)),
            tuple(
                Piece(sentence.text, n, *sentence[1:])
                for n, note in enumerate(notes)
                for sentence in sentences(note.text)
            ),
        )

    def last(self, words: int, sentences: int) -> Self:
        """Keep only the last words and sentences: those of the newest notes."""
        return type(self)(self.notes, self.words[-words:], self.sentences[-sentences:])

    def section(self, piece: Piece) -> str:
        """Return the section of a word or sentence."""
        return self.notes[piece.note].section

    def is_negated(self, word: Piece) -> bool:
        """Return whether a word is negated in its sentence; see `negation`."""
        return (word.note, word.start) in self._negated

    @cached_property
    def _negated(self) -> frozenset[tuple[int, int]]:
        """The note and start of each negated word."""
        return frozenset((number, start) for number, note in enumerate(self.notes) for start in _negated_in(note.text))


def _negated_in(text: str) -> Iterator[int]:
    found = words(text)
    starts = [word.start for word in found]
    for sentence in sentences(text):
        inside = found[bisect_left(starts, sentence.start) : bisect_left(starts, sentence.end)]
        are_negated = negated_words([word.text for word in inside])
        yield from (word.start for word, is_negated in zip(inside, are_negated, strict=True) if is_negated)


def note_events(known: pl.DataFrame) -> pl.DataFrame:
    """Select the events that are notes with a text."""
    return known.filter(pl.col("code").str.starts_with(KIND) & pl.col("text_value").is_not_null())


def in_reading_order(events: pl.DataFrame, samples: pl.DataFrame) -> list[list[Note]]:
    """Return each sample's notes: those without a time, then by time, then in `READING_ORDER`.

    Raises:
        ValueError: a note is later than the prediction time.
    """
    rows = sample_rows(events, samples)
    if (rows < 0).any():
        events, rows = events.filter(rows >= 0), rows[rows >= 0]
    hours = np.nan_to_num(hours_before(events["time"].to_numpy(), samples, rows), nan=np.inf)
    sections = [name(code) for code in events["code"]]
    ranks = [_RANK.get(section, len(READING_ORDER)) for section in sections]
    notes: list[list[Note]] = [[] for _ in range(len(samples))]
    for row, _, _, *note in sorted(zip(rows.tolist(), -hours, ranks, sections, events["text_value"], strict=True)):
        notes[row].append(Note(*note))
    return notes
