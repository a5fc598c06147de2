"""Check what a source states of the person: sex, age and date of birth, against the rest of the source and the cohort.

A patient has one sex and one date of birth. The first one stated is kept, that of the cohort before that of the source,
and others are rejected. Rejected, too, are ages that no one has reached, days that programs store for an unknown date
of birth, and dates of birth that the patient's first event contradicts. Nothing else of the patient is lost.
"""

from datetime import timedelta

import polars as pl

from polyclinic.cohort import BIRTH, CohortWriter, Reject
from polyclinic.cohort.storage.subject_ids import SubjectIds
from polyclinic.ingest.clock import Clock
from polyclinic.ingest.plausible import DAYS_PER_YEAR, OLDEST_YEARS, PLACEHOLDERS, YEARS_PER_UNIT
from polyclinic.ingest.readers import CountsRows, Sink, Warns
from polyclinic.ingest.sexes import CODES as SEX
from polyclinic.ingest.sexes import Sexes

_YEARS = YEARS_PER_UNIT | {"": 1.0}
_AGE = r"(?i)^DEMOGRAPHIC//(?:\w*_)?age(?:_\w*)?(?://|$)"
#: A date of birth is a calendar date of any zone, and so may be a day after the first event.
_DAY = timedelta(days=1)
_OLDEST = timedelta(days=OLDEST_YEARS * DAYS_PER_YEAR)
_LATER = (
    "date of birth of the cohort that is after the patient's first event now, or more than "
    f"{OLDEST_YEARS} years before it: correct the date of birth, or the times of the events"
)
_EVERYWHERE = (
    "all rows and sources; two patients may share an id; if the cohort's own is wrong, correct its source and ingest "
    "that again with --replace"
)
_PLACE: dict[str, pl.DataType] = {"file": pl.String(), "line": pl.Int64()}
_EVENT: dict[str, pl.DataType] = {"subject_id": pl.Int64(), "time": pl.Datetime("us"), "code": pl.String()}


