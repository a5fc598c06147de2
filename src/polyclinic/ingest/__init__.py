"""Ingest source files into a cohort: one reader per source, and a report of rejected records.

A reader sends events to a sink, and rejects unusable records with file, line, reason and remedy, without their values.
To add a source, add a module with a `read` function and a line in `READERS`.

- One package per source: `covid_cxr`, `dicom`, `indiana`, `physionet2012`, `ptbxl`, `table`, `wfdb`.
- `formats`: file formats shared by readers.
- `pipeline`: `ingest`, which runs a reader and commits; `readers`: their interface and the table of sources.
- `event_buffer`, `row_filter`, `paths`, `parallel`: helpers of readers.

Names are imported lazily: inference needs the checks of `formats` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyclinic.ingest.errors import IngestError, RejectsError
    from polyclinic.ingest.pipeline import ingest
    from polyclinic.ingest.readers import READERS, Options, Sink
    from polyclinic.ingest.report import IngestReport
    from polyclinic.ingest.table.guess import guess_mapping

_MODULE_OF = {
    "IngestError": "errors",
    "IngestReport": "report",
    "Options": "readers",
    "READERS": "readers",
    "RejectsError": "errors",
    "Sink": "readers",
    "guess_mapping": "table.guess",
    "ingest": "pipeline",
}

__all__ = ["READERS", "IngestError", "IngestReport", "Options", "RejectsError", "Sink", "guess_mapping", "ingest"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
