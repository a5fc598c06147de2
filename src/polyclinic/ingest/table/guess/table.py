"""Guess the mapping of a table, as YAML with comments, for the user to edit.

The guess uses names and a sample of the cells. It contains names, units and date formats, but no patients' values.
What it cannot know it asks for: a question mark in the mapping, which stops the ingest until it is answered.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.errors import IngestError
from polyclinic.ingest.formats.tabular import SUFFIXES, Layout, holds_values, is_table, read_rows
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.paths import files_under
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.table.column_profile import Profile, profiles
from polyclinic.ingest.table.guess import roles, visits
from polyclinic.ingest.table.guess.counts import counts
from polyclinic.ingest.table.guess.dates import dates_of, in_one_order
from polyclinic.ingest.table.guess.discard import NullSink
from polyclinic.ingest.table.guess.lines import Choice, Guess, quoted, time_fields
from polyclinic.ingest.table.guess.long_form import long_lines, names_of_measurements, parts_of
from polyclinic.ingest.table.guess.numerals import numerals_of
from polyclinic.ingest.table.guess.outcome_names import is_time_of_discharge
from polyclinic.ingest.table.guess.values import Context, guess, guesses_of
from polyclinic.ingest.table.guess.vital_signs import vital_signs
from polyclinic.progress import SILENT, Progress

_CELLS, _LEAST, _MOST = 1_000_000, 200, 5_000  # of a sample: cells; rows, at least and at most


class _Source(NamedTuple):
    """The table that is looked at, its description, and the pattern of file names that are ids, if it may be needed."""

    path: Path
    description: str
    files: str = ""


def guess_mapping(path: Path | str, progress: Progress = SILENT) -> str:
    """Return a mapping of the table at `path`, valid for `load_mapping` but for its questions, with comments.

    Of a folder, the first table by name is used.

    Raises:
        IngestError: the file is not a readable table, or has no rows; or the folder has no table.
    """
    source = _table_to_guess(Path(path))
    cells, unread = _first_rows(source, progress)
    sample = cells.head(_rows(cells))
    known = profiles(sample)
    numerals, signed = numerals_of(sample, known, holds_values(source.path))
    if signed and not numerals.as_plain:
        cells = numerals.plain(cells, signed)
        sample = cells.head(_rows(cells))
        known |= profiles(sample.select(signed))
    dates = in_one_order({name: found for name, profile in known.items() if (found := dates_of(profile))})
    columns, today = roles.Columns(known, dates), date.today()
    subject = roles.subject(columns, source.files)
    birth = roles.birth(columns, today)
    rest = {name: profile for name, profile in known.items() if name not in (subject.name, birth.name)}
    vitals = vital_signs(known)
    may_be_time = {name: profile for name, profile in rest.items() if name not in vitals}
    time = roles.time(roles.Columns(may_be_time, dates), sample, subject.name, today)
    rest = {name: profile for name, profile in rest.items() if name != time.name}
    lines = [f"# A guess from {source.description}: check every line, above all codes, units, and what is an outcome."]
    lines += [*unread, *numerals.lines(), *subject.lines, *time.lines, *birth.lines]
    parts = parts_of(rest, names_of_measurements(rest, sample, subject.name))
    if parts is not None:
        return _text([*lines, *long_lines(source.path, cells, rest, parts)])
    discharge = _discharge(columns, time, today)
    timed, first = time.name is not None, sample.columns[0]
    counted = counts(rest, sample, subject.name)
    folder = source.path.parent
    context = Context(dates, discharge, folder, timed=timed, first=first, vital_signs=vitals, counts=counted)
    context = context._replace(decimal="," if numerals.decimal == "," else ".")
    own_times = visits.own_times(dates, time.name, today)
    wide = _wide(rest, context, birth.name is None, own_times)
    return _text([*lines, *_unique(known.get(subject.name or ""), time), *wide])


def _text(lines: Sequence[str]) -> str:
    remark = '# NA, NULL, None and the like mean not recorded; add further texts as missing: ["-1", …]'
    return "\n".join([*lines, remark, ""])


def _table_to_guess(path: Path) -> _Source:
    """Return the table to use and its description, without file names of a folder, as they may identify patients."""
    if path.is_file():
        return _Source(path, path.name)
    if not path.is_dir():
        raise IngestError(f"{path.name} is not there: give the file of a table, or a folder of tables")
    tables = [table for table in files_under(path, NullSink()) if is_table(table)]
    folder = path.resolve().name
    if not tables:
        raise IngestError(f"no table in {folder}: its name must end in one of {', '.join(SUFFIXES)}")
    if len(tables) == 1:
        return _Source(tables[0], tables[0].name)
    return _Source(tables[0], f"the first by name of {len(tables):,} tables in {folder}", _ids_in_names(tables))


def _ids_in_names(tables: Sequence[Path]) -> str:
    """Return the pattern of the ids in file names, such as (\\d+) for p0001.psv; empty if the names have none.

    The pattern holds nothing of the names themselves.
    """
    stems = [table.name.split(".")[0] for table in tables]
    numbers = [re.findall(r"\d+", stem) for stem in stems]
    if all(len(found) == 1 for found in numbers) and len({found[0] for found in numbers}) == len(stems):
        return r"(\d+)"
    return r"^([^.]+)" if all(numbers) and len(set(stems)) == len(stems) else ""


def _first_rows(source: _Source, progress: Progress) -> tuple[pl.DataFrame, list[str]]:
    """Return the first rows of a table, and a comment on those that cannot be read."""
    sink = NullSink()
    try:
        read = read_rows(source.path, Layout(), RowFilter(source.path.name, sink), progress)
        cells = next(rows.cells for rows in read if not rows.cells.is_empty())
    except StopIteration:
        raise IngestError(f"{source.description} has no rows{_reasons(sink)}: export the table again") from None
    except (UnreadableText, OSError) as error:
        raise IngestError(f"{source.description} cannot be read as a table ({error})") from None
    return cells, [f"# some rows cannot be read{_reasons(sink)}, and will be rejected"] if sink.rejects else []


def _reasons(sink: NullSink) -> str:
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sink.rejects.most_common())
    return f" ({reasons})" if reasons else ""


def _rows(cells: pl.DataFrame) -> int:
    """Return the number of rows of the sample, fewer of a wide table."""
    return min(_MOST, max(_LEAST, _CELLS // max(1, cells.width)))


def _unique(subject: Profile | None, time: Choice) -> list[str]:
    if time.name is None and subject is not None and subject.repeats:
        return ["unique: false  # a patient has several rows: is there no time?"]
    return []


def _discharge(columns: roles.Columns, time: Choice, today: date) -> str:
    """Return the mapping of the time of discharge, if it is known and not the rows' own."""
    for name, dates in sorted(columns.dates.items(), key=lambda item: not item[1].clock):
        if dates.known and name != time.name and is_time_of_discharge(name):
            return quoted(name) if dates.format is None else time_fields(name, dates, today.isoformat())
    return ""


def _wide(columns: Mapping[str, Profile], context: Context, required: bool, own_times: Mapping[str, str]) -> list[str]:
    """Return the mapping's lines of a wide table; if `required`, at least one column must be mapped."""
    units = _unit_columns(columns)
    used = set(units.values())

    def of(name: str, units_in_names: bool) -> Guess:
        found = guess(columns[name], context._replace(units_in_names=units_in_names), columns.get(units.get(name, "")))
        return visits.at_own_time(found, own_times)

    guesses = guesses_of((name for name in columns if name not in used), of)
    mapped = any(guess.fields for guess in guesses)
    if required and not mapped:
        raise IngestError("no column could be mapped: the table needs columns besides the patient's id and the time")
    return ["columns:" if mapped else "columns: {}", *(guess.line("  ") for guess in guesses)]


def _unit_columns(columns: Mapping[str, Profile]) -> dict[str, str]:
    """Return the column with the units of each column that has one, such as `lactate_unit` for `lactate`."""
    found = {}
    for unit in columns:
        match = re.fullmatch(r"(.*?)[ _.-]?(?:units?|uom)", unit, re.IGNORECASE)
        if match:
            found[match[1].lower()] = unit
    return {name: found[name.lower()] for name in columns if name.lower() in found}
