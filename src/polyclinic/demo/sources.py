"""The demo cohort as source files, and the truth about it in a folder of its own.

The truth, which training never reads:

- `patients.parquet`: one row per patient with every latent variable, risk, potential outcome and what was recorded.
- `causes.json`: the causes of deterioration, their log-odds, and in which codes, words or boxes each is seen.
- `pictures.parquet`, `boxes.parquet`: every radiograph, and its lesions in pixels of the stored picture.
- `triggers.parquet`: the words of the notes that say something, by character offsets, denied or hedged or not.
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

from polyclinic.demo.ecg import draw_ecgs, write_record
from polyclinic.demo.labs_and_vitals import draw_labs, draw_vitals
from polyclinic.demo.names import opaque_name
from polyclinic.demo.notes import write_notes
from polyclinic.demo.patients import BLOCK, CAUSES, INTERCEPT, Patients, draw_patients
from polyclinic.demo.tables import at, demographics, outcomes, treatments
from polyclinic.files import write_json
from polyclinic.progress import SILENT, Progress

TABLES = ("demographics", "labs", "vitals", "treatments", "notes", "ecg", "outcomes")
ECG_HOUR = 0.9
_MARKER = "demo.json"  # says of a folder that this module wrote it
_STREAMS = {name: 100 + number for number, name in enumerate(("demographics", "labs", "vitals", "ecg"))}


@dataclass(frozen=True)
class Step:
    """One call of ingest: a reader, what it reads, and its mapping if it is the table reader."""

    reader: str
    path: Path
    mapping: Path | None = None


@dataclass(frozen=True)
class DemoSources:
    """What was written."""

    sources: Path
    truth: Path
    steps: tuple[Step, ...]  # in the order of ingest
    patients: int
    pictures: int


def write_sources(
    into: Path, patients: int, seed: int, radiographs: bool = True, progress: Progress = SILENT
) -> DemoSources:
    """Write the sources of a synthetic cohort under `into/sources` and what is true of it under `into/truth`.

    The same arguments give the same bytes, and a patient is the same however many there are. An earlier demo in the
    same place is replaced once the new one is complete; after an interruption the call can simply be repeated.

    Args:
        into: folder, made if it is not there.
        patients: how many, at least 1.
        seed: at least 0.
        radiographs: whether to draw pictures; without them no patient has the modality image.
        progress: shown one bar for the tables and one for the pictures.

    Raises:
        ValueError: there are no patients, or the seed is negative.
        FileExistsError: `into` has a folder of one of these names that is no demo.
    """
    if patients < 1 or seed < 0:
        raise ValueError("a demo needs at least 1 patient and a seed of at least 0")
    for name in ("sources", "truth"):
        if (into / name).exists() and not (into / name / _MARKER).is_file():
            raise FileExistsError(f"{into / name} is there and is no demo: choose another folder")
    draft = into / ".demo-in-the-making"
    shutil.rmtree(draft, ignore_errors=True)
    pictures = _write(draft, patients, seed, radiographs, progress)
    for name in ("truth", "sources"):
        shutil.rmtree(into / name, ignore_errors=True)
        (draft / name).rename(into / name)
    draft.rmdir()
    return DemoSources(into / "sources", into / "truth", tuple(_steps(into / "sources", pictures)), patients, pictures)


def _steps(sources: Path, pictures: int) -> Iterator[Step]:
    """Every table that has rows, and the pictures if there are any."""
    for name in TABLES:
        table = sources / f"{name}.csv"
        with table.open("rb") as lines:
            if len(list(islice(lines, 2))) == 2:
                yield Step("table", table, sources / "mappings" / f"{name}.yaml")
    if pictures:
        yield Step("dicom", sources / "radiographs")


def _write(into: Path, patients: int, seed: int, radiographs: bool, progress: Progress) -> int:
    sources, truth = into / "sources", into / "truth"
    for folder in (sources / "ecg", sources / "mappings", truth):
        folder.mkdir(parents=True)
    everyone = _write_tables(sources, truth, patients, seed, radiographs, progress)
    pictures = _write_radiographs(sources / "radiographs", truth, everyone, seed, progress) if radiographs else 0
    with as_file(files("polyclinic.demo") / "mappings") as mappings:
        for name in TABLES:
            shutil.copyfile(mappings / f"{name}.yaml", sources / "mappings" / f"{name}.yaml")
    causes = [cause._asdict() for cause in CAUSES]
    write_json(truth / "causes.json", {"outcome": "OUTCOME//deterioration", "intercept": INTERCEPT, "causes": causes})
    made_with = {"patients": patients, "seed": seed, "radiographs": radiographs, "pictures": pictures}
    for folder in (sources, truth):
        write_json(folder / _MARKER, made_with)
    return pictures


def _write_tables(
    sources: Path, truth: Path, patients: int, seed: int, radiographs: bool, progress: Progress
) -> pl.DataFrame:
    """Write every table, and the ECGs; gives the truth about the patients."""
    collected: dict[str, list[pl.DataFrame]] = {}
    with progress.task("Writing tables, notes and ECGs", patients) as advance:
        for block in range(-(-patients // BLOCK)):
            people = draw_patients(seed, block)
            people = people if radiographs else _without_images(people)
            wanted = min(BLOCK, patients - block * BLOCK)
            for name, table in _observe(seed, block, people, sources / "ecg", wanted).items():
                who = table.columns[0]
                collected.setdefault(name, []).append(table.filter(pl.col(who) < people.people.patient[0] + wanted))
            advance(wanted)
        whole = {name: pl.concat(parts) for name, parts in collected.items()}
        for name in TABLES:
            whole[name].write_csv(sources / f"{name}.csv", datetime_format="%Y-%m-%d %H:%M")
        for name in ("patients", "triggers"):
            whole[name].write_parquet(truth / f"{name}.parquet")
    return whole["patients"]


def _observe(seed: int, block: int, people: Patients, ecgs: Path, wanted: int) -> dict[str, pl.DataFrame]:
    """Everything but pictures that is written down of a block; ECGs go into their folder for the first `wanted`."""
    rngs = {name: np.random.default_rng([seed, block, stream]) for name, stream in _STREAMS.items()}
    notes = write_notes(seed, people)
    return {
        "demographics": demographics(rngs["demographics"], people),
        "labs": draw_labs(rngs["labs"], people),
        "vitals": draw_vitals(rngs["vitals"], people),
        "treatments": treatments(people),
        "notes": notes.table,
        "ecg": _write_ecgs(rngs["ecg"], seed, people, ecgs, wanted),
        "outcomes": outcomes(people),
        "patients": people.frame(),
        "triggers": notes.triggers,
    }


def _write_ecgs(rng: np.random.Generator, seed: int, people: Patients, folder: Path, wanted: int) -> pl.DataFrame:
    signals = draw_ecgs(rng, people)
    recorded = np.flatnonzero(people.care.has_ecg)
    names = [opaque_name(seed, patient, "ecg") for patient in people.people.patient[recorded].tolist()]
    for place, name in zip(recorded, names, strict=True):
        if place < wanted:
            write_record(folder, name, signals[place])
    table = pl.DataFrame({"patient_id": people.people.patient, "recorded_at": at(people, ECG_HOUR)})
    return table[recorded].with_columns(record=pl.Series([f"ecg/{name}" for name in names], dtype=pl.String))


def _without_images(people: Patients) -> Patients:
    """Nobody has pictures; who had nothing else has tables."""
    care, nobody = people.care, np.zeros(len(people), bool)
    structured = care.has_structured | ~(care.has_series | care.has_note)
    return replace(people, care=replace(care, has_image=nobody, has_structured=structured))


def _write_radiographs(folder: Path, truth: Path, everyone: pl.DataFrame, seed: int, progress: Progress) -> int:
    """Draw every radiograph and write the truth about their lesions; gives their number."""
    from polyclinic.demo.radiographs import (  # only pictures need pydicom and scipy
        LesionBoxRow,
        RadiographRow,
        planned_radiographs,
        write_radiograph,
    )

    folder.mkdir()
    films = [film for facts in everyone.iter_rows(named=True) for film in planned_radiographs(seed, facts)]
    pictures: list[RadiographRow] = []
    boxes: list[LesionBoxRow] = []
    pool = ThreadPoolExecutor(os.cpu_count())  # numpy leaves the interpreter's lock to the other threads
    try:
        with progress.task("Drawing radiographs", len(films)) as advance:
            for picture, found in pool.map(lambda film: write_radiograph(folder, film), films):
                pictures.append(picture)
                boxes += found
                advance(1)
    finally:
        pool.shutdown(cancel_futures=True)
    for name, rows, kind in (("pictures", pictures, RadiographRow), ("boxes", boxes, LesionBoxRow)):
        pl.DataFrame(rows, kind.__annotations__, orient="row").write_parquet(truth / f"{name}.parquet")
    return len(films)
