"""Recognise the long form: one row per parameter and value, with numbers or names of the parameters."""

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.table.column_profile import Profile, matches
from polyclinic.ingest.table.guess.dictionary import distinct_names, names_beside, names_in_folder
from polyclinic.ingest.table.guess.lines import Guess, code, quoted
from polyclinic.ingest.table.guess.names import PARAMETERS, UNIT_COLUMNS, VALUES
from polyclinic.ingest.table.guess.persons import is_bare_name, is_of_a_person
from polyclinic.ingest.table.guess.values import Context, guess, guesses_of

_PARAMETERS = 300  # most common parameters that are mapped
_OFTEN = 0.2  # of the times
_MOSTLY = 0.5  # of the subjects
_NO_PARAMETER = (
    "unit",
    "type",
    "operator",
    "value",
    "source",
    "range",
    "category",
    "modifier",
    "visit",
    "time",
    "result",
)
_NO_VALUE = (
    "name",
    "concept",
    "source",
    "text",
    "interface",
    "id",
    "range",
    "ref",
    "lower",
    "upper",
    "time",
    "unit",
    "type",
    "flag",
    "offset",
)


class Parts(NamedTuple):
    """The columns of a long table."""

    parameter: str
    value: str
    unit: str | None
    texts: str | None  # another column of the values, which also has those that are no numbers


def parts_of(profiles: Mapping[str, Profile], named: Container[str] = ()) -> Parts | None:
    """Return the columns of a long table, or None if the table is not long.

    `named` are columns called name that say what was measured, which are used if no other column does.
    """
    usable = {name: profile for name, profile in profiles.items() if not profile.empty}
    values = [
        name for name in usable if matches(name, *VALUES, r"\w*valuenum", r"value_as_\w*") and not _is(name, _NO_VALUE)
    ]
    parameters = [
        name
        for name, profile in usable.items()
        if (matches(name, "result_?name") or (matches(name, *PARAMETERS) and not _is(name, _NO_PARAMETER)))
        and profile.repeats
        and _is_parameter(profile)
    ]
    parameters = [name for name in parameters if name not in values]
    parameters = parameters or [name for name in usable if name in named]
    if not parameters or not values:
        return None
    parameter = min(parameters, key=lambda name: ("concept" not in name.lower(), 0))
    value = min(values, key=lambda name: (not usable[name].numeric, not re.search("num|stresn", name.lower())))
    texts = next((name for name in values if usable[name].total > usable[value].total), None)
    units = [name for name in usable if matches(name, *UNIT_COLUMNS) and name not in (parameter, value)]
    unit = min(
        units, key=lambda name: (_far(name, value), "interface" in name.lower(), usable[name].numeric), default=None
    )
    return Parts(parameter, value, unit, texts)


def names_of_measurements(profiles: Mapping[str, Profile], rows: pl.DataFrame, subject: str | None) -> set[str]:
    """Return the columns called name that differ within most subjects of several rows: names of people do not."""
    named = [name for name, profile in profiles.items() if is_bare_name(name) and not profile.numeric]
    if subject is None or not named:
        return set()
    distinct = pl.col(named).replace("", None).drop_nulls().n_unique() > 1
    several = rows.group_by(subject).agg(pl.len().alias(f"{subject} rows"), distinct).filter(pl.nth(1) > 1)
    return {name for name in named if float(several.get_column(name).sum()) >= _MOSTLY * max(1, several.height)}


def long_lines(table: Path, cells: pl.DataFrame, profiles: Mapping[str, Profile], parts: Parts) -> list[str]:
    """Return the mapping's lines of a long table; `cells` may have more rows than the sample of the profiles."""
    rows = cells.with_columns(pl.col(parts.parameter).str.strip_chars())
    parts = _with_all_parameters(rows, parts)
    parameter, value, unit = parts.parameter, parts.value, parts.unit
    names = _names(rows, parts)
    labels, source = names_beside(cells, parameter, set(profiles) - {value, unit, parameter})
    if not labels:
        labels, source = names_in_folder(table, parameter, names)
    numbered = profiles[parameter].numeric
    remark = f"  # named by {quoted(source)}" if labels else _without_names(numbered)
    lines = [
        "long:",
        f"  code: {quoted(parameter)}{remark}",
        f"  value: {quoted(value)}{_texts_remark(profiles, parts)}",
    ]
    lines += [f"  unit: {quoted(unit)}"] if unit else []
    lines += _several_at_once(rows, parts, list(profiles))
    called = distinct_names(labels, names)
    units = _unit_names(table, unit, rows)
    grouped = {str(name): frame for (name,), frame in rows.partition_by(parameter, as_dict=True).items()}
    people = [name for name in names if is_of_a_person(called.get(name, name))]

    def of(name: str, units_in_names: bool) -> Guess:
        context = Context(unit_names=units, units_in_names=units_in_names)
        return _parameter(grouped[name], name, called.get(name, name), parts, context)

    guesses = guesses_of((name for name in names if name not in people), of)
    used = {parameter, value, unit, source}
    others = [quoted(name) for name in profiles if name not in used]
    left_out = [f"# left out, as each row is one value: {', '.join(others)}"] if others else []
    ignored = [f"  ignore: [{', '.join(map(quoted, people))}]  # as they identify people"] if people else []
    codes = "  codes:" if guesses else "  codes: {}"
    return [*lines, codes, *(guess.line("    ") for guess in guesses), *ignored, *left_out]


