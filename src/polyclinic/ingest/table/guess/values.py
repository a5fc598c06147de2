"""Guess what the columns of values are: numbers with units, categories, notes, files, outcomes, or identifiers."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from polyclinic.ingest.paths import UnreadablePath, inside
from polyclinic.ingest.table.column_profile import MOST, Profile, folded, matches, without_bound
from polyclinic.ingest.table.guess.counts import may_be_length, may_count
from polyclinic.ingest.table.guess.dates import Dates, is_time_of_day
from polyclinic.ingest.table.guess.header_units import unit_in_name
from polyclinic.ingest.table.guess.horizons import has_later_horizon
from polyclinic.ingest.table.guess.known_earlier import caution_of, is_prediction
from polyclinic.ingest.table.guess.lines import Guess, code, quoted
from polyclinic.ingest.table.guess.measures import is_age, is_only_foreign, measure_of
from polyclinic.ingest.table.guess.names import (
    NOTES,
    is_code,
    is_coded_at_the_end,
    is_id,
    is_numbered,
    kind_of,
)
from polyclinic.ingest.table.guess.outcome_names import at_discharge, is_death, is_outcome
from polyclinic.ingest.table.guess.persons import is_bare_name, is_of_a_person
from polyclinic.ingest.table.guess.roles import unit_since_start
from polyclinic.ingest.table.guess.sentinels import sentinels_of, with_missing, without
from polyclinic.ingest.table.guess.sex import guess_sex, is_sex, names_a_sex
from polyclinic.ingest.table.units import same_unit

_PLAIN = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_NOTHING = re.compile(r"[?.*_/\s]+|-{2,}|\u2014")  # a text without a word; a single - may mean negative
_CONSECUTIVE = 10  # rows from which numbers without a gap are those of the rows
_LARGE, _SEVERAL = 1_000_000, 20  # different whole numbers from this size are identifiers, if they are several
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_GRADE = re.compile(r"neg(?:ative|ativ)?|pos(?:itive|itiv)?|tr(?:ace)?|spuren?|[1-4]?\+{1,4}|\+/-|[+-]", re.IGNORECASE)
#: A number with its unit or flag in the cell: 120 mg/dL, 7.2 H.
_WITH_TEXT = re.compile(r"(?P<number>[+-]?\d+(?:[.,]\d+)?)\s*(?P<text>[A-Za-zµμ%°*(][\w/%µμ.^*·() -]{0,15})")
_FLAG = re.compile(r"\s*(?:\*+|\((?:HH?|LL?|A|N)\))$|(?:^|\s)(?:HH?|LL?|HIGH|LOW|A|N)$")
_OTHERS = 5  # units that are named
_TEXTS, _NUMBERS = 3, 5  # distinct: at most, and at least, in a column of numbers with units
_LIMITS = "some are below or above a limit (<0.01): the limit is kept as value, with its sign"
_CODED = "codes of a stay are given at its end: static, they are known from the start, and may reveal the outcome"
_PREDICTED = (
    "a score or prediction by its name: made from what was known at the time of the row? it may be an outcome: check"
)
_DAY = "a day counted from a start (German), or a label? as a label write type: categorical"
_SEX_OF_NAME = "for results by sex write code: DEMOGRAPHIC//sex, type: categorical, values: {...: female, ...: male}"
_LENGTH = "the length of the stay, known only at its end: an answer, never an input; or its number?"
_COUNT = "a count, not an identifier: is it so?"
_COMPARED = ("case", "patient")  # with those who are not
_PEOPLE = "as it identifies people"
_AT_DISCHARGE = "known only at discharge or death: an answer, never an input"


class Context(NamedTuple):
    """What the guess of a column needs to know of its table.

    Attributes:
        dates: the columns of dates.
        discharge: mapping of the time of discharge, if there is a column of it.
        folder: of image and waveform files.
        unit_names: names of units that are ids.
        units_in_names: whether units are taken from the names of columns, and out of the codes' names.
        timed: whether the rows have a time.
        first: name of the first column, which may number the rows.
        vital_signs: columns of vital signs whose names are also words for a time.
        counts: columns called like an identifier that count or measure.
        decimal: sign of the file's numbers.
    """

    dates: Mapping[str, Dates] = {}
    discharge: str = ""
    folder: Path | None = None
    unit_names: Mapping[str, str] = {}
    units_in_names: bool = True
    timed: bool = True
    first: str = ""
    vital_signs: frozenset[str] = frozenset()
    counts: frozenset[str] = frozenset()
    decimal: str = "."


def guesses_of(names: Iterable[str], of: Callable[[str, bool], Guess]) -> list[Guess]:
    """Return the guess of each name, with the unit in the name as unit of the code, unless two codes would be one."""
    first = {name: of(name, True) for name in names}
    codes = Counter(found.fields.get("code", name) for name, found in first.items())
    return [of(name, False) if codes[found.fields.get("code", name)] > 1 else found for name, found in first.items()]


def guess(profile: Profile, context: Context, units: Profile | None = None) -> Guess:
    """Guess the mapping of a column; `units` is the column of its units, if it has one."""
    name = profile.name
    if profile.empty:
        return Guess(name, {}, "the sample has no value")
    if profile.image or profile.waveform:
        return _file(profile, context.folder)
    left_out = _no_value(profile, context)
    if left_out:
        return Guess(name, {}, left_out)
    sentinels = sentinels_of(profile)
    return with_missing(_mapped(without(profile, sentinels), context, units), sentinels, context.decimal)


def _mapped(profile: Profile, context: Context, units: Profile | None) -> Guess:
    name = profile.name
    if _is_length(name, context) or (name not in context.vital_signs and _is_outcome(profile)):
        return _outcome(profile, context)
    found = _value(profile, context, units)
    remarks = [_caution(profile), found.remark]
    return found._replace(remark="; ".join(filter(None, remarks))) if found.fields else found


def _value(profile: Profile, context: Context, units: Profile | None) -> Guess:
    name = profile.name
    if is_sex(profile):
        return guess_sex(profile, _nothing(profile))
    if profile.numeric and not profile.zero_padded and not is_code(name):
        return _number(profile, units, context)
    found = _text(profile)
    return found._replace(remark=_CODED) if not context.timed and is_coded_at_the_end(name) and found.fields else found


def _is_length(name: str, context: Context) -> bool:
    """Return whether a column is the length of a stay, though it is called like its identifier."""
    return name in context.counts and may_be_length(name)


def _is_predicted(name: str) -> bool:
    """Return whether a column's name says that it is a score or prediction of an outcome."""
    return is_outcome(name) and is_prediction(name)


