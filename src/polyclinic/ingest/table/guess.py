"""Guess the mapping of a table, as YAML with comments, for the user to edit.

The guess uses names and a sample of the cells. It contains names, units and date formats, but no patients' values.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from polyclinic.cohort import Reject
from polyclinic.files import sha256
from polyclinic.ingest.errors import IngestError
from polyclinic.ingest.formats.tabular import SUFFIXES, Layout, is_table, read_rows
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.paths import UnreadablePath, files_under, inside
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.table.column_profile import Profile, matches

_SAMPLE = 5_000  # rows
_PARAMETERS = 300  # most common parameters of a long table

_SUBJECT = ("(subject|patient|person|participant|case)(id)?", "mrn", "pid", "pidnum", "record")
_BIRTHS = ("dob", "birth(day|date)?", "born", "geb(urtsdatum|urtstag)?")
_TIMES = ("time", "date", "datetime", "timestamp", "charttime", "taken", "recorded", "day", "when")
_OUTCOMES = (
    "outcomes?", "died", "dead", "death", "mortality", "surv\\w*", "deceased", "readmi(ssion|tted)", "labels?",
    "target", "hospdead", "status", "s?los", "stay", "cens(or|ored)?", "event", "time", "days", "futime", "follow",
)  # fmt: skip
_KINDS: Mapping[str, tuple[str, ...]] = {
    "DEMOGRAPHIC": ("age", "sex", "gender", "race", "ethnicity", "height", "edu", "education", "income", "bmi"),
    "VITAL": (
        "hr", "hrt", "heart", "pulse", "rate", "temp", "temperature", "bp", "sbp", "dbp", "map", "meanbp", "abp",
        "resp", "rr", "spo2", "saturation", "weight", "wtkg", "gcs", "urine",
    ),
    "DIAGNOSIS": ("diagnos[ie]s", "icd", "icd9", "icd10", "comorbidity", "dx", "diabetes", "cancer", "dementia"),
    "PROCEDURE": ("procedures?", "surgery", "ventilat(ed|ion|or)", "intubated", "operation"),
    "MEDICATION": ("drugs?", "medications?", "treat(ment)?", "dose", "arms?"),
    "SCORE": ("score", "saps", "sofa", "apache", "aps", "sps"),
}  # fmt: skip
_NOTES = ("notes?", "report", "findings", "impression", "indication", "history", "comments?", "text", "description")
_UNITS = {"age": "years", "weight": "kg", "height": "cm", "heart_rate": "bpm", "hr": "bpm", "temperature": "C"}
_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
_PARAMETER = ("parameter", "item", "itemid", "code", "test", "variable", "analyte", "concept", "observation", "lab")
_VALUE = ("value", "result", "valuenum", "reading", "measurement")
_NUMBERED_TIMES = ("seconds", "minutes", "hours", "days", "years")


class _Guess(NamedTuple):
    """The guessed mapping of a column or parameter; without fields it is a comment."""

    name: str
    fields: Mapping[str, str]
    remark: str = ""

    def line(self, indent: str) -> str:
        body = ", ".join(f"{key}: {value}" for key, value in self.fields.items())
        if not body:
            return f"{indent}# {_quoted(self.name)}: left out, {self.remark}"
        return f"{indent}{_quoted(self.name)}: {{{body}}}" + (f"  # {self.remark}" if self.remark else "")


class _Choice(NamedTuple):
    """The column chosen for a role, if any, and its lines of the mapping."""

    name: str | None
    lines: list[str]


def guess_mapping(path: Path | str) -> str:
    """Return a mapping of the table at `path`, valid for `load_mapping`, with comments on what to check.

    Of a folder, the first table by name is used.

    Raises:
        IngestError: the file is not a readable table, or has no rows; or the folder has no table.
    """
    table, description = _table_to_guess(Path(path))
    cells, decimal = _with_points(_sample(table, description))
    profiles = {name: Profile.of(cells.get_column(name)) for name in cells.columns}
    subject = _subject(profiles)
    birth = _birth([profile for name, profile in profiles.items() if name != subject.name])
    others = [profile for name, profile in profiles.items() if name not in (subject.name, birth.name)]
    time = _time(others, counted=profiles[subject.name or ""].repeats)
    rest = {profile.name: profile for profile in others if profile.name != time.name}
    lines = [f"# A guess from {description}: check every line, above all codes, units, and what is an outcome."]
    lines += [*decimal, *subject.lines, *time.lines, *birth.lines]
    unique = _unique(profiles[subject.name or ""], time)
    lines += _long(cells, rest) or [*unique, *_wide(rest, table.parent, required=birth.name is None)]
    return "\n".join([*lines, 'missing: ["", NA, N/A, NaN, nan, NULL, "null"]  # texts that mean not recorded', ""])


def _table_to_guess(path: Path) -> tuple[Path, str]:
    """Return the table to use and its description, without file names of a folder, as they may identify patients."""
    if path.is_file():
        return path, path.name
    if not path.is_dir():
        raise IngestError(f"{path.name} is not there: give the file of a table, or a folder of tables")
    tables = [table for table in files_under(path, _NullSink()) if is_table(table)]
    folder = path.resolve().name
    if not tables:
        raise IngestError(f"no table in {folder}: its name must end in one of {', '.join(SUFFIXES)}")
    return tables[0], f"the first by name of {len(tables):,} tables in {folder}" if len(tables) > 1 else tables[0].name


def _sample(path: Path, description: str) -> pl.DataFrame:
    row_filter = RowFilter(path.name, _NullSink())
    try:
        found = (rows.cells for rows in read_rows(path, Layout(), row_filter))
        cells = next(cells for cells in found if not cells.is_empty()).head(_SAMPLE)
    except StopIteration:
        raise IngestError(f"{description} has no rows: export the table again") from None
    except (UnreadableText, OSError) as error:
        raise IngestError(f"{description} cannot be read as a table ({error})") from None
    return cells


def _with_points(cells: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the cells with decimal commas converted to points, and the mapping's line that declares them, if any."""
    text = pl.all().str.strip_chars()
    commas = text.str.contains(r"^[+-]?\d+,\d+$")
    pointed = cells.with_columns(pl.when(commas).then(text.str.replace(",", ".", literal=True)).otherwise(pl.all()))
    numeric = {name for name in cells.columns if Profile.of(cells[name]).numeric}
    gained = [name for name in cells.columns if name not in numeric and Profile.of(pointed[name]).numeric]
    points = any(cells[name].str.contains(".", literal=True).any() for name in numeric)
    thousands = not any(cells[name].str.contains(r",(\d{1,2}|\d{4,})\s*$").any() for name in gained)
    if not gained or points or thousands:
        return cells, []
    return pointed, ['decimal: ","  # numbers are written like 1,5: is it so?']


