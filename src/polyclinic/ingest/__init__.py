"""Ingest source files into a cohort: one reader per source, and a report of rejected records.

A reader sends events to a sink, and rejects unusable records with file, line, reason and remedy, without their values.
To add a source, add a module with a `read` function and a line in `READERS`.

- One package per source: `covid_cxr`, `dicom`, `indiana`, `physionet2012`, `ptbxl`, `table`, `wfdb`.
- `formats`: file formats shared by readers.
- `pipeline`: `ingest`, which runs a reader and commits; `readers`: their interface and the table of sources.
- `event_buffer`, `row_filter`, `paths`, `parallel`: helpers of readers.
"""

from polyclinic.ingest.errors import IngestError, RejectsError
from polyclinic.ingest.pipeline import ingest
from polyclinic.ingest.readers import READERS, Options, Sink
from polyclinic.ingest.report import IngestReport
from polyclinic.ingest.table.guess import guess_mapping

__all__ = ["READERS", "IngestError", "IngestReport", "Options", "RejectsError", "Sink", "guess_mapping", "ingest"]
