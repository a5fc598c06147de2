"""Recognise a column of dates, and say how they are written, or what cannot be known of it."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.table.column_profile import MOST, Profile, matches
from polyclinic.ingest.table.datetimes import parse_dates
from polyclinic.ingest.table.guess.names import IDS, NAMES_OF_TIMES
from polyclinic.ingest.table.guess.resembling import resembles_date
from polyclinic.ingest.table.guess.written_dates import ISO, TIME_OF_DAY, forms, has_clock, swapped
from polyclinic.ingest.table.questions import QUESTION

_FIRST = 20  # distinct texts that decide whether a column may be of dates
_FEW = 0.01  # of the cells that decide: those that contradict the others are errors
_EPOCH = (631_152_000, 4_102_444_800)  # seconds: 1990 to 2099
_OFFSET = re.compile(r":\d\d(?:\.\d+)? ?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)$")
_EPOCHS = (("epoch-s", "seconds", 1), ("epoch-ms", "milliseconds", 1_000))
_SERIALS = (18_000, 75_000)  # days of spreadsheets: 1949 to 2105


class Dates(NamedTuple):
    """How the dates of a column are written.

    Attributes:
        format: of the mapping; None is ISO 8601, `QUESTION` if the user has to say.
        remark: what to check.
        clock: whether they hold a time of day.
        other: the format with day and month in the other order, if it fits as well.
    """

    format: str | None
    remark: str = ""
    clock: bool = False
    other: str | None = None

    @property
    def known(self) -> bool:
        """Whether the format is known."""
        return self.format != QUESTION


def dates_of(profile: Profile) -> Dates | None:
    """Return how the dates of a column are written, or None if its cells are no dates."""
    if profile.empty or matches(profile.name, *IDS):
        return None
    if profile.numeric:
        return _as_numbers(profile)
    first = [text for text, _ in profile.counts.most_common(_FIRST)]
    if sum(bool(forms(text)) for text in first) * 2 >= len(first):
        return _as_texts(profile)
    if profile.most(resembles_date) and not is_time_of_day(profile):
        return Dates(QUESTION, "looks like a time, but in a writing that is not known: give its format, or rewrite it")
    return None


def in_one_order(dates: Mapping[str, Dates]) -> dict[str, Dates]:
    """Return the dates of a table, where those of no sure order of day and month follow those that are sure."""
    sure = {name: found.format[:2] for name, found in dates.items() if _is_sure(found) and found.format}
    if len(set(sure.values())) != 1:
        return dict(dates)
    name, first = next(iter(sure.items()))
    return {other: _as_first(found, first, name) for other, found in dates.items()}


def _is_sure(found: Dates) -> bool:
    return found.format is not None and swapped(found.format) is not None and found.other is None


def _as_first(found: Dates, first: str, column: str) -> Dates:
    """Return dates that begin with day or month, as column `column` does."""
    if found.other is None or not found.known:
        return found
    form = found.format if found.format and found.format.startswith(first) else found.other
    remark = f"{'day' if first == '%d' else 'month'} first, as in {column}: no cell decides"
    return Dates(form, "; ".join([remark, *found.remark.split("; ")[1:]]), found.clock)


def is_time_of_day(profile: Profile) -> bool:
    """Return whether nearly all cells are times without a date, such as 08:15."""
    return not profile.numeric and profile.most(lambda text: TIME_OF_DAY.fullmatch(text) is not None)


def _as_texts(profile: Profile) -> Dates:
    written: Counter[str] = Counter()
    of_text = {text: forms(text) for text in profile.counts}
    for text, found in of_text.items():
        for form in found:
            written[form] += profile.counts[text]
    form = _with_fractions(max(written, key=lambda form: (written[form], -_rank(form))), written)
    other = swapped(form)
    if other is not None and other in written and (undecided := _order(profile, of_text, form, other)):
        return undecided
    fitting = profile.share(lambda text: form in of_text[text] or form.replace(".%f", "") in of_text[text])
    alternatives = [
        other
        for other in written
        if other != form and written[other] == written[form] and (".%f" in other) == (".%f" in form)
    ]
    if fitting < MOST:
        ways = ", ".join(f"{form} ({count / profile.total:.0%})" for form, count in written.most_common(4))
        return Dates(QUESTION, f"no format fits most cells, but {ways}: write the dates in one way")
    if any(form.startswith("%y") for form in (form, *alternatives)) and alternatives:
        return Dates(QUESTION, f"{' or '.join([form, *alternatives])}? no cell decides which part is the year")
    return _checked(profile, form, alternatives, fitting)


def _checked(profile: Profile, form: str, alternatives: list[str], fitting: float) -> Dates:
    """Return the format if the ingest reads as many cells by it as were recognised."""
    texts = pl.Series(list(profile.counts), dtype=pl.String)
    read = parse_dates(texts, None if form == ISO else form).is_not_null()
    share = sum(profile.counts[text] for text in texts.filter(read)) / profile.total
    if share < MOST:
        return Dates(QUESTION, "dates in a writing that the ingest does not read: rewrite them as 2023-01-31 13:45")
    remarks = [f"or {', '.join(alternatives)}? no cell decides"] if alternatives else []
    if min(share, fitting) < 1:
        remarks.append(f"{_percent(1 - share)} of the cells are written otherwise, and will be rejected")
    zoned = profile.share(lambda text: _OFFSET.search(text) is not None)
    if 0 < zoned < 1:
        remarks.append("some have an offset from UTC: those without one need their zone, such as zone: Europe/Berlin")
    clock = has_clock(form) or (form == ISO and profile.share(lambda text: ":" in text) > 0)
    return Dates(None if form == ISO else form, "; ".join(remarks), clock, swapped(form) if alternatives else None)


def _order(profile: Profile, of_text: dict[str, list[str]], form: str, other: str) -> Dates | None:
    """Return a question if some cells fit only day before month, and others only month before day."""
    only = [
        sum(count for text, count in profile.counts.items() if one in of_text[text] and two not in of_text[text])
        for one, two in ((form, other), (other, form))
    ]
    if min(only) <= _FEW * sum(only):
        return None
    return Dates(
        QUESTION,
        f"cells contradict each other: {only[0]:,} can only be {form}, {only[1]:,} only {other}, and "
        f"{profile.total - sum(only):,} do not decide: find out how each was written",
    )


def _with_fractions(form: str, written: Counter[str]) -> str:
    """Return the form with fractions of a second, if some cells have them."""
    with_fractions = form.replace("%S", "%S.%f") if ".%f" not in form else form
    return with_fractions if with_fractions in written else form


def _rank(form: str) -> int:
    """Return the order of forms that fit equally many cells: day first, then month first, then year first."""
    return ("%d", "%m", "%y").index(form[:2]) if form[:2] in ("%d", "%m", "%y") else 0


def _as_numbers(profile: Profile) -> Dates | None:
    """Recognise compact dates, epochs and serial numbers of spreadsheets; 20230131 may also be a number."""
    named = matches(profile.name, *NAMES_OF_TIMES)
    lengths = {len(text) for text in profile.counts}
    if profile.whole and lengths <= {12, 14} and profile.most(lambda text: bool(forms(text))):
        return _as_texts(profile)
    if not named:
        return None
    if profile.whole and lengths <= {8, 12, 14} and profile.most(lambda text: bool(forms(text))):
        return _as_texts(profile)
    numbers = [number for text in profile.counts if (number := _number(text)) is not None]
    for form, unit, scale in _EPOCHS:
        if all(_EPOCH[0] * scale <= number <= _EPOCH[1] * scale for number in numbers):
            return Dates(form, f"{unit} since 1970, in UTC?", clock=True)
    if all(_SERIALS[0] <= number <= _SERIALS[1] for number in numbers):
        return Dates("excel", "serial numbers of a spreadsheet, or excel-1904?", not profile.whole)
    return None


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _percent(share: float) -> str:
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"
