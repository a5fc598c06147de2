"""From a source's files to a cohort: one reader per source, and a report of what was rejected and why.

Every reader turns its source into events and hands them to the sink; whatever it cannot use it rejects with file, line,
reason and remedy, never with the value. A new source is one module with a `read` function and one line in `READERS`.
"""

from polyclinic.ingest.errors import IngestError, RejectsError
from polyclinic.ingest.pipeline import ingest
from polyclinic.ingest.readers import READERS, Options, Sink
from polyclinic.ingest.report import IngestReport
from polyclinic.ingest.table.guess import guess_mapping

__all__ = ["READERS", "IngestError", "IngestReport", "Options", "RejectsError", "Sink", "guess_mapping", "ingest"]