def _several_at_once(rows: pl.DataFrame, parts: Parts, columns: list[str]) -> list[str]:
    """Return a comment if a parameter often has several values at one time: it is not the whole name then."""
    by = [name for name in rows.columns if name not in (*columns, parts.parameter)]  # the subject and the time
    if not by:
        return []
    values = (
        rows.group_by(*by, parts.parameter).agg(pl.col(parts.value).drop_nulls().n_unique() > 1).get_column(parts.value)
    )
    if float(values.sum()) < _OFTEN * max(1, len(values)):
        return []
    return [f"  # {quoted(parts.parameter)} has several values at once: is it the whole name of what was measured?"]


def _with_all_parameters(rows: pl.DataFrame, parts: Parts) -> Parts:
    """Return the parts with the column that also holds texts, if some parameters have nothing but texts."""
    if parts.texts is None or set(_names(rows, parts)) >= set(_names(rows, parts._replace(value=parts.texts))):
        return parts
    return parts._replace(value=parts.texts, texts=None)


def _names(rows: pl.DataFrame, parts: Parts) -> list[str]:
    """Return the most common parameters; NA may be sodium: words for nothing are kept where they have a value."""
    valued = rows.filter(pl.col(parts.parameter) != "", pl.col(parts.value).str.strip_chars() != "")
    counts = valued.get_column(parts.parameter).value_counts()
    return (
        counts.sort("count", parts.parameter, descending=[True, False])
        .get_column(parts.parameter)
        .to_list()[:_PARAMETERS]
    )


def _far(unit: str, value: str) -> bool:
    """Return whether a unit is not called like its value, as `amountuom` is like `amount`."""
    return not unit.lower().startswith((value.lower(), value.lower().removesuffix("n")))


def _is(name: str, words: tuple[str, ...]) -> bool:
    return matches(name, *words)


def _is_parameter(profile: Profile) -> bool:
    """Return whether a column of numbers is one of parameters, which are few and whole numbers."""
    return not profile.numeric or (profile.whole and 2 * profile.distinct <= profile.total)


def _without_names(numbered: bool) -> str:
    if not numbered:
        return ""
    return "  # numbers: to name them, put their dictionary (d_labitems, concept, …) into the folder and guess again"


def _texts_remark(profiles: Mapping[str, Profile], parts: Parts) -> str:
    if parts.texts is None or profiles[parts.texts].total <= profiles[parts.value].total:
        return ""
    more = profiles[parts.texts].total - profiles[parts.value].total
    return f"  # {quoted(parts.texts)} has {more:,} more in the sample, as texts: name it instead to keep them"


def _unit_names(table: Path, unit: str | None, rows: pl.DataFrame) -> dict[str, str]:
    """Return the names of units that are ids, from the dictionary."""
    if unit is None or not unit.lower().endswith("concept_id"):
        return {}
    return names_in_folder(table, unit, Profile.of(rows.get_column(unit)).counts)[0]


def _parameter(rows: pl.DataFrame, name: str, called: str, parts: Parts, context: Context) -> Guess:
    units = Profile.of(rows.get_column(parts.unit)) if parts.unit else None
    profile = Profile.of(rows.get_column(parts.value))
    found = guess(Profile(called, profile.counts), context, units)
    if not found.fields and not profile.empty and not profile.prose and profile.numeric:
        found = Guess(called, {"code": code("LAB", called), "type": "numeric"})
    if not found.fields:
        return Guess(name, {"code": code("FINDING", called), "type": "text"}, found.remark)
    fields = dict(found.fields)
    if "units" in fields:
        fields["units"] = fields["units"].replace(f"column: {quoted(parts.unit or '')}, ", "")
    return Guess(name, fields, found.remark)
