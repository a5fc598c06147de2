"""SCP-ECG statements of PTB-XL: their likelihoods in a record, and their diagnostic superclasses."""

import re
from collections.abc import Mapping
from pathlib import Path

from polyclinic.ingest.errors import IngestError, UnreadableRecord
from polyclinic.ingest.formats.delimited import read_delimited
from polyclinic.ingest.row_filter import RowFilter

FILE = "scp_statements.csv"
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")

_STATED = r"'([^'{}]{1,20})'\s*:\s*(\d{1,3}(?:\.\d+)?)"
_ALL_STATED = re.compile(rf"\{{\s*(?:{_STATED}\s*(?:,\s*{_STATED}\s*)*)?\}}")
_CERTAIN = 100.0


def parse_statements(cell: str) -> dict[str, float | None]:
    """Parse `{'NORM': 80.0, 'SR': 0.0}`: likelihoods in percent, where 0 means not stated and becomes None.

    Raises:
        UnreadableRecord: the cell is not of this form.
    """
    stated = {code: float(likelihood) for code, likelihood in re.findall(_STATED, cell)}
    if not _ALL_STATED.fullmatch(cell) or any(likelihood > _CERTAIN for likelihood in stated.values()):
        raise UnreadableRecord(
            "unreadable statements", "write column 'scp_codes' as {'NORM': 100.0, 'SR': 0.0}, likelihoods in percent"
        )
    return {code: likelihood or None for code, likelihood in stated.items()}


class StatementTable:
    """The SCP-ECG statements, with the superclass of diagnostic ones and None for others."""

    def __init__(self, superclass: Mapping[str, str | None]) -> None:
        self.superclass = superclass

    @classmethod
    def read(cls, path: Path, row_filter: RowFilter) -> "StatementTable":
        """Read `scp_statements.csv`; its first column, which is unnamed, has the codes.

        Raises:
            IngestError: the file is missing, cannot be read, or lacks a column.
        """
        if not path.is_file():
            raise IngestError(f"no {FILE} in the folder of the database: give the whole folder of PTB-XL")
        found: dict[str, str | None] = {}
        try:
            with path.open("rb") as raw:
                for rows in read_delimited(raw, row_filter, ","):
                    if not {"diagnostic", "diagnostic_class"} <= set(rows.cells.columns):
                        raise IngestError(f"{path.name} lacks 'diagnostic' or 'diagnostic_class': give PTB-XL's own")
                    for cells in rows.cells.iter_rows(named=True):
                        code = (cells[rows.cells.columns[0]] or "").strip()
                        diagnostic = (cells["diagnostic"] or "").strip() in {"1", "1.0"}
                        found[code] = (cells["diagnostic_class"] or "").strip() if diagnostic else None
        except UnreadableRecord as error:
            raise IngestError(f"{path.name}: {error.reason}: {error.remedy}") from error
        if unknown := {name for name in found.values() if name} - set(SUPERCLASSES):
            raise IngestError(f"{path.name} has {len(unknown)} superclasses other than {', '.join(SUPERCLASSES)}")
        return cls(found)

    def superclasses(self, codes: Mapping[str, float | None]) -> dict[str, bool] | None:
        """Return whether each superclass is stated, at any likelihood; None if no statement is diagnostic.

        Raises:
            UnreadableRecord: a code is not in the table, and might have a superclass.
        """
        if codes.keys() - self.superclass.keys():
            raise UnreadableRecord("unknown statement", f"add the code in column 'scp_codes' to {FILE}")
        stated = {self.superclass[code] for code in codes} - {None}
        return {name: name in stated for name in SUPERCLASSES} if stated else None
