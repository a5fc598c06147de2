"""Choose the columns of the subject, the time and the birth, or ask for them."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.table.column_profile import MOST, Profile, folded, matches
from polyclinic.ingest.table.guess.counts import are_small, may_be_length
from polyclinic.ingest.table.guess.dates import Dates, is_time_of_day
from polyclinic.ingest.table.guess.lines import Choice, quoted, time_fields, with_remark
from polyclinic.ingest.table.guess.names import BIRTHS, NAMES_OF_TIMES, is_id, is_numbered, tier_of_subject
from polyclinic.ingest.table.guess.outcome_names import at_discharge, is_death, is_outcome
from polyclinic.ingest.table.questions import QUESTION

_REMARKS = (
    "the patient",
    "a stay or record: is there no column of the patient? a patient with several would be several subjects",
    "the patient? or the number of the row",
)
_LATE = (
    "end", "stop", "store", "stored", "revised", "update", "updated", "out", "entered", "verified", "resolved", "fin",
    "fim", "fine", "ende", "einde", "bis",
)  # fmt: skip
_SHORT_UNITS = {
    "seconds": {"seconds", "second", "sec", "secs", "s"},
    "minutes": {"minutes", "minute", "min", "mins", "minuten", "minutos", "minuti"},
    "hours": {
        "hours", "hour", "hr", "hrs", "h", "stunde", "stunden", "heures", "heure", "horas", "ore", "uur", "uren",
    },
    "days": {"days", "day", "d", "tag", "tage", "jours", "jour", "dias", "giorni", "giorno", "dagen"},
    "years": {"years", "year"},
}  # fmt: skip
_OTHER_UNITS = {
    "weeks", "week", "wk", "months", "month", "mo", "wochen", "woche", "monate", "monat", "semaines", "semanas",
    "settimane", "weken", "mois", "meses", "mesi", "maanden",
}  # fmt: skip # not of a mapping
_SINCE = {
    "visit", "wave", "followup", "time", "t", "offset", "elapsed", "zeit", "timepoint", "since", "measuredat",
    "registeredat", "seit", "depuis", "desde", "sinds",
}  # fmt: skip
_NEUTRAL = _SINCE | {
    "from", "of", "in", "after", "the", "admission", "admit", "icu", "start", "baseline", "hospital", "enrolment",
    "enrollment", "randomisation", "randomization", "rel", "relative", "chart", "study", "visit", "observation",
    "nach", "aufnahme", "apres", "entree", "ingreso", "ingresso", "ricovero", "dal", "dall", "dalla", "da", "do", "el",
    "l", "opname", "admissao", "internacao",
}  # fmt: skip
_EPOCH = 1e8  # numbers from this size may be a moment
_YEARS = (1900, 2299)
_LIKE_IDS = 5  # columns that are named in a question


class Columns(NamedTuple):
    """The columns of a table, and those among them that are dates."""

    profiles: Mapping[str, Profile]
    dates: Mapping[str, Dates]


def subject(columns: Columns, files: str = "") -> Choice:
    """Choose the subject's column, never a measurement; `files` is the pattern of file names that are ids, if any."""
    tiers = {
        name: tier
        for name, profile in columns.profiles.items()
        if (tier := tier_of_subject(name)) is not None and _may_be_ids(profile, columns.dates)
    }
    if tiers:
        chosen = min(tiers, key=lambda name: (tiers[name], not is_id(name)))
        other = next((name for name in tiers if tiers[name] == 2 and columns.profiles[name].unique), None)
        if other and _may_be_lengths(columns.profiles[chosen]):
            remark = (
                f"{quoted(chosen)} if it is a stay's id, not its length, or {quoted(other)} if it is not the row's?"
            )
            return Choice(None, [f'subject: "{QUESTION}"  # {remark}'])
        return Choice(chosen, [f"subject: {quoted(chosen)}  # {_REMARKS[tiers[chosen]]}"])
    if files:
        remark = "no column is called like a patient's id: is each file a patient, with the id in its name?"
        return Choice(None, [f"subject: {{file: {quoted(files)}}}  # {remark}"])
    possible = [name for name, profile in columns.profiles.items() if _like_ids(profile, columns.dates)]
    named = f": {', '.join(map(quoted, possible[:_LIKE_IDS]))}?" if possible else ""
    return Choice(
        None, [f'subject: "{QUESTION}"  # no column is called like a patient\'s id: name it, or {{file: …}}{named}']
    )


