"""Plan, render and write the radiographs of a patient."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from polyclinic.demo.dicom import STORAGES, HeaderValues, write_dicom
from polyclinic.demo.names import opaque_name
from polyclinic.demo.phantom import Build, Lesion, Radiograph, render

Facts = Mapping[str, Any]  # one row of the truth
NORMAL_HEART = 0.48  # largest cardiothoracic ratio without cardiomegaly
_STORAGES, _SHARES = list(STORAGES), list(STORAGES.values())


class PlannedRadiograph(NamedTuple):
    """A radiograph to render."""

    seed: int
    patient: int
    shot: int  # 0 the first, 1 the second
    taken_at: datetime
    build: Build
    lesions: tuple[Lesion, ...]

    @property
    def view(self) -> str:
        """DICOM's ViewPosition."""
        return "AP" if self.build.portable else "PA"

    @property
    def name(self) -> str:
        """The file name, without patient information."""
        return opaque_name(self.seed, self.patient, f"film {self.shot}") + ".dcm"

    def render(self) -> Radiograph:
        """Render the radiograph."""
        return render((self.seed, self.patient), self.build, self.lesions, self.shot)


class RadiographRow(NamedTuple):
    """A row of the truth: one radiograph."""

    patient_id: int
    time: datetime
    file: str
    view: str
    rows: int
    columns: int


class LesionBoxRow(NamedTuple):
    """A row of the truth: the box of one lesion, columns x0 ≤ x < x1 and rows y0 ≤ y < y1."""

    patient_id: int
    time: datetime
    file: str
    finding: str
    side: int  # −1 right, 1 left, 0 neither
    extent: float
    x0: int
    y0: int
    x1: int
    y1: int


def planned_radiographs(seed: int, facts: Facts) -> Iterator[PlannedRadiograph]:
    """Yield the radiographs of one patient; a second one is taken in bed."""
    if not facts["has_image"]:
        return
    hours = [facts["film_hour"]] + [facts["second_film_hour"]] * facts["second_film"]
    for shot, hour in enumerate(hours):
        build = Build(
            female=facts["female"],
            age=facts["age"],
            bmi=facts["weight_kg"] / (facts["height_cm"] / 100) ** 2,
            hyperinflated=facts["copd"],
            cardiothoracic_ratio=min(facts["cardiothoracic_ratio"], NORMAL_HEART),
            portable=facts["portable"] or shot > 0,
        )
        taken_at = facts["admitted"] + timedelta(minutes=round(60 * hour))
        yield PlannedRadiograph(seed, facts["patient"], shot, taken_at, build, tuple(_lesions(facts)))


def _lesions(facts: Facts) -> Iterator[Lesion]:
    for finding, size in (
        ("effusion", "effusion_extent"),
        ("consolidation", "consolidation_extent"),
        ("nodule", "nodule_mm"),
        ("pneumothorax", "pneumothorax_extent"),
    ):
        if facts[size] > 0:
            side = facts[f"{finding}_side"]
            height, depth = facts.get(f"{finding}_height", 0.5), facts.get(f"{finding}_depth", 0.5)
            for each_side in (side,) if side else (-1, 1):
                yield Lesion(finding, each_side, facts[size], height, depth)
    if facts["has_cardiomegaly"]:
        yield Lesion("cardiomegaly", 0, facts["cardiothoracic_ratio"])


def write_radiograph(folder: Path, planned: PlannedRadiograph) -> tuple[RadiographRow, list[LesionBoxRow]]:
    """Render a radiograph into `folder`, in one of the `STORAGES`; return its rows of the truth."""
    drawn = planned.render()
    storage = _STORAGES[
        np.random.default_rng([planned.seed, planned.patient, planned.shot, 9]).choice(len(_STORAGES), p=_SHARES)
    ]
    entropy = f"{planned.seed}/{planned.patient}/{planned.shot}"
    write_dicom(
        folder / planned.name,
        drawn.pixels,
        storage,
        HeaderValues(str(planned.patient), planned.taken_at, planned.view, entropy),
    )
    head = (planned.patient, planned.taken_at, planned.name)
    extents = {lesion.finding: lesion.extent for lesion in planned.lesions}
    boxes = [LesionBoxRow(*head, box.finding, box.side, extents[box.finding], *box[2:]) for box in drawn.boxes]
    return RadiographRow(*head, planned.view, *drawn.pixels.shape), boxes
