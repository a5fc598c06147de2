"""The clock of a cohort: UTC, or local time of one unstated zone. Every reader converts its times here.

Times with an offset from UTC, or in a named zone, become UTC. Times without either are local, and kept as written. A
cohort has one clock, and times of the other are refused, because the hours between the two are unknown. The first
source decides: its clock is UTC, unless fewer than one of ten times has an offset or zone. Dates of birth and times
since a nominal origin have no clock.
"""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Literal, NamedTuple

import polars as pl

from polyclinic.cohort import LOCAL, UTC
from polyclinic.ingest.errors import IngestError, UnreadableRecord

_NO_ZONE, _ZONE, _SKIPPED, _REPEATED = (
    "time without a zone",
    "time with a zone",
    "time that does not exist",
    "ambiguous time",
)
#: What to do about each problem of a time.
REMEDIES: Mapping[str, str] = {
    _NO_ZONE: "name the zone of these times with --zone (in a table's mapping: zone: Europe/Berlin), or write each "
    "with its offset, because other times of the cohort or of the source are UTC",
    _ZONE: "name the zone of the other times with --zone, in a new cohort if this one has local times; or write this "
    "one without offset or zone, as local time",
    _SKIPPED: "the zone's clocks were put forward over it: correct it, or write it with its offset from UTC",
    _REPEATED: "the zone's clocks were put back over it: write it with its offset from UTC",
}


#: A source has local times if fewer than this share have an offset or zone.
_FEW = 0.1


class MixedClocks(Exception):  # noqa: N818
    """Most times of a source turned out to have the other clock than the first: read it again with `clock`."""

    def __init__(self, clock: str) -> None:
        super().__init__(clock)
        self.clock = clock


class Moments(NamedTuple):
    """Times of the cohort's clock, and the reasons for those that have none."""

    time: pl.Series  # Datetime("us"); null if it was null, or has a problem
    problem: pl.Series  # a reason, or null

    def remedies(self) -> dict[str, str]:
        """Return the remedy of each reason that occurs."""
        return {reason: REMEDIES[reason] for reason in self.problem.drop_nulls().unique(maintain_order=True)}


def check_zone(name: str) -> str:
    """Check the name of a time zone, and return it.

    Raises:
        ValueError: the name is not in the IANA database.
    """
    remedy = f"unknown zone {name!r}: use a name of the IANA database, such as Europe/Berlin"
    if not re.fullmatch(r"[A-Za-z][\w+/-]*", name):
        raise ValueError(remedy)
    try:
        pl.Series([datetime(2000, 1, 1)]).dt.replace_time_zone(name)
    except pl.exceptions.PolarsError:
        raise ValueError(remedy) from None
    return name


class Clock:
    """Converts the times of one source to the clock of a cohort.

    Args:
        of_cohort: `UTC`, `LOCAL`, or None for a cohort without a time so far.
        zone: of times without an offset.

    Attributes:
        found: clock of the cohort and of the times converted so far; None if there are none.
    """

    def __init__(self, of_cohort: str | None = None, zone: str | None = None) -> None:
        self.found = of_cohort
        self._fixed, self._zone = of_cohort is not None, zone
        self._counts = {UTC: 0, LOCAL: 0}

    def of(self, cohort: str | None) -> "Clock":
        """Return an unused clock with this one's zone, for a cohort with the given clock."""
        return Clock(cohort, self._zone)

    def convert(self, clock: pl.Series, offset: pl.Series, zone: str | None = None) -> Moments:
        """Convert times as written, with their offsets from UTC (null if not stated).

        Args:
            clock: what the clock showed; null stays null.
            offset: stated differences from UTC.
            zone: of times without an offset; None means that of the source.
        """
        zone = zone or self._zone
        known, stated = clock.is_not_null(), clock.is_not_null() & offset.is_not_null()
        naive = known & ~stated
        self._count(int((known if zone else stated).sum()), 0 if zone else int(naive.sum()))
        if self.found == LOCAL:
            times, problem = clock, _where(known if zone else stated, _ZONE, _nulls(len(clock)))
        elif zone:
            times, problem = _in_zone(clock, naive, zone)
        else:
            times, problem = clock, _where(naive, _NO_ZONE, _nulls(len(clock)))
        times = times.zip_with(~stated, clock - offset.fill_null(timedelta(0)))
        return Moments(_where(problem.is_null(), times, _nulls(len(clock), pl.Datetime("us"))), problem)

    def moment(self, written: datetime) -> datetime:
        """Convert one time, which states its offset by its `tzinfo`, or has none.

        Raises:
            UnreadableRecord: the time has a problem, see `REMEDIES`.
        """
        offset = pl.Series([written.utcoffset()], dtype=pl.Duration("us"))
        moments = self.convert(pl.Series([written.replace(tzinfo=None)], dtype=pl.Datetime("us")), offset)
        for reason, remedy in moments.remedies().items():
            raise UnreadableRecord(reason, remedy)
        converted: datetime = moments.time[0]
        return converted

    def check(self, name: str) -> None:
        """Check at the end of the source `name` that its times have the clock found.

        Raises:
            MixedClocks: most have the other clock, and the cohort had none before.
            IngestError: all have the other clock.
        """
        if self.found is None:
            return
        if not self._fixed and self._most() != self.found:
            raise MixedClocks(self._most())
        other = LOCAL if self.found == UTC else UTC
        if self._counts[other] and not self._counts[self.found]:
            reason = _NO_ZONE if other == LOCAL else _ZONE
            raise IngestError(
                f"{name} has {self._counts[other]:,} times of another clock ({reason}): {REMEDIES[reason]}"
            )

    def _count(self, utc: int, local: int) -> None:
        """Count times, the first of which decide the clock if the cohort has none."""
        self._counts[UTC] += utc
        self._counts[LOCAL] += local
        if self.found is None and utc + local:
            self.found = self._most()

    def _most(self) -> str:
        return UTC if self._counts[UTC] >= _FEW * sum(self._counts.values()) else LOCAL


def _in_zone(clock: pl.Series, naive: pl.Series, zone: str) -> tuple[pl.Series, pl.Series]:
    """Convert times of a zone to UTC; a midnight that the clocks skipped is the first moment of its day."""
    first, last = _as_utc(clock, zone, "earliest"), _as_utc(clock, zone, "latest")
    midnight = _as_utc(clock.dt.offset_by("1h"), zone, "earliest")
    first = first.zip_with(first.is_not_null() | (clock.dt.time() != time(0)), midnight)
    problem = _where(naive & first.is_null(), _SKIPPED, _nulls(len(clock)))
    return first, _where((naive & (first != last)).fill_null(False), _REPEATED, problem)


def _as_utc(clock: pl.Series, zone: str, ambiguous: Literal["earliest", "latest"]) -> pl.Series:
    zoned = clock.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null")
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _nulls(count: int, dtype: pl.DataType | None = None) -> pl.Series:
    return pl.repeat(None, count, dtype=dtype or pl.String(), eager=True)


def _where(mask: pl.Series, then: str | pl.Series, otherwise: pl.Series) -> pl.Series:
    value = pl.lit(then) if isinstance(then, str) else then
    return pl.select(pl.when(mask).then(value).otherwise(otherwise)).to_series()