class _NullSink:
    """A sink that discards everything."""

    def add(self, frame: pl.DataFrame) -> None:
        """Discard the events."""

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Discard the blob, and return its name."""
        return sha256(content) + suffix

    def reject(self, *rejects: Reject) -> None:
        """Discard the rejects."""


def _subject(profiles: Mapping[str, Profile]) -> _Choice:
    named = [name for name, profile in profiles.items() if matches(name, *_SUBJECT) and not _is_birth(profile)]
    ids = [name for name in profiles if matches(name, "id")]
    plausible = [name for name, profile in profiles.items() if name and not profile.prose and not profile.empty]
    chosen = [*[name for name in named if name in ids], *named, *ids, *plausible, *profiles][0]
    sure = chosen in named or chosen in ids
    remark = "the patient" if sure else "no column is called like a patient's id: is this it?"
    return _Choice(chosen, [f"subject: {_quoted(chosen)}  # {remark}"])


def _time(candidates: Sequence[Profile], counted: bool) -> _Choice:
    """Choose a column of dates, or, if patients have several rows (`counted`), of numbers of hours or days."""
    dated = [profile for profile in candidates if profile.date_formats and _is_date(profile)]
    for profile in sorted(dated, key=lambda profile: not matches(profile.name, *_TIMES)):
        return _Choice(profile.name, [_dated("time", profile)])
    for profile in candidates if counted else ():
        for unit in _NUMBERED_TIMES:
            if profile.numeric and matches(profile.name, unit, unit[:-1]) and not matches(profile.name, *_OUTCOMES):
                line = f"time: {{column: {_quoted(profile.name)}, unit: {unit}}}"
                return _Choice(profile.name, [f"{line}  # counted from each patient's own start: is this so?"])
    return _Choice(None, ["time: null  # no column looks like a time: every fact is static, known from the start"])


def _birth(candidates: Sequence[Profile]) -> _Choice:
    """Choose the date of birth, if any; it is not the time of a fact."""
    born = next((profile for profile in candidates if _is_birth(profile)), None)
    return _Choice(None, []) if born is None else _Choice(born.name, [_dated("birth", born)])


def _is_birth(profile: Profile) -> bool:
    return matches(profile.name, *_BIRTHS) and bool(profile.date_formats)


def _dated(key: str, profile: Profile) -> str:
    """Return the mapping's line of a column of dates, with alternative formats as a comment."""
    first, *others = profile.date_formats
    format_ = f", format: {json.dumps(first)}" if first else ""
    remark = f"  # or {', '.join(other or 'ISO 8601' for other in others)}?" if others else ""
    return f"{key}: {{column: {_quoted(profile.name)}{format_}}}{remark}"


