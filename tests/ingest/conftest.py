"""Fixtures of the readers' tests: a source ingested into a cohort and read back."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polyclinic.cohort import Cohort
from polyclinic.ingest import IngestReport, ingest


@dataclass
class Ingested:
    """A cohort with one source; events have the source id of the subject."""

    report: IngestReport
    cohort: Cohort
    events: pl.DataFrame

    @property
    def rejects(self) -> list[tuple[str, int | None, str]]:
        """File, line and reason of every reject, sorted."""
        return sorted(self.cohort.rejects.select("file", "line", "reason").rows(), key=str)

    def of(self, source_id: str, code: str | None = None) -> list[tuple]:
        """Time, and code or value, of a subject's events."""
        events = self.events.filter(pl.col("source_id") == source_id)
        if code is None:
            return events.select("time", "code").rows()
        value = pl.coalesce(pl.col("text_value"), pl.col("blob"), pl.col("numeric_value").cast(pl.String))
        return events.filter(pl.col("code") == code).select("time", value).rows()

    def content(self, blob: str) -> bytes:
        return self.cohort.blob(blob).read_bytes()

    def pixels(self, source_id: str, code: str) -> list[list[list[int]]]:
        """The pixels of a subject's images, sorted by time."""
        blobs = [blob for _, blob in self.of(source_id, code)]
        return [np.asarray(Image.open(BytesIO(self.content(blob)))).tolist() for blob in blobs]


@pytest.fixture
def ingested(tmp_path) -> Callable[..., Ingested]:
    """Ingest a source into a new cohort."""

    def run(source: str, path: Path, **options) -> Ingested:
        into = tmp_path / "a cohort"
        report = ingest(source, path, into, **options)
        cohort = Cohort.open(into)
        names = cohort.subjects.select("subject_id", "source_id")
        events = cohort.events().collect().join(names, on="subject_id", how="left", maintain_order="left")
        return Ingested(report, cohort, events)

    return run