def _may_be_lengths(profile: Profile) -> bool:
    """Return whether a column called stay may hold the lengths of stays: small numbers that repeat."""
    return may_be_length(profile.name) and profile.repeats and are_small(profile)


def birth(columns: Columns, latest: date) -> Choice:
    """Choose the date of birth, if any; it is not the time of a fact."""
    for name, dates in columns.dates.items():
        if is_birth(name):
            line = f"birth: {time_fields(name, dates, latest.isoformat())}"
            return Choice(name, [with_remark(line, _short_years(dates))])
    return Choice(None, [])


def is_birth(name: str) -> bool:
    """Return whether a column of dates holds dates of birth."""
    return matches(name, *BIRTHS)


def time(columns: Columns, cells: pl.DataFrame, subject_column: str | None, latest: date) -> Choice:
    """Choose a column of dates, or of numbers counted from a start, or ask if one looks like a time.

    Only where none does is every fact static.
    """
    dated = {name: dates for name, dates in columns.dates.items() if not is_birth(name) and not is_death(name)}
    known = [name for name, dates in dated.items() if dates.known]
    if known:
        return _of_dates(_best(known, dated), dated, latest)
    numbered = _since_start(columns, cells, subject_column)
    if numbered is not None:
        return numbered
    unknown = sorted(dated, key=lambda name: (at_discharge(name), not matches(name, *NAMES_OF_TIMES)))
    if unknown:
        return _of_dates(unknown[0], dated, latest)
    for name, profile in columns.profiles.items():
        if is_time_of_day(profile) or _named_like_time(profile):
            remark = "looks like a time, but is no date that can be read: give its format, or rewrite it"
            if is_time_of_day(profile):
                remark = "a time without a date, or hours since a start? write date and time, or the hours as a number"
            return Choice(name, [f'time: {{column: {quoted(name)}, format: "{QUESTION}"}}  # {remark}'])
    return Choice(None, ["time: null  # no column looks like a time: every fact is static, known from the start"])


def _may_be_ids(profile: Profile, dates: Mapping[str, Dates]) -> bool:
    """Return whether the cells may be ids: neither dates nor prose nor measurements, nor answers: `case` of 0 and 1."""
    if profile.empty or profile.prose or profile.name in dates or (profile.answers and not is_numbered(profile.name)):
        return False
    return not profile.numeric or profile.most(lambda text: float(text).is_integer() if _is_number(text) else False)


def _is_large(text: str) -> bool:
    return _is_number(text) and float(text) >= _EPOCH


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _like_ids(profile: Profile, dates: Mapping[str, Dates]) -> bool:
    """Return whether a column might be asked for as the subject: many different texts or whole numbers."""
    texts = not profile.numeric and not profile.categorical
    return _may_be_ids(profile, dates) and (texts or is_id(profile.name) or (profile.numeric and profile.unique))


def _best(known: Sequence[str], dated: Mapping[str, Dates]) -> str:
    """Return the column that says when a fact was observed, with the time of day if there is one."""
    chosen = min(known, key=lambda name: (at_discharge(name), not matches(name, *NAMES_OF_TIMES), _is_late(name)))
    stem = chosen.lower().removesuffix("date")
    finer = [name for name in known if name.lower() == f"{stem}datetime" and dated[name].clock]
    return finer[0] if finer and not dated[chosen].clock else chosen


def _is_late(name: str) -> bool:
    lower = name.lower()
    return matches(name, *_LATE) or lower.startswith(("stop", "end", "store", "out")) or "revised" in lower


def _of_dates(name: str, dated: Mapping[str, Dates], latest: date) -> Choice:
    dates = dated[name]
    remarks = [dates.remark, _short_years(dates)]
    remarks += ["known only at discharge or death: is there no earlier time?"] if at_discharge(name) else []
    line = f"time: {time_fields(name, dates, latest.isoformat())}"
    return Choice(name, [with_remark(line, "; ".join(filter(None, remarks)))])


def _short_years(dates: Dates) -> str:
    return "years of two digits: none is later than latest?" if dates.format and "%y" in dates.format else ""