class CheckedPatients:
    """A sink that checks the facts about persons, and forwards everything else.

    Dates of birth are kept until `finish`, because they are checked against the first event.

    Args:
        sink: receives what passes, and rejects and warnings.
        writer: of the cohort.
        clock: of the source's times.
        name: of the source, for facts whose file is not known.
    """

    def __init__(self, sink: Sink, writer: CohortWriter, clock: Clock, name: str) -> None:
        self._sink, self._writer, self._clock, self._name = sink, writer, clock, name
        self._ids = SubjectIds()
        self._births: list[pl.DataFrame] = []
        self._lines: set[tuple[str, int]] = set()
        self._reasons: set[str] = set()
        self._sexes: Sexes | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Check the events about persons, and forward the others.

        Columns `file` and `line`, if there are any, give where each event was stated.
        """
        if frame.is_empty():
            return
        names = frame.get_column("code").unique().cast(pl.String)
        if names.str.contains(_AGE).any():
            frame = self._with_plausible_ages(frame)
        if names.is_in(SEX).any():
            frame = self._with_one_sex(frame)
        if (names == BIRTH).any():
            self._births.append(self._placed(frame.filter(pl.col("code") == BIRTH)))
            frame = frame.filter(pl.col("code") != BIRTH)
        self._sink.add(frame.drop(_PLACE, strict=False))

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Forward a blob."""
        return self._sink.add_blob(content, suffix)

    def reject(self, *rejects: Reject) -> None:
        """Forward rejects."""
        self._sink.reject(*rejects)

    def count_rows(self, rows: int, rejected: int) -> None:
        """Forward counts."""
        if isinstance(self._sink, CountsRows):
            self._sink.count_rows(rows, rejected)

    def warn(self, warning: str, records: int) -> None:
        """Forward a warning."""
        if isinstance(self._sink, Warns):
            self._sink.warn(warning, records)

    def finish(self) -> None:
        """Check the dates of birth against the first events, forward those that pass, and count rejected rows."""
        self._check_births()
        self._count_lines()

    def _check_births(self) -> None:
        known = self._writer.recorded([BIRTH])
        known = known.group_by("subject_id").agg(known=pl.col("time").min())
        if not self._births and known.is_empty():
            return
        births = pl.concat(self._births, how="diagonal_relaxed") if self._births else self._none()
        first = self._writer.earliest() if self._clock.found else self._none().select("subject_id", first="time")
        self._warn_of(known.join(first, on="subject_id"))
        births = births.join(known, on="subject_id", how="left", maintain_order="left")
        births = births.join(first, on="subject_id", how="left", maintain_order="left")
        births = self._checked_births(births)
        self._sink.add(births.select("source_id" if "source_id" in births.columns else "subject_id", "time", "code"))

    def _checked_births(self, births: pl.DataFrame) -> pl.DataFrame:
        time = pl.col("time")
        placeholder = time.dt.date().is_in(PLACEHOLDERS)
        remedy = "leave the date of birth empty: programs store this day where it is unknown"
        births = self._keep(births, ~placeholder, "placeholder date of birth", remedy)
        remedy = "correct the date of birth, or the times of the patient's events"
        late = (time > pl.col("first") + _DAY).fill_null(False)
        births = self._keep(births, ~late, "birth after the first event", remedy)
        remedy = "correct the date of birth, or leave it empty: sources that hide high ages shift it by centuries"
        old = (time < pl.col("first") - _OLDEST).fill_null(False)
        births = self._keep(births, ~old, f"age above {OLDEST_YEARS} years", remedy)
        one = time == pl.col("known").fill_null(time.first().over("subject_id"))
        return self._keep(births, one, "two dates of birth", f"give the patient one date of birth in {_EVERYWHERE}")

    def _with_plausible_ages(self, frame: pl.DataFrame) -> pl.DataFrame:
        code = pl.col("code").cast(pl.String)
        unit = code.str.replace(_AGE, "").str.to_lowercase()
        # Of another unit only the sign counts.
        years = unit.replace_strict(_YEARS, default=0.0, return_dtype=pl.Float64)
        age = pl.col("numeric_value") if "numeric_value" in frame.columns else pl.lit(None, pl.Float64)
        possible = ~code.str.contains(_AGE) | ((age >= 0) & (age * years <= OLDEST_YEARS)).fill_null(True)
        return self._keep(frame, possible, "implausible age", f"write an age from 0 to {OLDEST_YEARS} years")

    def _with_one_sex(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self._sexes is None:
            self._sexes = Sexes(self._writer.recorded(SEX))
        stated = frame.with_columns(self._subjects(frame))
        agrees = self._sexes.agree(stated)
        return self._keep(frame, pl.lit(agrees), "conflicting sex", f"give the patient one sex in {_EVERYWHERE}")

    def _placed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the events with their subject and, as null if not known, their place."""
        places = [pl.lit(None, kind).alias(name) for name, kind in _PLACE.items() if name not in frame.columns]
        return frame.with_columns(self._subjects(frame), pl.col("time").cast(pl.Datetime("us")), *places)

    def _subjects(self, frame: pl.DataFrame) -> pl.Series:
        if "source_id" not in frame.columns:
            return frame.get_column("subject_id")
        return self._ids.of(frame.get_column("source_id").cast(pl.String)).alias("subject_id")

    def _none(self) -> pl.DataFrame:
        return pl.DataFrame(schema=_EVENT | _PLACE)

    def _warn_of(self, known: pl.DataFrame) -> None:
        birth, first = pl.col("known"), pl.col("first")
        contradicted = (birth > first + _DAY) | (birth < first - _OLDEST)
        self.warn(_LATER, known.filter(contradicted).height)

    def _keep(self, frame: pl.DataFrame, good: pl.Expr, reason: str, remedy: str) -> pl.DataFrame:
        mask = frame.select(good.fill_null(False)).to_series()
        if mask.all():
            return frame
        bad = frame.filter(~mask)
        places = bad.select(
            *(pl.col(name) if name in bad.columns else pl.lit(None, kind).alias(name) for name, kind in _PLACE.items())
        )
        self._sink.reject(*(Reject(file or self._name, line, reason, remedy) for file, line in places.iter_rows()))
        self._lines.update(places.drop_nulls().iter_rows())
        self._reasons.add(reason)
        return frame.filter(mask)

    def _count_lines(self) -> None:
        """Count the rows of which only a fact about the person was rejected."""
        if self._lines:
            lines = pl.DataFrame(list(self._lines), schema=_PLACE, orient="row")
            others = self._writer.rejected().filter(~pl.col("reason").is_in(list(self._reasons)))
            self.count_rows(0, lines.join(others, on=list(_PLACE), how="anti").height)
