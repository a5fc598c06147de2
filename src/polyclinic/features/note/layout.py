"""The notes of a sample in reading order, and where their words and sentences stand."""

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
from polyclinic.features.note.negation import denied
from polyclinic.features.note.tokenizer import sentences, words

KIND = "NOTE//"

READING_ORDER = ("clinical", "history", "indication", "comparison", "technique", "findings", "impression")
"""Of sections written at the same time; others follow by name."""

_PLACE_OF = {section: place for place, section in enumerate(READING_ORDER)}


class Note(NamedTuple):
    """One note, or one section of one."""

    section: str
    text: str


class Piece(NamedTuple):
    """A word in lower case, or a sentence, and where it stands: in which note, from which character to which."""

    text: str
    note: int
    start: int
    end: int


@dataclass(frozen=True)
class NoteLayout:
    """A sample's notes in reading order; its words and sentences as the columns of its arrays have them."""

    notes: tuple[Note, ...]
    words: tuple[Piece, ...]
    sentences: tuple[Piece, ...]

    @classmethod
    def of(cls, notes: Sequence[Note]) -> Self:
        """Find the words and sentences of notes."""
        return cls(
            tuple(notes),
            tuple(Piece(word.text, n, *word[1:]) for n, note in enumerate(notes) for word in words(note.text)),
            tuple(Piece(one.text, n, *one[1:]) for n, note in enumerate(notes) for one in sentences(note.text)),
        )

    def last(self, words: int, sentences: int) -> Self:
        """Keep the last words and sentences: those of the newest notes."""
        return type(self)(self.notes, self.words[-words:], self.sentences[-sentences:])

    def section(self, piece: Piece) -> str:
        """Give the section of a word or sentence."""
        return self.notes[piece.note].section

    def is_denied(self, word: Piece) -> bool:
        """Tell whether a word is denied by its sentence; see `note_negation`."""
        return (word.note, word.start) in self._denials

    @cached_property
    def _denials(self) -> frozenset[tuple[int, int]]:
        """The notes and places of the words that are denied."""
        return frozenset((number, start) for number, note in enumerate(self.notes) for start in _denied_in(note.text))


def _denied_in(text: str) -> Iterator[int]:
    found = words(text)
    starts = [word.start for word in found]
    for sentence in sentences(text):
        inside = found[bisect_left(starts, sentence.start) : bisect_left(starts, sentence.end)]
        are_denied = denied([word.text for word in inside])
        yield from (word.start for word, is_denied in zip(inside, are_denied, strict=True) if is_denied)


def note_events(known: pl.DataFrame) -> pl.DataFrame:
    """Give the events that are notes with a text."""
    return known.filter(pl.col("code").str.starts_with(KIND) & pl.col("text_value").is_not_null())


def in_reading_order(events: pl.DataFrame, samples: pl.DataFrame) -> list[list[Note]]:
    """Give each sample's notes: those without a time, then the oldest first; of one time, in `READING_ORDER`.

    Raises:
        ValueError: a note was written after the prediction time.
    """
    rows = sample_rows(events, samples)
    if (rows < 0).any():
        events, rows = events.filter(rows >= 0), rows[rows >= 0]
    hours = np.nan_to_num(hours_before(events["time"].to_numpy(), samples, rows), nan=np.inf)
    sections = [name(code) for code in events["code"]]
    places = [_PLACE_OF.get(section, len(READING_ORDER)) for section in sections]
    notes: list[list[Note]] = [[] for _ in range(len(samples))]
    for row, _, _, *note in sorted(zip(rows.tolist(), -hours, places, sections, events["text_value"], strict=True)):
        notes[row].append(Note(*note))
    return notes