def _is_outcome(profile: Profile) -> bool:
    name = profile.name
    compared = profile.answers and folded(name) in _COMPARED
    named = is_outcome(name) and (_says_yes_or_no(profile) or not is_prediction(name))
    lasted = (profile.numeric or profile.binary) and matches(name, "stay") and not caution_of(name)
    return compared or named or lasted or (has_later_horizon(name) and _says_yes_or_no(profile))


def _caution(profile: Profile) -> str:
    """Return what to check of a column whose name has a word of an outcome, or of a sex, but that is neither."""
    if _is_predicted(profile.name):
        return _PREDICTED
    if _is_tag(profile):
        return _DAY
    return caution_of(profile.name) or (_SEX_OF_NAME if profile.binary and names_a_sex(profile.name) else "")


def _says_yes_or_no(profile: Profile) -> bool:
    return profile.binary or (profile.distinct <= 2 and not profile.numeric and not profile.prose)


def _file(profile: Profile, folder: Path | None) -> Guess:
    kind, type_ = ("IMAGE", "image") if profile.image else ("WAVEFORM", "waveform")
    if folder is None or not any(_exists(folder, text) for text in list(profile.counts)[:20]):
        return Guess(profile.name, {}, "files that are not in the table's folder")
    fields = {"code": code(kind, profile.name), "type": type_}
    return Guess(profile.name, fields, "name the view or the signal in the code")


def _exists(folder: Path, name: str) -> bool:
    try:
        return inside(folder, name).is_file()
    except UnreadablePath:
        return False


def _no_value(profile: Profile, context: Context) -> str:
    """Return why a column has no values of its own, or an empty text."""
    name, dates = profile.name, context.dates
    if name in dates:
        if not dates[name].known:
            return dates[name].remark
        if at_discharge(name) or is_death(name):
            return f"a date {_AT_DISCHARGE.removesuffix(': an answer, never an input')}: never an input at admission"
        return f"a date: use it as the time of a fact (time: {quoted(name)}) where it fits"
    if is_time_of_day(profile):
        return "a time of day: write it and the date in one column to keep it"
    if profile.numeric and name.lower().endswith("offset") and unit_since_start(name):
        return f"counted from a start: use it as the time of a fact (time: {{column: {quoted(name)}, unit: minutes}})"
    return _identifier(profile, first=name == context.first, counts=name in context.counts)


def _identifier(profile: Profile, first: bool, counts: bool) -> str:
    answers = profile.answers and (may_count(profile.name) or not is_numbered(profile.name))
    if counts or answers or is_sex(profile):
        return ""
    if is_bare_name(profile.name) and not profile.numeric:
        return f"{_PEOPLE}; if it names what was measured, write it as code under long"
    if is_of_a_person(profile.name) and not is_bare_name(profile.name):
        return _PEOPLE
    if is_id(profile.name) or (not profile.numeric and profile.most(lambda text: _UUID.fullmatch(text) is not None)):
        return "an identifier, not a measurement; map it as categorical if it means something"
    if not (profile.whole and profile.unique):
        return ""
    numbers = list(map(int, profile.counts))
    if (
        first
        and len(numbers) >= _CONSECUTIVE
        and numbers[0] in (0, 1)
        and numbers == [*range(numbers[0], numbers[-1] + 1)]
    ):
        return "the numbers of the rows"
    return "different whole numbers: an identifier?" if len(numbers) >= _SEVERAL and min(numbers) >= _LARGE else ""