def _is_date(profile: Profile) -> bool:
    """Return whether cells that parse as dates are dates: 20230131 may be a number."""
    return not profile.numeric or matches(profile.name, *_TIMES)


def _unique(subject: Profile, time: _Choice) -> list[str]:
    if time.name is None and subject.repeats:
        return ["unique: false  # a patient has several rows: is there no time?"]
    return []


def _wide(profiles: Mapping[str, Profile], folder: Path, required: bool) -> list[str]:
    """Return the mapping's lines of a wide table; if `required`, at least one column must be mapped."""
    units = {name: unit for name in profiles if (unit := _unit_column(name, profiles))}
    guesses = [
        _guess(profile, profiles.get(units.get(name, "")), folder)
        for name, profile in profiles.items()
        if name not in units.values()
    ]
    mapped = any(guess.fields for guess in guesses)
    if required and not mapped:
        raise IngestError("no column could be mapped: the table needs columns besides the patient's id and the time")
    return ["columns:" if mapped else "columns: {}", *(guess.line("  ") for guess in guesses)]


def _unit_column(name: str, profiles: Mapping[str, Profile]) -> str | None:
    """Return the column with the units of column `name`, such as `lactate_unit` for `lactate`."""
    pattern = re.compile(re.escape(name) + r"[ _.-]?(units?|uom)", re.IGNORECASE)
    return next((other for other in profiles if pattern.fullmatch(other)), None)


def _long(cells: pl.DataFrame, profiles: Mapping[str, Profile]) -> list[str]:
    """Return the mapping's lines of a long table; empty if the table is not long."""
    usable = [profile for profile in profiles.values() if not profile.empty]
    parameter = next((p.name for p in usable if matches(p.name, *_PARAMETER) and p.repeats and not p.numeric), None)
    value = next((p.name for p in usable if matches(p.name, *_VALUE) and p.name != parameter), None)
    if parameter is None or value is None:
        return []
    unit = next((p.name for p in usable if matches(p.name, "units?", "uom") and p.name not in (parameter, value)), None)
    lines = ["long:", f"  code: {_quoted(parameter)}", f"  value: {_quoted(value)}"]
    lines += [f"  unit: {_quoted(unit)}"] if unit else []
    names = profiles[parameter].most_common()[:_PARAMETERS]
    rows = cells.with_columns(pl.col(parameter).str.strip_chars())
    return [*lines, "  codes:", *(_parameter(rows, parameter, name, value, unit).line("    ") for name in names)]


