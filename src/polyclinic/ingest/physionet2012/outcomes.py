"""Read the challenge's outcomes: one line per stay, timed after hour 48."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest.formats.delimited import read_delimited
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.physionet2012.codes import OUTCOMES
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.subject_ids import restored_ids

_MISSING = -1.0
_ORIGIN = pl.lit(NOMINAL_ORIGIN, dtype=pl.Datetime("us"))
_AFTER_RECORD = 48 * 60 + 1  # minutes: strictly after the last measurement
_DAY = 24 * 60  # minutes
_END_OF_STAY = ("Length_of_stay", "Survival", "In-hospital_death")
_KNOWN_AT = {"Length_of_stay": "Length_of_stay", "In-hospital_death": "Length_of_stay", "Survival": "Survival"}


def read_outcomes(path: Path, row_filter: RowFilter, stays: set[str], seen: set[str]) -> Iterator[pl.DataFrame]:
    """Yield the outcomes of `stays` as events, timed when they became known, but after the first 48 hours.

    Length of stay and in-hospital death are known at the end of the stay, survival at death, scores after hour 48. Of
    lines that contradict each other, none is used; `seen` holds the stays of earlier files, and is updated.

    Raises:
        UnreadableText: the file is not an outcomes file.
    """
    frame = _of_known_stays(_rows(path, row_filter), row_filter, stays, seen)
    numbers = frame.with_columns(pl.col(name).str.strip_chars().cast(pl.Float64, strict=False) for name in OUTCOMES)
    yield from _events(numbers, row_filter, _possible(numbers, row_filter))


def _rows(path: Path, row_filter: RowFilter) -> pl.DataFrame:
    frames = []
    with path.open("rb") as raw:
        for rows in read_delimited(raw, row_filter, ","):
            missing = sorted({"RecordID", *OUTCOMES} - set(rows.cells.columns))
            if missing:
                raise UnreadableText("not an outcomes file", f"its header lacks {', '.join(missing)}", 1)
            ids = restored_ids(rows.cells.get_column("RecordID"))
            frames.append(rows.cells.with_columns(line=rows.line, source_id=ids))
    return pl.concat(frames)


def _of_known_stays(frame: pl.DataFrame, row_filter: RowFilter, stays: set[str], seen: set[str]) -> pl.DataFrame:
    known = pl.col("source_id").is_in(list(stays))
    frame = row_filter.keep(frame, known, "outcome without a record", "add the stay's record to the source")
    same = pl.struct(pl.col(name).str.strip_chars() for name in OUTCOMES).n_unique().over("source_id") == 1
    remedy = "find out which line of the stay is right, and leave the others out"
    frame = row_filter.keep(frame, same, "contradictory outcomes", remedy)
    new = pl.col("source_id").is_first_distinct() & ~pl.col("source_id").is_in(list(seen))
    frame = row_filter.keep(frame, new, "duplicate record", "keep one line of the stay")
    seen.update(frame.get_column("source_id"))
    return frame


def _possible(numbers: pl.DataFrame, row_filter: RowFilter) -> pl.Series:
    """Return whether length of stay, survival and in-hospital death do not contradict each other.

    The challenge defines in-hospital death by a survival of at most the length of stay.
    """
    stay, survival, death = (pl.col(name) for name in _END_OF_STAY)
    known = (survival >= 0) & (stay >= 0)
    possible = pl.when(known & (death == 0)).then(survival > stay).when(known & (death == 1)).then(survival <= stay)
    good = numbers.select(possible.fill_null(True)).to_series()
    remedy = f"columns {', '.join(_END_OF_STAY)}: correct them; with death in hospital, survival ends within the stay"
    row_filter.keep(numbers, pl.lit(good), "contradictory outcomes", remedy)
    return good


def _events(numbers: pl.DataFrame, row_filter: RowFilter, possible: pl.Series) -> Iterator[pl.DataFrame]:
    for name, (code, low, high, *_) in OUTCOMES.items():
        value, rows = pl.col(name), numbers.filter(possible) if name in _END_OF_STAY else numbers
        rows = row_filter.keep(rows, value.is_finite(), "not a number", f"column {name}: write -1 if it is missing")
        rows = rows.filter(value != _MISSING)
        rows = row_filter.keep(
            rows, value.is_between(low, high), "implausible value", f"column {name}: correct the value"
        )
        days = pl.col(_KNOWN_AT[name]) if name in _KNOWN_AT else pl.lit(0.0)
        minutes = pl.max_horizontal((days.fill_nan(None) * _DAY).cast(pl.Int64, strict=False), pl.lit(_AFTER_RECORD))
        yield rows.select(
            "source_id",
            time=_ORIGIN + pl.duration(minutes=minutes),
            code=pl.lit(code),
            numeric_value=value.cast(pl.Float32),
        )