def _outcome(profile: Profile, context: Context) -> Guess:
    name = profile.name
    time = {"time": context.discharge} if context.discharge else {}
    if profile.prose:
        return Guess(
            name,
            {"code": code("NOTE", name), "type": "text"} | time,
            "written at discharge or after: never an input at admission",
        )
    fields = {"code": code("OUTCOME", name), "type": "label"}
    if _is_length(name, context):
        return Guess(name, fields | time, _LENGTH)
    if not at_discharge(name):
        return Guess(name, fields, "an answer, never an input: is it?")
    return Guess(name, fields | time, _AT_DISCHARGE)


def _number(profile: Profile, units: Profile | None, context: Context) -> Guess:
    found = units.most_common() if units else []
    stated = unit_in_name(profile.name) if context.units_in_names and not profile.binary else None
    measure = measure_of(profile)
    assumed = measure.unit if measure else ""
    unit = context.unit_names.get(found[0], found[0]) if found else stated.unit if stated else assumed
    own = stated.name if stated and same_unit(stated.unit) == same_unit(unit) else profile.name
    called = "age" if measure and is_age(own) and context.units_in_names else own
    counted = profile.name in context.counts
    kind = measure.kind if measure else _kind(profile, own, "FINDING" if profile.binary or counted else "LAB")
    fields = {"code": code(kind, called, unit), "type": "numeric"}
    if units is not None and found:
        fields["units"] = f"{{column: {quoted(units.name)}, {quoted(found[0])}: 1}}"
    others = [other for other in found[1:] if same_unit(other) != same_unit(found[0])]
    remarks = [f"other units need their factors: {', '.join(others[:_OTHERS])}"] if others else []
    if not found and not profile.binary:
        asked = _COUNT if counted else "" if kind == "SCORE" or _is_tag(profile) else "unit?"
        remarks.append("the unit is in the name" if stated else f"is it in {unit}?" if unit else asked)
    remarks += [_LIMITS] if profile.bounded else []
    return Guess(profile.name, fields, "; ".join(filter(None, remarks)))


def _kind(profile: Profile, name: str, otherwise: str) -> str:
    """Return the kind of a column of numbers that are no known measure."""
    if _is_predicted(profile.name):
        return "SCORE"
    if caution_of(profile.name) or _is_tag(profile):
        return "FINDING"
    return otherwise if is_only_foreign(name) else kind_of(name, otherwise)


def _is_tag(profile: Profile) -> bool:
    return profile.numeric and folded(profile.name).strip() == "tag"


def _nothing(profile: Profile) -> list[str]:
    """Return the texts without a word."""
    return sorted(text for text in profile.counts if _NOTHING.fullmatch(text))


def _text(profile: Profile) -> Guess:
    name = profile.name
    graded = profile.share(lambda text: _GRADE.fullmatch(text) is not None)
    if profile.prose or (matches(name, *NOTES) and not profile.categorical and not matches(name, "id")):
        return Guess(name, {"code": code("NOTE", name), "type": "text"})
    with_units = _with_units(profile)
    if with_units:
        return with_units
    coded = profile.repeats and kind_of(name, "") in ("DIAGNOSIS", "PROCEDURE", "MEDICATION")
    if not profile.categorical and not coded:
        return Guess(name, {}, "many different texts: an identifier?")
    fields = {"code": code("SCORE" if _is_predicted(name) else kind_of(name, "FINDING"), name), "type": "categorical"}
    nothing = _nothing(profile)
    if nothing:
        fields["missing"] = f"[{', '.join(map(json.dumps, nothing))}]"
    if graded >= 0.5:
        remark = "grades: for their order, write type: numeric, values: {neg: 0, trace: 0.5, 1+: 1, …}"
        return Guess(name, fields, remark)
    return Guess(name, fields, f"do {', '.join(nothing)} mean not recorded?" if nothing else "")


def _with_units(profile: Profile) -> Guess | None:
    """Return the guess of a column of numbers with their units or flags in the cells."""
    found = {text: match for text in profile.counts if (match := _WITH_TEXT.fullmatch(without_bound(text)))}
    litres = {match["text"] for match in found.values()} == {"L"}  # and no flag, as there is no H
    units = Counter[str]()
    for text, match in found.items():
        units["L" if litres else _FLAG.sub("", match["text"]).strip()] += profile.counts[text]
    numbers = {match["number"] for match in found.values()}
    plain = profile.share(lambda text: text in found or _PLAIN.fullmatch(without_bound(text)) is not None)
    if plain < MOST or 2 * units.total() < profile.total or len(units) > _TEXTS or len(numbers) < _NUMBERS:
        return None
    unit, *others = [unit for unit, _ in units.most_common() if unit] or [""]
    measure = measure_of(Profile(profile.name, Counter(numbers)))
    kind = measure.kind if measure else kind_of(profile.name, "LAB")
    fields = {"code": code(kind, profile.name, unit), "type": "numeric"}
    remarks = ["the unit is in the cells" if unit else "flags in the cells (7.2 H) are left out; unit?"]
    remarks += [f"other units need their factors: {', '.join(others)}"] if others else []
    return Guess(profile.name, fields, "; ".join(remarks))
