"""Write the demo cohort as source files, and its truth in a separate folder.

The truth, which training never reads:

- `patients.parquet`: one row per patient with all latent variables, risks, potential outcomes and recorded modalities.
- `causes.json`: the causes of deterioration, their log-odds, and the codes, words or boxes that show each.
- `pictures.parquet`, `boxes.parquet`: all radiographs, and their lesions in pixels of the stored image.
- `triggers.parquet`: the trigger words of the notes, with character offsets, and whether they are negated or hedged.
- `ecgs.parquet`: rate, rhythm, ischaemia, heart size and times of the R peaks of each recorded ECG.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.demo.ecg import Ecgs, draw_ecgs, write_record
from polyclinic.demo.ecg import truth as ecg_truth
from polyclinic.demo.labs_and_vitals import draw_labs, draw_vitals
from polyclinic.demo.names import opaque_name
from polyclinic.demo.notes import write_notes
from polyclinic.demo.patients import BLOCK, CAUSES, INTERCEPT, Patients, draw_patients
from polyclinic.demo.tables import at, demographics, outcomes, treatments
from polyclinic.files import write_json
from polyclinic.progress import SILENT, Progress

TABLES = ("demographics", "labs", "vitals", "treatments", "notes", "ecg", "outcomes")
ECG_HOUR = 0.9
_MARKER = "demo.json"  # marks a folder that this module wrote
_STREAMS = {name: 100 + number for number, name in enumerate(("demographics", "labs", "vitals", "ecg"))}


@dataclass(frozen=True)
class Step:
    """One call of ingest: the reader, the path, and the mapping for the table reader."""

    reader: str
    path: Path
    mapping: Path | None = None


@dataclass(frozen=True)
class DemoSources:
    """The files that were written."""

    sources: Path
    truth: Path
    steps: tuple[Step, ...]  # in the order of ingest
    patients: int
    radiographs: int


def write_sources(
    into: Path, patients: int, seed: int, radiographs: bool = True, progress: Progress = SILENT
) -> DemoSources:
    """Write the sources of a synthetic cohort to `into/sources` and its truth to `into/truth`.

    The same arguments give the same bytes, and a patient does not depend on the number of patients. An earlier demo is
    replaced once the new one is complete; after an interruption, repeat the call.

    Args:
        into: folder, created if needed.
        patients: their number, at least 1.
        seed: at least 0.
        radiographs: whether to render radiographs; without them no patient has the image modality.
        progress: shows one bar for the tables and one for the radiographs.

    Raises:
        ValueError: fewer than 1 patient, or a negative seed.
        FileExistsError: `into` has such a folder that is not a demo.
    """
    if patients < 1 or seed < 0:
        raise ValueError("a demo needs at least 1 patient and a seed of at least 0")
    for name in ("sources", "truth"):
        if (into / name).exists() and not (into / name / _MARKER).is_file():
            raise FileExistsError(f"{into / name} exists and is not a demo: choose another folder")
    draft = into / ".demo-in-the-making"
    shutil.rmtree(draft, ignore_errors=True)
    count = _write(draft, patients, seed, radiographs, progress)
    for name in ("truth", "sources"):
        shutil.rmtree(into / name, ignore_errors=True)
        (draft / name).rename(into / name)
    draft.rmdir()
    return DemoSources(into / "sources", into / "truth", tuple(_steps(into / "sources", count)), patients, count)


def _steps(sources: Path, images: int) -> Iterator[Step]:
    """Yield the steps for tables with rows, and for radiographs if there are any."""
    for name in TABLES:
        table = sources / f"{name}.csv"
        with table.open("rb") as lines:
            if len(list(islice(lines, 2))) == 2:
                yield Step("table", table, sources / "mappings" / f"{name}.yaml")
    if images:
        yield Step("dicom", sources / "radiographs")


def _write(into: Path, patients: int, seed: int, radiographs: bool, progress: Progress) -> int:
    sources, truth = into / "sources", into / "truth"
    for folder in (sources / "ecg", sources / "mappings", truth):
        folder.mkdir(parents=True)
    truth_table = _write_tables(sources, truth, patients, seed, radiographs, progress)
    images = _write_radiographs(sources / "radiographs", truth, truth_table, seed, progress) if radiographs else 0
    with as_file(files("polyclinic.demo") / "mappings") as mappings:
        for name in TABLES:
            shutil.copyfile(mappings / f"{name}.yaml", sources / "mappings" / f"{name}.yaml")
    causes = [cause._asdict() for cause in CAUSES]
    write_json(truth / "causes.json", {"outcome": "OUTCOME//deterioration", "intercept": INTERCEPT, "causes": causes})
    arguments = {"patients": patients, "seed": seed, "radiographs": radiographs, "pictures": images}
    for folder in (sources, truth):
        write_json(folder / _MARKER, arguments)
    return images


def _write_tables(
    sources: Path, truth: Path, patients: int, seed: int, radiographs: bool, progress: Progress
) -> pl.DataFrame:
    """Write all tables and ECGs; return the truth about the patients."""
    collected: dict[str, list[pl.DataFrame]] = {}
    with progress.task("Writing tables, notes and ECGs", patients) as advance:
        for block in range(-(-patients // BLOCK)):
            drawn = draw_patients(seed, block)
            drawn = drawn if radiographs else _without_images(drawn)
            count = min(BLOCK, patients - block * BLOCK)
            for name, table in _observe(seed, block, drawn, sources / "ecg", count).items():
                patient_column = table.columns[0]
                collected.setdefault(name, []).append(
                    table.filter(pl.col(patient_column) < drawn.people.patient[0] + count)
                )
            advance(count)
        whole = {name: pl.concat(parts) for name, parts in collected.items()}
        for name in TABLES:
            whole[name].write_csv(sources / f"{name}.csv", datetime_format="%Y-%m-%d %H:%M")
        for name in ("patients", "triggers", "ecgs"):
            whole[name].write_parquet(truth / f"{name}.parquet")
    return whole["patients"]


def _observe(seed: int, block: int, patients: Patients, folder: Path, count: int) -> dict[str, pl.DataFrame]:
    """Return all tables of a block, and write the ECGs of its first `count` patients into `folder`."""
    rngs = {name: np.random.default_rng([seed, block, stream]) for name, stream in _STREAMS.items()}
    notes = write_notes(seed, patients)
    ecgs = draw_ecgs(rngs["ecg"], patients)
    return {
        "demographics": demographics(rngs["demographics"], patients),
        "labs": draw_labs(rngs["labs"], patients),
        "vitals": draw_vitals(rngs["vitals"], patients),
        "treatments": treatments(patients),
        "notes": notes.table,
        "ecg": _write_ecgs(ecgs, seed, patients, folder, count),
        "outcomes": outcomes(patients),
        "patients": patients.frame(),
        "triggers": notes.triggers,
        "ecgs": ecg_truth(patients, ecgs)[np.flatnonzero(patients.care.has_ecg)],
    }


def _write_ecgs(ecgs: Ecgs, seed: int, patients: Patients, folder: Path, count: int) -> pl.DataFrame:
    recorded = np.flatnonzero(patients.care.has_ecg)
    names = [opaque_name(seed, patient, "ecg") for patient in patients.people.patient[recorded].tolist()]
    for index, name in zip(recorded, names, strict=True):
        if index < count:
            write_record(folder, name, ecgs.signals[index])
    table = pl.DataFrame({"patient_id": patients.people.patient, "recorded_at": at(patients, ECG_HOUR)})
    return table[recorded].with_columns(record=pl.Series([f"ecg/{name}" for name in names], dtype=pl.String))


def _without_images(patients: Patients) -> Patients:
    """Remove the image modality; patients without any other get the structured one."""
    care, none = patients.care, np.zeros(len(patients), bool)
    structured = care.has_structured | ~(care.has_series | care.has_note)
    return replace(patients, care=replace(care, has_image=none, has_structured=structured))


def _write_radiographs(folder: Path, truth: Path, patients: pl.DataFrame, seed: int, progress: Progress) -> int:
    """Render all radiographs, write the truth about them and their lesions, and return their number."""
    from polyclinic.demo.radiographs import (  # only radiographs need pydicom and scipy
        LesionBoxRow,
        RadiographRow,
        planned_radiographs,
        write_radiograph,
    )

    folder.mkdir()
    plans = [plan for facts in patients.iter_rows(named=True) for plan in planned_radiographs(seed, facts)]
    rows: list[RadiographRow] = []
    boxes: list[LesionBoxRow] = []
    pool = ThreadPoolExecutor(os.cpu_count())  # numpy releases the interpreter lock
    try:
        with progress.task("Drawing radiographs", len(plans)) as advance:
            for row, lesion_boxes in pool.map(lambda plan: write_radiograph(folder, plan), plans):
                rows.append(row)
                boxes += lesion_boxes
                advance(1)
    finally:
        pool.shutdown(cancel_futures=True)
    for name, table, kind in (("pictures", rows, RadiographRow), ("boxes", boxes, LesionBoxRow)):
        pl.DataFrame(table, kind.__annotations__, orient="row").write_parquet(truth / f"{name}.parquet")
    return len(plans)
