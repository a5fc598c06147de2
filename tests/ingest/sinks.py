"""A sink that records its input, to test a reader without a cohort."""

from collections import Counter
from pathlib import Path

import polars as pl

from polyclinic.cohort import Reject
from polyclinic.files import sha256
from polyclinic.ingest.readers import Options
from polyclinic.ingest.table.reader import read
from polyclinic.progress import SILENT

EVENT = {"source_id": None, "time": None, "code": None, "numeric_value": None, "text_value": None, "blob": None}


class RecordingSink:
    """Events as tuples (subject, time, code, value) and rejects in order."""

    def __init__(self):
        self.frames: list[pl.DataFrame] = []
        self.rejects: list[Reject] = []
        self.blobs: dict[str, bytes] = {}
        self.rows: list[tuple[int, int]] = []
        self.warnings: Counter[str] = Counter()

    def add(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def add_blob(self, content: bytes, suffix: str) -> str:
        name = sha256(content) + suffix
        self.blobs[name] = content
        return name

    def reject(self, *rejects: Reject) -> None:
        self.rejects.extend(rejects)

    def count_rows(self, rows: int, rejected: int) -> None:
        self.rows.append((rows, rejected))

    def warn(self, warning: str, records: int) -> None:
        self.warnings[warning] += records

    @property
    def events(self) -> list[tuple]:
        return sorted((_event(row) for frame in self.frames for row in frame.iter_rows(named=True)), key=str)

    @property
    def reasons(self) -> list[tuple]:
        """Line and reason of every reject."""
        return sorted(((reject.line, reject.reason) for reject in self.rejects), key=str)


def _event(row: dict) -> tuple:
    row = EVENT | row
    values = [row[key] for key in ("numeric_value", "text_value", "blob") if row[key] is not None]
    bounded = len(values) == 2 and values[1] in ("<", "<=", ">", ">=")
    assert len(values) == 1 or bounded, "an event has one value, or a number with its bound"
    return row["source_id"], row["time"], row["code"], tuple(reversed(values)) if bounded else values[0]


def read_table(table: Path, mapping: str) -> RecordingSink:
    """Read a table with a mapping given as YAML."""
    kept, file = RecordingSink(), table.parent / "mapping.yaml"
    file.write_text(mapping, encoding="utf-8")
    read(table, kept, Options(mapping=file), SILENT)
    return kept
