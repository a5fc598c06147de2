"""Columns called like an identifier whose numbers count or measure: `lymph_node_number`, `cigarettes_no`, `stay`.

Names that end in number or no are counts unless they are of what is numbered, as rooms and orders are, and only if
the cells are small numbers, numbers of several subjects, or fractions: an identifier is none of these.
"""

from collections.abc import Mapping

import polars as pl

from polyclinic.ingest.table.column_profile import Profile
from polyclinic.ingest.table.guess.names import tier_of_subject, with_number_in_words
from polyclinic.ingest.table.guess.numbered import NUMBERED
from polyclinic.ingest.table.guess.persons import words_of

_ENDS = frozenset({"nr", "nbr", "no", "number", "nummer"})
_OF_STAYS = frozenset({"stay", "icustay", "icu", "hospital", "hosp", "unit", "total"})
_SMALL = 999.0  # identifiers begin above, those of few rows aside
_MOST = 0.8  # of the cells
_SHARED = 0.1  # of the cells: identifiers of two subjects are errors
_MANY = 20  # different numbers of as many rows are identifiers: small counts repeat
_SEVERAL = 10  # rows from which numbers without a gap may be those of the rows


def counts(columns: Mapping[str, Profile], cells: pl.DataFrame, subject: str | None) -> frozenset[str]:
    """Return the columns called like an identifier that count or measure, by name and contents."""
    return frozenset(
        name
        for name, profile in columns.items()
        if name != subject and (may_count(name) or may_be_length(name)) and _counts(profile, cells, subject)
    )


def may_count(name: str) -> bool:
    """Return whether a column's name says number, but not of a thing that is numbered.

    >>> [may_count(name) for name in ("lymph_node_number", "cigarettes_no", "samples_nr", "room_no", "order_nr", "no")]
    [True, True, True, False, False, False]
    """
    words = words_of(with_number_in_words(name))
    named = len(words) > 1 and words[-1] in _ENDS and tier_of_subject(name) is None
    return named and not any(len(word) == 1 or word in NUMBERED for word in words[:-1])


def may_be_length(name: str) -> bool:
    """Return whether a column's name says stay and nothing else: an identifier of the stay, or its length.

    >>> [may_be_length(name) for name in ("stay", "ICU_stay", "stay_id")]
    [True, True, False]
    """
    words = set(words_of(name))
    return bool(words & {"stay", "icustay"}) and words <= _OF_STAYS


def are_small(profile: Profile) -> bool:
    """Return whether nearly all cells are numbers from 0 to 999 that are written without leading zeros."""
    return profile.numeric and not profile.zero_padded and profile.share(_is_small) >= _MOST


def _counts(profile: Profile, cells: pl.DataFrame, subject: str | None) -> bool:
    if not profile.numeric or profile.zero_padded:
        return False
    if profile.share(_is_fraction) > 1 - _MOST:
        return True
    if profile.unique and profile.distinct >= _MANY:
        return False
    shared = _share_of_several(profile, cells, subject)
    if may_be_length(profile.name):
        several = profile.repeats if subject is None else shared >= _SHARED
        return several and are_small(profile) and not _numbers_rows(profile, cells, subject)
    small = are_small(profile) or (shared >= _SHARED and len(set(map(len, profile.counts))) > 1)
    return small and not _numbers_rows(profile, cells, subject)


def _share_of_several(profile: Profile, cells: pl.DataFrame, subject: str | None) -> float:
    """Return the share of cells whose number is one of several subjects; of several rows, if the subject is unknown."""
    if subject is None:
        return profile.share(lambda text: profile.counts[text] > 1)
    known = cells.select(subject=pl.col(subject), number=pl.col(profile.name)).drop_nulls()
    several = known.select(pl.col("subject").n_unique().over("number") > 1).to_series()
    return float(several.sum()) / max(1, known.height)


def _numbers_rows(profile: Profile, cells: pl.DataFrame, subject: str | None) -> bool:
    """Return whether the cells number the rows from 0 or 1, of the table or of nearly every subject."""
    numbers = pl.col(profile.name).str.strip_chars().cast(pl.Float64, strict=False)
    known = cells.select(pl.lit("") if subject is None else pl.col(subject), number=numbers).drop_nulls()
    by = known.columns[0]
    per_subject = known.group_by(by).agg(
        rows=pl.len(),
        numbered=(pl.col("number").n_unique() == pl.len())
        & pl.col("number").min().is_between(0, 1)
        & (pl.col("number").max() - pl.col("number").min() == pl.len() - 1),
    )
    several = per_subject.filter(pl.col("rows") > 1)
    if several.height:
        return several.height * 2 > per_subject.height and float(several.get_column("numbered").mean()) >= _MOST  # type: ignore[arg-type]
    return profile.unique and profile.total >= _SEVERAL and _is_without_gap(profile)


def _is_without_gap(profile: Profile) -> bool:
    numbers = sorted(map(float, profile.counts))
    return numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1


def _is_small(text: str) -> bool:
    return 0 <= _number(text) <= _SMALL


def _is_fraction(text: str) -> bool:
    return not _number(text).is_integer()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
