"""Ground truth of a cohort for audits: boxes of lesions, trigger words, causal variables.

The demo writes it beside its sources (see `demo.sources`). For a real cohort, write the same tables:
`pictures.parquet` and `boxes.parquet`, and optionally `triggers.parquet` and `causes.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from polyclinic.cohort import Cohort
from polyclinic.explain.attribution import Canvas
from polyclinic.explain.localisation.coordinates import box_on_map
from polyclinic.explain.localisation.regions import Box
from polyclinic.explain.sample import ExplanationError

PICTURES = {"patient_id", "time", "file", "rows", "columns"}
BOXES = {"file", "finding", "x0", "y0", "x1", "y1"}
TRIGGERS = {"patient_id", "section", "start", "end", "concept", "negated"}


class Lesion(NamedTuple):
    """A lesion and its box in the image."""

    finding: str
    box: Box


class Trigger(NamedTuple):
    """A word that states a concept: characters `start` to `end` of a section."""

    section: str
    start: int
    end: int
    concept: str

    def meets(self, section: str, start: int, end: int) -> bool:
        """Return whether a word of a note overlaps it."""
        return section == self.section and start < self.end and self.start < end


@dataclass(frozen=True)
class Truth:
    """Ground truth by subject."""

    lesions: Mapping[tuple[int, str], tuple[Lesion, ...]] = field(default_factory=dict)  # by subject and blob
    triggers: Mapping[int, tuple[Trigger, ...]] = field(default_factory=dict)  # by subject; without negated ones
    causes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by modality: codes or concepts
    outcome: str = ""  # code of the outcome with these causes

    @classmethod
    def read(cls, folder: Path, cohort: Cohort) -> Self:
        """Read the files that are present.

        Raises:
            ExplanationError: there are none, or a table lacks a column.
        """
        found = [name for name in ("pictures.parquet", "triggers.parquet", "causes.json") if (folder / name).is_file()]
        if not found:
            raise ExplanationError(
                f"no truth in {folder}: give the folder with pictures.parquet and boxes.parquet, triggers.parquet, or "
                "causes.json (the demo's is `truth` beside its cohort)"
            )
        causes, outcome = _causes(folder / "causes.json")
        return cls(_lesions(folder, cohort), _triggers(folder / "triggers.parquet"), causes, outcome)

    @property
    def findings(self) -> frozenset[str]:
        """The findings with boxes."""
        return frozenset(lesion.finding for lesions in self.lesions.values() for lesion in lesions)

    def boxes(self, subject: int, blob: str, finding: str, canvas: Canvas) -> list[Box]:
        """Return the boxes of a finding in an image, in pixels of the canvas."""
        known = self.lesions.get((subject, blob), ())
        return [box_on_map(lesion.box, canvas) for lesion in known if lesion.finding == finding]


def _lesions(folder: Path, cohort: Cohort) -> dict[tuple[int, str], tuple[Lesion, ...]]:
    if not (folder / "pictures.parquet").is_file():
        return {}
    pictures, boxes = _table(folder / "pictures.parquet", PICTURES), _table(folder / "boxes.parquet", BOXES)
    stored = cohort.events().filter(pl.col("blob").str.ends_with(".png")).select("subject_id", "time", "blob").collect()
    placed = pictures.join(stored, left_on=["patient_id", "time"], right_on=["subject_id", "time"])
    known: dict[tuple[int, str], list[Lesion]] = {
        (row[0], row[1]): [] for row in placed.select("patient_id", "blob").rows()
    }
    columns = ("patient_id", "blob", "finding", "x0", "y0", "x1", "y1")
    for subject, blob, finding, *corners in placed.join(boxes.select(*BOXES), on="file").select(columns).rows():
        known[subject, blob].append(Lesion(finding, Box.of_xyxy(*corners)))
    return {picture: tuple(lesions) for picture, lesions in known.items()}


def _triggers(path: Path) -> dict[int, tuple[Trigger, ...]]:
    if not path.is_file():
        return {}
    known: dict[int, list[Trigger]] = {}
    stated = _table(path, TRIGGERS).filter(~pl.col("negated"))
    for subject, *trigger in stated.select("patient_id", "section", "start", "end", "concept").rows():
        known.setdefault(subject, []).append(Trigger(*trigger))
    return {subject: tuple(triggers) for subject, triggers in known.items()}


def _causes(path: Path) -> tuple[dict[str, tuple[str, ...]], str]:
    if not path.is_file():
        return {}, ""
    content = json.loads(path.read_text(encoding="utf-8"))
    causes: dict[str, tuple[str, ...]] = {}
    for cause in content["causes"]:
        causes[cause["modality"]] = (*causes.get(cause["modality"], ()), *cause["evidence"])
    return causes, content["outcome"]


def _table(path: Path, columns: set[str]) -> pl.DataFrame:
    if not path.is_file():
        raise ExplanationError(f"{path} is missing: it belongs to the tables beside it")
    table = pl.read_parquet(path)
    missing = columns - set(table.columns)
    if missing:
        raise ExplanationError(f"{path} lacks {', '.join(sorted(missing))}")
    return table
