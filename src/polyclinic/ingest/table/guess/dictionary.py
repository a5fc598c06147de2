"""Names of the parameters of a long table, from a column beside them or from a dictionary in the folder.

Dictionaries are tables such as MIMIC's `d_labitems` and OMOP's `concept`: a column of the parameters' ids, each once,
and a column of their names.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from polyclinic.ingest.formats.tabular import WORKBOOKS, Layout, is_table, read_rows
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.table.guess.discard import NullSink

_LABELS = (
    "label", "concept_name", "long_common_name", "display", "description", "name", "bezeichnung", "long_name", "title",
    "measurement_source_value", "component", "item", "variablename", "test_name",
)  # fmt: skip
_FILES = 50  # of the folder that are looked at


def names_beside(cells: pl.DataFrame, parameter: str, others: Iterable[str]) -> tuple[dict[str, str], str]:
    """Return the name of each parameter from a column of the table, and the column; empty if there is none."""
    lower = {name.lower(): name for name in others}
    for label in _LABELS:
        column = lower.get(label)
        if column is None:
            continue
        pairs = _stripped(cells, parameter, column)
        if pairs.height and pairs.get_column(parameter).is_unique().all():
            return dict(pairs.iter_rows()), column
    return {}, ""


def names_in_folder(table: Path, parameter: str, wanted: Iterable[str]) -> tuple[dict[str, str], str]:
    """Return the names of the `wanted` parameters from a dictionary, and its file name; empty if none has them."""
    ids = set(wanted)
    files = sorted(path for path in table.parent.iterdir() if path.is_file() and path != table and _may_be_one(path))
    for path in files[:_FILES]:
        found = _names(path, parameter, ids)
        if found:
            return found, path.name
    return {}, ""


def _may_be_one(path: Path) -> bool:
    return is_table(path) and not path.name.lower().endswith(WORKBOOKS)  # which are read as a whole


def _names(path: Path, parameter: str, wanted: set[str]) -> dict[str, str]:
    """Return the names in one file, which is read until all are found; empty if it is no dictionary of them."""
    found: dict[str, str] = {}
    try:
        for rows in read_rows(path, Layout(), RowFilter(path.name, NullSink())):
            columns = _columns(rows.cells.columns, parameter)
            if columns is None:
                return {}
            pairs = _stripped(rows.cells, *columns).filter(pl.col(columns[0]).is_in(list(wanted)))
            if not pairs.get_column(columns[0]).is_unique().all():
                return {}
            found |= dict(pairs.iter_rows())
            if len(found) == len(wanted):
                break
    except (UnreadableText, OSError):
        return {}
    return found


def _columns(names: list[str], parameter: str) -> tuple[str, str] | None:
    """Return the columns of ids and names of a dictionary, by the name of a table's column of parameters."""
    lower = {name.lower(): name for name in names}
    keys = [parameter.lower(), *(["concept_id"] if parameter.lower().endswith("concept_id") else [])]
    key = next((lower[name] for name in keys if name in lower), None)
    label = next((lower[name] for name in _LABELS if name in lower), None)
    return (key, label) if key and label and key != label else None


def _stripped(cells: pl.DataFrame, key: str, label: str) -> pl.DataFrame:
    pairs = cells.select(pl.col(name).str.strip_chars() for name in (key, label))
    return pairs.filter(pl.col(key) != "", pl.col(label) != "").unique(maintain_order=True)


def distinct_names(names: Mapping[str, str], parameters: Iterable[str]) -> dict[str, str]:
    """Return the name of each parameter that has one; those with the same name are distinguished by their ids."""
    used = [names[parameter] for parameter in parameters if parameter in names]
    folded = [name.casefold() for name in used]
    return {
        parameter: name if folded.count(name.casefold()) == 1 else f"{name} {parameter}"
        for parameter, name in names.items()
    }
