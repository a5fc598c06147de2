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
_KNOWN_AT = {"Length_of_stay": "Length_of_stay", "In-hospital_death": "Length_of_stay", "Survival": "Survival"}


def read_outcomes(path: Path, row_filter: RowFilter, stays: set[str]) -> Iterator[pl.DataFrame]:
    """Yield the outcomes of `stays` as events, timed when they became known, but after the first 48 hours.

    Length of stay and in-hospital death are known at the end of the stay, survival at death, scores after hour 48.

    Raises:
        UnreadableText: the file is not an outcomes file.
    """
    seen: set[str] = set()
    with path.open("rb") as raw:
        for rows in read_delimited(raw, row_filter, ","):
            missing = sorted({"RecordID", *OUTCOMES} - set(rows.cells.columns))
            if missing:
                raise UnreadableText("not an outcomes file", f"its header lacks {', '.join(missing)}", 1)
            ids = restored_ids(rows.cells.get_column("RecordID"))
            frame = rows.cells.with_columns(line=rows.line, source_id=ids)
            yield from _events(_of_known_stays(frame, row_filter, stays, seen), row_filter)


def _of_known_stays(frame: pl.DataFrame, row_filter: RowFilter, stays: set[str], seen: set[str]) -> pl.DataFrame:
    known = pl.col("source_id").is_in(list(stays))
    frame = row_filter.keep(frame, known, "outcome without a record", "add the stay's record to the source")
    new = pl.col("source_id").is_first_distinct() & ~pl.col("source_id").is_in(list(seen))
    frame = row_filter.keep(frame, new, "duplicate record", "keep one line of the stay")
    seen.update(frame.get_column("source_id"))
    return frame


def _events(frame: pl.DataFrame, row_filter: RowFilter) -> Iterator[pl.DataFrame]:
    texts = [pl.col(name).str.strip_chars() for name in OUTCOMES]
    numbers = frame.with_columns(
        text.cast(pl.Float64, strict=False).alias(name) for text, name in zip(texts, OUTCOMES, strict=True)
    )
    for name, (code, low, high, *_) in OUTCOMES.items():
        value = pl.col(name)
        rows = row_filter.keep(numbers, value.is_finite(), "not a number", f"column {name}: write -1 if it is missing")
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
