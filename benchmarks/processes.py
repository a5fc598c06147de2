"""Training and encoding by several processes against one: time, processor time, and memory against what was told.

Pairs are measured in turn. The encoders are compared with a bare loop in one thread, without cache; several processes
are measured from a cold start, and again when they have started. Run it with

    python -m benchmarks processes --patients 200 --jobs 2 --repeats 3 --parts encoding training
"""

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from benchmarks.common import Table, alternated, clocked, demo_cohort, median, parser, ratio
from polyclinic import Cohort, Study
from polyclinic.cli.demo import TASKS
from polyclinic.compute import workers
from polyclinic.compute.resources import Resources, usable_cores
from polyclinic.compute.threads import one_thread
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.image.embeddings import CanvasSize, ImageEncoder, ImageEncodings
from polyclinic.files import sha256
from polyclinic.progress import Silent
from polyclinic.training.fit import fit_study

PARTS = ("encoding", "training")
BACKBONE = "efficientnet_lite0"
EVERY_S = 2.0
"""Seconds between two measurements of the memory, which read tables of pages and take processor time."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--patients", type=int, default=200)
    options.add_argument("--images", type=int, default=400, help="at most, for encoding")
    options.add_argument("--jobs", type=int, default=usable_cores())
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--tasks", nargs="+", default=TASKS)
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="processes-") as folder:
        cohort = demo_cohort(Path(folder) / "demo", chosen.patients)
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        table = Table(
            f"{chosen.patients} patients, load {load}", "what", "one", f"{chosen.jobs} jobs", "ratio", first=44
        )
        if "encoding" in chosen.parts:
            encoding(cohort, Path(folder), chosen.images, chosen.jobs, chosen.repeats, table)
        if "training" in chosen.parts:
            training(cohort, Path(folder), tuple(chosen.tasks), chosen.jobs, chosen.repeats, table)


def encoding(cohort: Cohort, folder: Path, most: int, jobs: int, repeats: int, table: Table) -> None:
    """Compare the encoding of images with a bare loop."""
    names = cohort.events().filter(pl.col("blob").str.ends_with(".png")).collect()["blob"].unique(maintain_order=True)
    chosen = names.head(most).to_list()
    encoder = ImageEncoder("tokens", cohort.blob, CanvasSize(224, "letterbox"), BACKBONE, "cpu")
    encoder({chosen[0]: chosen[0]})  # loads the network

    def bare(_: int) -> None:
        with one_thread():
            for name in chosen:
                encoder({name: name})

    def together(turn: int) -> None:
        cache = EncoderCache(folder / f"cache{turn}")
        encodings = ImageEncodings(cohort.blob, encoder.size, BACKBONE, cache, Resources(jobs=jobs))
        assert encodings.prepare("tokens", chosen).encoded == len(chosen)
        cache.clear()

    spent: tuple[list[float], list[float]] = ([], [])

    def counted(turn: int, work: Callable[[int], None], into: list[float]) -> None:
        before = family_processor_s()
        work(turn)
        into.append(family_processor_s() - before)

    with always_worth_it():
        cold = clocked(lambda: together(-1))
        seconds = alternated(
            repeats, lambda turn: counted(turn, bare, spent[0]), lambda turn: counted(turn, together, spent[1])
        )
    _compare(table, f"{len(chosen)} images, s", seconds[:, 0], seconds[:, 1])
    _compare(table, "the same, s of processor time", *map(np.array, spent))
    table.row("the same from a cold start, s", "", f"{cold:.1f}", f"{np.median(seconds[:, 0]) / cold:.2f}")


def _compare(table: Table, what: str, one: np.ndarray, several: np.ndarray) -> None:
    """Print a row: seconds with one process and with several, and the ratio of pairs."""
    table.row(what, median(one).shown(".1f"), median(several).shown(".1f"), ratio(one, several).shown(".2f"))


def training(cohort: Cohort, folder: Path, tasks: tuple[str, ...], jobs: int, repeats: int, table: Table) -> None:
    """Compare fits of all members, with the encodings in the cache."""
    study, cache = Study(tasks=tasks, folds=3), EncoderCache(folder / "cache")
    by_count: dict[int, list[Fit]] = {1: [], jobs: []}
    fit(study, cohort, cache, jobs)  # fills the cache

    def run(count: int) -> None:
        by_count[count].append(fit(study, cohort, cache, count))

    seconds = alternated(repeats, lambda _: run(1), lambda _: run(jobs))
    _compare(table, "fit, s", seconds[:, 0], seconds[:, 1])
    alone, together = by_count[1], by_count[jobs]
    for stage in ("members", "cross-fitting"):
        _compare(table, f"{stage}, s", *(np.array([one.wall(stage) for one in fits]) for fits in (alone, together)))
        spent = (np.array([one.processor(stage) for one in fits]) for fits in (alone, together))
        _compare(table, f"{stage}, s of processor time", *spent)
    memory = {count: fits[-1] for count, fits in by_count.items()}
    table.row("memory told, MiB", *(f"{memory[count].told}" for count in (1, jobs)))
    table.row("memory added at the peak, MiB", *(f"{memory[count].added_mib:.0f}" for count in (1, jobs)))
    assert memory[1].digest == memory[jobs].digest, "results differ"


@dataclass
class Told(Silent):
    """Records the memory that is told."""

    mib: int = 0

    def message(self, text: str) -> None:
        """Record a line about memory."""
        if found := re.match(r"memory: (\d+) MiB needed", text):
            self.mib = int(found[1])


@dataclass
class Fit:
    """What one fit took."""

    resources: Resources
    told: int
    added_mib: float
    digest: str

    def wall(self, stage: str) -> float:
        """Return the seconds of a stage."""
        return next(row.spent.wall_s for row in self.resources.stages.rows() if row.name == stage)

    def processor(self, stage: str) -> float:
        """Return the processor time of a stage, that of workers included."""
        return next(row.spent.processor_s for row in self.resources.stages.rows() if row.name == stage)


def fit(study: Study, cohort: Cohort, cache: EncoderCache, jobs: int) -> Fit:
    """Fit the study, and measure memory on the way."""
    resources, told = Resources(jobs=jobs), Told()
    with closing(Peak()) as peak:
        fitted = fit_study(study, cohort, cache=cache, resources=resources, progress=told)
    predictions = fitted.member_predictions[study.tasks[0].name]
    answers = b"".join(prediction.answers.tobytes() for _, prediction in sorted(predictions.items()))
    return Fit(resources, told.mib, peak.added_mib, sha256(answers))


@dataclass
class Peak:
    """Measures the memory that this process and its workers add, until it is closed; what they share counts once."""

    highest: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.begin = family_bytes()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def added_mib(self) -> float:
        """Return what was added at the peak, in MiB."""
        return (self.highest - self.begin) / (1 << 20)

    def close(self) -> None:
        """End the measurement."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.highest = max(self.highest, family_bytes())


def family_bytes() -> float:
    """Return the proportional memory of this process and its children; on systems without it, the unshared."""
    total = 0.0
    for one in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            found = one.memory_full_info()
            total += getattr(found, "pss", found.uss)
        except psutil.Error:
            continue
    return total


def family_processor_s() -> float:
    """Return the seconds of processor time of this process and its living children."""
    total = 0.0
    for one in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            total += sum(one.cpu_times()[:2])
        except psutil.Error:
            continue
    return total


@contextmanager
def always_worth_it() -> Iterator[None]:
    """Start workers at once."""
    before, workers.WORTH_S = workers.WORTH_S, 0.0
    yield
    workers.WORTH_S = before


if __name__ == "__main__":
    main()
