"""Shared code of the benchmarks: timing, intervals, tables, synthetic and real cohorts."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic import Cohort
from polyclinic.cohort import CohortWriter

DATA = Path(os.environ.get("POLYCLINIC_DATA", Path(__file__).parents[2] / "shared" / "data"))
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float

    def shown(self, form: str = ".3f") -> str:
        """Write it as `0.970 (0.950 to 0.990)`."""
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


def clocked(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alternated(times: int, *works: Callable[[int], object], before: Callable[[], object] = lambda: None) -> np.ndarray:
    """Return the seconds `[times, work]` of each of `works`, run in turn, in alternating order.

    Each gets the number of the turn; `before` runs before each, and is not timed.
    """
    seconds = np.empty((times, len(works)))
    for turn in range(times):
        order = range(len(works)) if turn % 2 == 0 else reversed(range(len(works)))
        for place in order:
            before()
            seconds[turn, place] = clocked(lambda: works[place](turn))  # noqa: B023
    return seconds


def ratio(above: np.ndarray, below: np.ndarray) -> Interval:
    """Return the median ratio of pairs, with a bootstrap interval over the pairs."""
    return median(np.asarray(above) / np.asarray(below))


def median(values: Sequence[float] | np.ndarray) -> Interval:
    """Return the median, with a bootstrap interval."""
    given = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(0).choice(given, (RESAMPLES, len(given)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return Interval(float(np.median(given)), float(low), float(high))


def peak_mb() -> float:
    """Return the peak memory of this process, in MB."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def run_apart(module: str, *arguments: str) -> dict[str, float]:
    """Run a benchmark in a new process, and return the JSON object that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    result = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
    return json.loads(result.stdout)  # type: ignore[no-any-return]


class Table:
    """Prints rows as they come: the first column to the left, the others to the right, as wide as they need."""

    def __init__(self, title: str, *columns: str, first: int = 12) -> None:
        print(f"\n{title}")
        self._widths = [first, *(max(len(column), 10) for column in columns[1:])]
        self.row(*columns)

    def row(self, *cells: object) -> None:
        """Print a row."""
        texts = [str(cell) for cell in cells]
        others = (text.rjust(width) for text, width in zip(texts[1:], self._widths[1:], strict=False))
        print("  ".join([texts[0].ljust(self._widths[0]), *others]).rstrip(), flush=True)


def verdict(met: bool) -> str:
    """Return whether a goal is met, as text."""
    return "met" if met else "MISSED"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return the argument parser of a benchmark; its help is the module's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def real_data(name: str) -> Path | None:
    """Return the folder of a real data set; None, with a printed notice, where it is missing."""
    if (DATA / name).exists():
        return DATA / name
    print(f"skipped: {name} is not here; set POLYCLINIC_DATA to the folder that holds it")
    return None


def demo_cohort(into: Path, patients: int, seed: int = 0, radiographs: bool = True) -> Cohort:
    """Write the files of a synthetic hospital, and ingest them."""
    from polyclinic.demo import write_sources
    from polyclinic.ingest import ingest

    for step in write_sources(into, patients, seed, radiographs).steps:
        ingest(step.reader, step.path, into / "cohort", mapping=step.mapping)
    return Cohort.open(into / "cohort")


@contextmanager
def real_cohort(reader: str, source: Path, most: int | None) -> Iterator[tuple[Cohort, Path]]:
    """Ingest a real data set, or its first `most` subjects; yield the cohort and a temporary folder to work in."""
    from polyclinic.ingest import ingest

    with tempfile.TemporaryDirectory(prefix=f"{reader}-") as name:
        folder = Path(name)
        ingest(reader, source, folder / "all")
        yield only_some(Cohort.open(folder / "all"), most, folder / "some"), folder


def only_some(cohort: Cohort, most: int | None, into: Path) -> Cohort:
    """Keep the first `most` subjects in a cohort of its own; all, if None."""
    if most is None:
        return cohort
    chosen = cohort.subjects["subject_id"].head(most)
    events = cohort.events().filter(pl.col("subject_id").is_in(chosen.implode())).collect()
    with CohortWriter(into, source="some") as writer:
        for name in events["blob"].drop_nulls().unique(maintain_order=True):
            writer.add_blob(cohort.blob(name).read_bytes(), name.rpartition(".")[2])
        writer.add(events)
    return Cohort.open(into)