def _since_start(columns: Columns, cells: pl.DataFrame, subject_column: str | None) -> Choice | None:
    """Choose a column of numbers counted from each patient's own start."""
    counted = {name: unit for name in sorted(columns.profiles, key=_is_late) if (unit := unit_since_start(name))}
    for unit in (*_SHORT_UNITS, QUESTION):
        for name in (name for name, counted_in in counted.items() if counted_in == unit):
            profile = columns.profiles[name]
            if profile.numeric and _varies(cells, subject_column, name):
                if folded(name).strip() == "tag" and not _runs_on(profile, cells, subject_column):
                    remark = "is tag the day since a start? then write {column: tag, unit: days}; of a label, null"
                    return Choice(None, [f'time: "{QUESTION}"  # {remark}'])
                if unit == "years" and _are_calendar_years(profile):
                    remark = "years without month and day: write dates, such as the last day of the year"
                    return Choice(name, [f'time: {{column: {quoted(name)}, format: "{QUESTION}"}}  # {remark}'])
                remark = "counted from each patient's own start: is this so?"
                if unit == QUESTION:
                    remark = f"in which unit? (rewrite weeks, months and visits as days) {remark}"
                elif "offset" in name.lower() and "min" not in name.lower():
                    remark = "minutes from admission, as in eICU? " + remark
                shown = f'"{QUESTION}"' if unit == QUESTION else unit
                return Choice(name, [f"time: {{column: {quoted(name)}, unit: {shown}}}  # {remark}"])
    return None


def _are_calendar_years(profile: Profile) -> bool:
    return profile.whole and profile.most(lambda text: _YEARS[0] <= int(text) <= _YEARS[1])


def unit_since_start(name: str) -> str | None:
    """Return the unit of a column counted from a start, by its name; `QUESTION` if the name does not say it.

    >>> [unit_since_start(name) for name in ("hours", "minutes_since_admission", "labresultoffset", "beds_per_day")]
    ['hours', 'minutes', 'minutes', None]
    """
    lower = folded(name).strip()
    if at_discharge(name):
        return None
    words = set(re.findall("[^\\W\\d_]+", lower))
    for unit, short in _SHORT_UNITS.items():
        if words & short and words <= short | _NEUTRAL:
            return unit
    if lower.endswith("offset") and lower != "offset":
        return "minutes"
    return QUESTION if words & (_SINCE | _OTHER_UNITS) and words <= _SINCE | _NEUTRAL | _OTHER_UNITS else None


def _varies(cells: pl.DataFrame, subject_column: str | None, name: str) -> bool:
    """Return whether a patient has several values of a column: an outcome's time has one."""
    if subject_column is None:
        return Profile.of(cells[name]).repeats
    per_subject = cells.group_by(subject_column).agg(pl.col(name).drop_nulls().n_unique())
    return bool((per_subject.get_column(name) > 1).any())


def _runs_on(profile: Profile, cells: pl.DataFrame, subject_column: str | None) -> bool:
    """Return whether numbers never fall from row to row of nearly every subject, and are shared by subjects: days."""
    if subject_column is None or not profile.whole or not profile.repeats:
        return False
    numbers = pl.col(profile.name).str.strip_chars().cast(pl.Float64, strict=False)
    rows = cells.select(subject=pl.col(subject_column), number=numbers).drop_nulls()
    falls = (pl.col("number").diff() < 0).any()
    several = rows.group_by("subject", maintain_order=True).agg(pl.len(), falls=falls).filter(pl.col("len") > 1)
    return several.height > 0 and several.get_column("falls").sum() <= (1 - MOST) * several.height


def _named_like_time(profile: Profile) -> bool:
    """Return whether a column's name says that it is a time, though its cells could not be read as one."""
    if profile.empty or is_outcome(profile.name) or is_id(profile.name) or is_birth(profile.name):
        return False
    if profile.numeric:
        named = matches(profile.name, r"\w*date", r"\w*datetime", r"\w*timestamp", "charttime", "taken", r"\w*datum")
        return named or (matches(profile.name, *NAMES_OF_TIMES) and profile.most(_is_large))
    if matches(profile.name, "data"):  # a date in Italian and Portuguese; batch 2 is other data
        return profile.most(lambda text: text[:1].isdigit())
    return matches(profile.name, *NAMES_OF_TIMES) and profile.most(lambda text: any(map(str.isdigit, text)))