def _parameter(rows: pl.DataFrame, parameter: str, name: str, value: str, unit: str | None) -> _Guess:
    selected = rows.filter(pl.col(parameter) == name)
    units = Profile.of(selected.get_column(unit)) if unit else None
    guess = _guess(Profile(name, Profile.of(selected.get_column(value)).texts.alias(name)), units)
    if guess.fields:
        return guess._replace(
            fields={key: text.replace(f"column: {_quoted(unit or '')}, ", "") for key, text in guess.fields.items()}
        )
    return _Guess(name, {"code": _code("FINDING", name), "type": "text"}, guess.remark)


def _guess(profile: Profile, units: Profile | None = None, folder: Path | None = None) -> _Guess:
    """Guess the mapping of a column; `units` is the column of its units, `folder` that of image and waveform files."""
    name = profile.name
    if profile.empty:
        return _Guess(name, {}, "the sample has no value")
    if profile.image or profile.waveform:
        kind, type_ = ("IMAGE", "image") if profile.image else ("WAVEFORM", "waveform")
        if folder is None or not any(_exists(folder, text) for text in profile.texts.head(20)):
            return _Guess(name, {}, "files that are not in the table's folder")
        return _Guess(name, {"code": _code(kind, name), "type": type_}, "name the view or the signal in the code")
    if profile.date_formats and _is_date(profile):
        return _Guess(name, {}, f"a date: use it as the time of a fact (time: {_quoted(name)}) where it fits")
    if matches(name, *_OUTCOMES):
        return _Guess(name, {"code": _code("OUTCOME", name), "type": "label"}, "an answer, never an input: is it?")
    if profile.numeric and not matches(name, "sex", "gender"):
        return _number(profile, units)
    return _text(profile)


def _exists(folder: Path, name: str) -> bool:
    try:
        return inside(folder, name).is_file()
    except UnreadablePath:
        return False


def _number(profile: Profile, units: Profile | None) -> _Guess:
    name, kind = profile.name, _kind(profile.name, "FINDING" if profile.binary else "LAB")
    found = units.most_common() if units else []
    unit = found[0] if found else next((unit for word, unit in _UNITS.items() if matches(profile.name, word)), "")
    fields = {"code": _code(kind, name, unit), "type": "numeric"}
    if units is not None and found:
        fields["units"] = f"{{column: {_quoted(units.name)}, {_quoted(found[0])}: 1}}"
    others = ", ".join(found[1:6])
    if others:
        return _Guess(name, fields, f"other units need their factors: {others}")
    if found or profile.binary:
        return _Guess(name, fields)
    return _Guess(name, fields, f"is it in {unit}?" if unit else "unit?")


def _text(profile: Profile) -> _Guess:
    name = profile.name
    if profile.prose or (matches(name, *_NOTES) and not profile.categorical and not matches(name, "id")):
        return _Guess(name, {"code": _code("NOTE", name), "type": "text"})
    if not profile.categorical:
        return _Guess(name, {}, "many different texts: an identifier?")
    fields = {"code": _code(_kind(name, "FINDING"), name), "type": "categorical"}
    texts = profile.most_common()
    if matches(name, "sex", "gender"):
        known = {text: _SEXES[text.lower()] for text in sorted(texts) if text.lower() in _SEXES}
        if len(known) == len(texts):
            pairs = ", ".join(f"{_quoted(text)}: {sex}" for text, sex in known.items())
            return _Guess(name, {"code": "DEMOGRAPHIC//sex", "type": "categorical", "values": f"{{{pairs}}}"})
        return _Guess(name, fields, "add values: {...: female, ...: male}")
    return _Guess(name, fields)


def _kind(name: str, otherwise: str) -> str:
    return next((kind for kind, words in _KINDS.items() if matches(name, *words)), otherwise)


def _code(kind: str, name: str, unit: str = "") -> str:
    plain = re.sub(r"\s+|/{2,}", "_", name.strip()).strip("_/") or "unnamed"
    return _quoted("//".join([kind, plain, unit] if unit else [kind, plain]))


def _quoted(text: str) -> str:
    """Return a text as YAML, quoted if needed."""
    return text if re.fullmatch(r"(?!null$)[A-Za-z_][\w/.^%-]*", text, re.IGNORECASE | re.ASCII) else json.dumps(text)
