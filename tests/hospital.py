"""A small synthetic hospital that end-to-end tests share, and copies of it in which something was changed."""

import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from polyclinic import Cohort, Study
from polyclinic.cohort import POLARS_EVENTS, CohortWriter, kind
from polyclinic.demo import write_sources
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.files import sha256
from polyclinic.ingest import ingest
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.study import Network
from polyclinic.tasks import prediction_times
from polyclinic.training.evaluation.evaluate import Report

PATIENTS, SEED = 72, 1
TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay", "demo_survival")
"""One of each kind."""
SMALL = Network(epochs=2, patience=1, width=16, encoder_options={"waveform": {"stem": 8, "channels": [8, 12]}})
STUDY = Study(
    tasks=("demo_deterioration",),
    inputs=("structured", "series", "note", "image"),
    network=SMALL,
    folds=2,
    classical=("logistic_regression", "gradient_boosting"),
)
"""Without waveforms, to save time; `EVERY_KIND` reads every modality."""
EVERY_KIND = Study(tasks=TASKS, network=SMALL, folds=2, classical=("logistic_regression",))
SIMPLE = Study(
    tasks=("demo_deterioration",),
    inputs=("structured", "note"),
    network=None,
    folds=2,
    classical=("logistic_regression",),
)
"""Fitted in half a second."""

Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Trained:
    """A study that was trained and measured: its bundle and its report, under one root folder that is only read."""

    root: Path
    cache: EncoderCache

    @property
    def folder(self) -> Path:
        """The folder of the bundle."""
        return self.root / "bundle"

    def bundle(self) -> Bundle:
        """Load it anew."""
        return Bundle.load(self.folder, self.cache)

    def keep(self, report: Report) -> None:
        """Write the report for all workers: as a pickle, since what is written beside a bundle is only a part of it."""
        (self.root / "report.pickle").write_bytes(pickle.dumps(report))

    @cached_property
    def report(self) -> Report:
        """The report as it was measured."""
        report: Report = pickle.loads((self.root / "report.pickle").read_bytes())
        return report


def build_hospital(folder: Path, patients: int = PATIENTS, seed: int = SEED, radiographs: bool = True) -> Cohort:
    """Write the sources, and ingest them."""
    for step in write_sources(folder, patients, seed, radiographs).steps:
        ingest(step.reader, step.path, folder / "cohort", mapping=step.mapping)
    return Cohort.open(folder / "cohort")


def rewritten(cohort: Cohort, into: Path, change: Change, blobs: Mapping[str, bytes] | None = None) -> Cohort:
    """Write another cohort of the events that `change` returns, which may name `blobs` besides the cohort's own."""
    events, new = change(cohort.events().collect()).select(list(POLARS_EVENTS)), blobs or {}
    with CohortWriter(into, source="copy") as writer:
        for name in sorted({*events["blob"].drop_nulls(), *new}):
            content = new[name] if name in new else cohort.blob(name).read_bytes()
            writer.add_blob(content, name.rpartition(".")[2])
        writer.add(events)
    return Cohort.open(into)


def noise_image(seed: int) -> bytes:
    """Draw an image of noise."""
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def noise_ecg(seed: int) -> bytes:
    """Draw an ECG of noise."""
    signals = np.random.default_rng(seed).standard_normal((1000, 2), dtype=np.float32)
    return Waveform(signals, 100.0, ("II", "V2"), ("mV", "mV")).to_blob()[0]


def named(contents: Iterable[bytes], suffix: str) -> dict[str, bytes]:
    """Return blobs by name."""
    return {f"{sha256(content)}.{suffix}": content for content in contents}


NOISE_IMAGES = named(map(noise_image, range(PATIENTS)), "png")
NOISE_ECGS = named(map(noise_ecg, range(PATIENTS)), "arrow")
NOISE = NOISE_IMAGES | NOISE_ECGS
NOISE_OF = {"IMAGE": NOISE_IMAGES, "WAVEFORM": NOISE_ECGS}
"""By kind of code."""


def spoiled(events: pl.DataFrame, rows: pl.Expr, drop_every: int = 7) -> pl.DataFrame:
    """Give other values, words, images and waveforms to the events `rows`, and drop some of them."""
    number = pl.int_range(pl.len())
    outcome = pl.col("code").str.starts_with("OUTCOME//")
    value, blob = pl.col("numeric_value"), pl.col("blob")
    flipped = pl.when(outcome).then(pl.when(value.is_between(0, 1)).then(1 - value).otherwise(value + 1))
    for of, contents in NOISE_OF.items():
        other = pl.lit(pl.Series(list(contents))).gather(number % len(contents))
        replaced = rows & pl.col("blob").is_not_null() & pl.col("code").str.starts_with(f"{of}//")
        blob = pl.when(replaced).then(other).otherwise(blob)
    changed = events.with_columns(
        numeric_value=pl.when(rows).then(flipped.otherwise(3 - 7 * value)).otherwise(value),
        text_value=pl.when(rows & pl.col("text_value").is_not_null() & ~outcome)
        .then(pl.lit("Large pneumothorax. Deterioration is certain."))
        .otherwise(pl.col("text_value")),
        blob=blob,
    )
    return changed.filter(~(rows & (number % drop_every == 0)))


ONE_OF_EACH = {
    "structured": [("LAB//lactate//mmol/L", 40.0, None), ("DIAGNOSIS//diabetes", None, None)],
    "series": [("VITAL//spo2//%", 40.0, None), ("LAB//potassium//mmol/L", 9.0, None)],
    "note": [("NOTE//indication", None, "Severe dyspnoea, shock, and confusion; sepsis feared.")],
    "image": [("IMAGE//CR//PA", None, None)],
    "waveform": [("WAVEFORM//ECG//mV", None, None)],
    "other": [("LAB//of_another_time//g", 1.0, None), ("OUTCOME//deterioration", 1.0, None)],
}
"""Events of each modality: code, number, text."""


def added(events: pl.DataFrame, times: pl.DataFrame, shift: timedelta, modalities: Iterable[str]) -> pl.DataFrame:
    """Add events of some modalities to every subject, `shift` from its prediction time, each with a blob of its own."""
    who = times.select("subject_id", time=pl.col("prediction_time") + shift).with_row_index()
    new = [
        who.with_columns(
            code=pl.lit(code),
            numeric_value=pl.lit(number, dtype=pl.Float32()),
            text_value=pl.lit(text, dtype=pl.String()),
            blob=pl.lit(pl.Series(list(NOISE_OF[kind(code)]))).gather(pl.col("index"))
            if kind(code) in NOISE_OF
            else pl.lit(None, dtype=pl.String()),
        )
        for modality in modalities
        for code, number, text in ONE_OF_EACH[modality]
    ]
    return pl.concat([events, *(frame.select(events.columns).cast(dict(events.schema)) for frame in new)])


def times_of(cohort: Cohort) -> pl.DataFrame:
    """Return the prediction time of every subject, which all tasks of the demo share."""
    return prediction_times(cohort, EVERY_KIND.tasks[0])


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder, by its relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
