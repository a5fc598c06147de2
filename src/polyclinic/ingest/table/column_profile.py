"""Profiles of a table's columns, from their names and a sample of their cells."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import polars as pl

from polyclinic.ingest.missing import WORDS, stripped

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
MOST = 0.8  # share of cells that must match; the ingest rejects the others
_SENTENCE = 30  # least mean length of notes, in characters
_CATEGORIES = 60
_SENTENCES = 12  # fewer distinct long texts, repeated, are categories
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_LIGATURES = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L"}
)
_BOUND = re.compile(
    r"(?:[<>≤≥]=?|=[<>]|(?:less|lower|smaller|more|greater|higher|larger) than|below|under|above|over|at most|at least|"
    r"up to)\s*(?=[\d.,])",
    re.IGNORECASE,
)
_WORD = re.compile(r"[!-~]+")  # such as an identifier of many characters
_MISSING = frozenset(WORDS)
_DIGITS = tuple("0123456789")  # no word for nothing ends in one
_YES_NO = {"0", "1", "yes", "no", "true", "false"}


def matches(name: str, *words: str) -> bool:
    """Return whether a column's name contains one of the `words` (regular expressions) as a word; see `folded`.

    >>> matches("Größe_cm", "groesse", "größe"), matches("prénom", "nom")
    (True, False)
    """
    return bool(words) and _pattern(words).search(folded(name)) is not None


@lru_cache(maxsize=256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[^a-z])(?:{'|'.join(map(without_accents, words))})(?:[^a-z]|$)")


@lru_cache(maxsize=8192)
def folded(name: str) -> str:
    """Return a column's name in small letters without accents, its words in capitals parted by `_`.

    >>> folded("DécèsPatient"), folded("DOB")
    ('deces_patient', 'dob')
    """
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", without_accents(name))
    return parts.lower()


def without_accents(text: str) -> str:
    """Return a text with the plain letters of those with accents, and `ss` of `ß`."""
    parts = unicodedata.normalize("NFKD", text.translate(_LIGATURES))
    return "".join(part for part in parts if not unicodedata.combining(part))


def without_bound(text: str) -> str:
    """Return a number without the sign of a limit of detection before it.

    >>> without_bound("< 0.01"), without_bound("5")
    ('0.01', '5')
    """
    return _BOUND.sub("", text, count=1) if _BOUND.match(text) else text


@dataclass(frozen=True)
class Profile:
    """One column: its name, and the texts of a sample of its non-missing cells with their number."""

    name: str
    counts: Counter[str]

    @classmethod
    def of(cls, cells: pl.Series) -> "Profile":
        """Profile a column, excluding missing cells."""
        return profiles(cells.to_frame())[cells.name]

    @property
    def empty(self) -> bool:
        """Whether the sample is empty."""
        return not self.counts

    @property
    def distinct(self) -> int:
        """Number of distinct texts."""
        return len(self.counts)

    @cached_property
    def total(self) -> int:
        """Number of cells that are not missing."""
        return self.counts.total()

    @property
    def repeats(self) -> bool:
        """Whether a text is repeated."""
        return self.distinct < self.total

    @property
    def unique(self) -> bool:
        """Whether no text is repeated."""
        return not self.repeats

    @cached_property
    def numeric(self) -> bool:
        """Whether nearly all cells are numbers, some perhaps with the sign of a limit: `<0.01`."""
        return self.most(
            lambda text: _NUMBER.fullmatch(text) is not None or _NUMBER.fullmatch(without_bound(text)) is not None
        )

    @cached_property
    def whole(self) -> bool:
        """Whether all cells are whole numbers."""
        return not self.empty and all(text.lstrip("+-").isdecimal() for text in self.counts)

    @cached_property
    def zero_padded(self) -> bool:
        """Whether the cells are whole numbers of one length, some with leading zeros: codes."""
        return (
            self.whole and len(set(map(len, self.counts))) == 1 and any(re.match(r"0\d", text) for text in self.counts)
        )

    @cached_property
    def bounded(self) -> int:
        """Number of cells that are below or above a limit."""
        return sum(count for text, count in self.counts.items() if not text[:1].isdecimal() and _BOUND.match(text))

    @cached_property
    def binary(self) -> bool:
        """Whether the cells are 0 and 1, or yes and no."""
        return self.distinct <= 2 and {text.lower() for text in self.counts} <= _YES_NO

    @cached_property
    def answers(self) -> bool:
        """Whether the cells are both answers to a question: 0 and 1, or yes and no."""
        return self.binary and self.distinct == 2

    @cached_property
    def image(self) -> bool:
        """Whether nearly all cells name an image file."""
        return not self.numeric and self.most(lambda text: text.lower().endswith(IMAGE_SUFFIXES))

    @cached_property
    def waveform(self) -> bool:
        """Whether nearly all cells name a WFDB record's header."""
        return not self.numeric and self.most(lambda text: text.lower().endswith(".hea"))

    @cached_property
    def prose(self) -> bool:
        """Whether the cells are sentences, not a few long categories."""
        if self.empty or (self.distinct <= _SENTENCES and 3 * self.distinct <= self.total):
            return False
        long = sum(len(text) * count for text, count in self.counts.items()) >= _SENTENCE * self.total
        return long and not self.most(lambda text: _WORD.fullmatch(text) is not None)

    @cached_property
    def categorical(self) -> bool:
        """Whether the cells have few distinct texts."""
        return self.distinct <= _CATEGORIES and (self.repeats or self.distinct <= 2)

    def most_common(self) -> list[str]:
        """Return the distinct texts, the most common first."""
        return sorted(self.counts, key=lambda text: (-self.counts[text], text))

    def share(self, right: Callable[[str], bool]) -> float:
        """Return the share of cells of which `right` is true; 0 if there are none."""
        return sum(count for text, count in self.counts.items() if right(text)) / self.total if self.counts else 0.0

    def most(self, right: Callable[[str], bool]) -> bool:
        """Return whether `right` is true of nearly all cells."""
        return not self.empty and self.share(right) >= MOST


def profiles(cells: pl.DataFrame) -> dict[str, Profile]:
    """Profile every column of a sample, excluding missing cells."""
    texts = cells.select(stripped(pl.all()))
    return {name: Profile(name, _counts(texts.get_column(name))) for name in texts.columns}


def _counts(texts: pl.Series) -> Counter[str]:
    counts: Counter[str] = Counter(texts.to_list())
    missing = [text for text in counts if text is None or (text[-1:] not in _DIGITS and text.casefold() in _MISSING)]
    for text in missing:
        del counts[text]
    return counts
