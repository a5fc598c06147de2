"""Profiles of a table's columns, from their names and a sample of their cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from polyclinic.ingest.missing import MISSING, stripped
from polyclinic.ingest.table.datetimes import parse_dates

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
DATE_FORMATS: tuple[str | None, ...] = (
    None,  # ISO 8601
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S",
    "%Y%m%d", "%Y%m%d%H%M%S", "%d-%b-%Y", "%B %d, %Y", "%b %d, %Y",
)  # fmt: skip
_MOST = 0.8  # share of cells that must match; the ingest rejects the others
_SENTENCE = 30  # least mean length of notes, in characters
_CATEGORIES = 60


def matches(name: str, *words: str) -> bool:
    """Return whether a column's name contains one of the `words` (regular expressions) as a word."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return any(re.search(rf"(^|[^a-z])({word})([^a-z]|$)", parts) for word in words)


@dataclass(frozen=True)
class Profile:
    """One column: its name, and a sample of its non-missing cells as text."""

    name: str
    texts: pl.Series

    @classmethod
    def of(cls, cells: pl.Series) -> "Profile":
        """Profile a column, excluding missing cells."""
        texts = cells.to_frame().select(stripped(pl.all())).filter(~MISSING.among(pl.all()))
        return cls(cells.name, texts.to_series())

    @property
    def empty(self) -> bool:
        """Whether the sample is empty."""
        return self.texts.is_empty()

    @cached_property
    def distinct(self) -> int:
        """Number of distinct texts."""
        return self.texts.n_unique()

    @property
    def repeats(self) -> bool:
        """Whether a text is repeated."""
        return self.distinct < len(self.texts)

    @cached_property
    def numeric(self) -> bool:
        """Whether nearly all cells are numbers."""
        return self._most(self.texts.cast(pl.Float64, strict=False).is_finite().fill_null(False))

    @cached_property
    def binary(self) -> bool:
        """Whether the cells are 0 and 1, or yes and no."""
        return self.distinct <= 2 and set(self.texts.str.to_lowercase()) <= {"0", "1", "yes", "no", "true", "false"}

    @cached_property
    def date_formats(self) -> Sequence[str | None]:
        """The formats that parse nearly all cells; None is ISO 8601."""
        if self.empty:
            return []
        return [form for form in DATE_FORMATS if self._most(self._dates(form).is_not_null())]

    def _dates(self, form: str | None) -> pl.Series:
        dates = parse_dates(self.texts, form)
        return dates.set(~dates.dt.year().is_between(1800, 2299), None)

    @cached_property
    def image(self) -> bool:
        """Whether nearly all cells name an image file."""
        return self._ends_with(*IMAGE_SUFFIXES)

    @cached_property
    def waveform(self) -> bool:
        """Whether nearly all cells name a WFDB record's header."""
        return self._ends_with(".hea")

    @cached_property
    def prose(self) -> bool:
        """Whether the cells are sentences."""
        mean = self.texts.str.len_chars().mean()
        return isinstance(mean, float) and mean >= _SENTENCE

    @cached_property
    def categorical(self) -> bool:
        """Whether the cells have few distinct texts."""
        return self.distinct <= _CATEGORIES and (self.repeats or self.distinct <= 2)

    def most_common(self) -> list[str]:
        """Return the distinct texts, the most common first."""
        counts = self.texts.value_counts(sort=True).sort("count", self.name, descending=[True, False])
        return counts.get_column(self.name).to_list()

    def _ends_with(self, *suffixes: str) -> bool:
        lower = self.texts.str.to_lowercase()
        return self._most(lower.str.contains(rf"({'|'.join(re.escape(suffix) for suffix in suffixes)})$"))

    def _most(self, right: pl.Series) -> bool:
        return not self.empty and float(right.sum()) >= _MOST * len(right)
