"""Time and memory of every stage, from the sources to predictions, as the number of patients grows.

The same study is fitted to synthetic patients without pictures: two tasks, three inputs, the default classical models,
a network of a fixed number of epochs. Each number of patients is measured in a process of its own, with one thread. How
a stage grows is judged by its processor time, against n log n. Run it with

    python -m benchmarks scale --patients 1000 10000 100000
"""

import argparse
import json
import math
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import Table, parser, run_apart, verdict
from polyclinic.compute.resources import Resources
from polyclinic.compute.stages import Stages
from polyclinic.compute.threads import one_thread

SIZES = (1_000, 10_000, 100_000)
TASKS = ("demo_deterioration", "demo_stay")
INPUTS = ("structured", "series", "note")
EPOCHS = 8
MOST_MB = 8_000
"""Goal for the memory of the largest cohort."""
SAMPLED_S = 0.05
DEPTH = 2
"""Stages are shown down to this depth."""
SHORT_S = 2.0
"""Processor time below which the growth of a stage is not judged."""
TOLERANCE = 1.15
"""Factor by which a stage may take longer than n log n, for noise."""
FITTED = ("fit", "write the bundle")
NOT_READ = ("ecg",)
"""Tables of the sources that the study does not need."""


@dataclass(frozen=True)
class Row:
    """What one stage took."""

    path: tuple[str, ...]
    wall_s: float
    processor_s: float
    peak_mb: float


class PeakMemory:
    """The most memory of this process in each stage, sampled by a thread."""

    def __init__(self, stages: Stages) -> None:
        self.mb: dict[tuple[str, ...], float] = {}
        self._stages = stages
        self._process = psutil.Process()

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample within the block."""
        ended = threading.Event()
        thread = threading.Thread(target=self._sample, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _sample(self, ended: threading.Event) -> None:
        while not ended.wait(SAMPLED_S):
            path, held = self._stages.current, self._process.memory_info().rss / 1e6
            for depth in range(len(path) + 1):
                self.mb[path[:depth]] = max(held, self.mb.get(path[:depth], 0.0))


def measure(patients: int, epochs: int, fitted: int | None = None) -> dict[str, Any]:
    """Measure every stage with so many patients, in this process."""
    resources = Resources(jobs=1)
    memory = PeakMemory(resources.stages)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder, one_thread(), memory.sampled():
        events = _all_stages(Path(folder), patients, epochs, fitted, resources)
    wall_s = time.perf_counter() - begin
    rows = [
        Row(path, row.spent.wall_s, row.spent.processor_s, memory.mb.get(path, 0.0))
        for path, row in _with_paths(resources.stages)
    ]
    return {
        "patients": patients,
        "fitted": fitted,
        "events": events,
        "wall_s": wall_s,
        "peak_mb": max(memory.mb.values()),
        "rows": [asdict(row) for row in rows],
    }


def _all_stages(folder: Path, patients: int, epochs: int, fitted: int | None, resources: Resources) -> int:
    """Go from sources to predictions; return the number of events."""
    from polyclinic import Cohort, Study
    from polyclinic.demo import write_sources
    from polyclinic.features.cache.encoder_cache import EncoderCache
    from polyclinic.ingest import ingest
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.study import Network
    from polyclinic.training.evaluation.evaluate import evaluate
    from polyclinic.training.fit import fit_study
    from polyclinic.training.output_folder import write_report

    stage, cache = resources.stages.stage, EncoderCache(folder / "cache")
    with stage("write the sources"):
        written = write_sources(folder, patients, 0, radiographs=False)
    with stage("ingest"):
        for step in (step for step in written.steps if step.path.stem not in NOT_READ):
            ingest(step.reader, step.path, folder / "cohort", mapping=step.mapping)
    cohort = Cohort.open(folder / "cohort")
    study = Study(tasks=TASKS, inputs=INPUTS, network=Network(epochs=epochs, patience=epochs), folds=3)
    subjects = _some([one for split in study.development for one in cohort.subjects_in(split)], fitted)
    with stage("fit"):
        bundle = fit_study(study, cohort, subjects=subjects, work=folder, cache=cache, resources=resources).bundle
    with stage("write the bundle"):
        bundle.save(folder / "bundle")
    with stage("evaluate"):
        report = evaluate(bundle, cohort, "held_out")
    with stage("write the report"):
        write_report(report, folder / "bundle", "Held-out subjects.")
    del bundle, report
    with stage("predict"):
        Bundle.load(folder / "bundle", cache).predict(cohort).write(folder / "predictions.parquet", cohort.subjects)
    return cohort.summary().events


def _some(subjects: list[int], most: int | None) -> list[int]:
    """Draw at most so many subjects; all, if None."""
    if most is None or len(subjects) <= most:
        return subjects
    return sorted(np.random.default_rng(0).choice(subjects, most, replace=False).tolist())


def _with_paths(stages: Stages) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the rows of stages with the names of those that contain them."""
    path: tuple[str, ...] = ()
    for row in stages.rows():
        path = (*path[: row.depth], row.name)
        yield path, row


def growth(small: float, large: float, sizes: tuple[int, int]) -> float:
    """Return the exponent with which a quantity grows from one number of patients to the next."""
    return math.log(max(large, 1e-9) / max(small, 1e-9)) / math.log(sizes[1] / sizes[0])


def within_n_log_n(small: float, large: float, sizes: tuple[int, int]) -> bool:
    """Return whether seconds grow no faster than n log n; short ones are not judged."""
    allowed = sizes[1] * math.log(sizes[1]) / (sizes[0] * math.log(sizes[0]))
    return large < SHORT_S or large <= TOLERANCE * allowed * max(small, SHORT_S / allowed)


def _compared(run: Mapping[str, Any]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """Return the rows by their path, without those of a fit to some subjects only."""
    rows = {tuple(row["path"]): row for row in run["rows"]}
    return {path: row for path, row in rows.items() if run["fitted"] is None or path[0] not in FITTED}


def show(found: Sequence[Mapping[str, Any]]) -> None:
    """Print the seconds and memory of each stage by number of patients, and how the seconds grow."""
    sizes = [run["patients"] for run in found]
    by_path = [_compared(run) for run in found]
    paths = [path for path in dict.fromkeys(path for rows in by_path for path in rows) if len(path) <= DEPTH]
    columns = [f"{size:,}" for size in sizes]
    table = Table("processor time, s", "stage", *columns, *(f"n^ to {size}" for size in columns[1:]), "", first=44)
    for path in paths:
        spent = [_value(rows, path, "processor_s") for rows in by_path]
        pairs = list(zip(spent, spent[1:], pairwise(sizes), strict=False))
        judged = all(within_n_log_n(*pair) for pair in pairs if not math.isnan(pair[0] + pair[1]))
        exponents = [_shown(growth(*pair), ".2f") for pair in pairs]
        cells = [_shown(seconds, ",.1f") for seconds in spent] + exponents
        table.row(_indented(path), *cells, "" if judged else "faster than n log n")
    table = Table("peak memory, MB", "stage", *columns, first=44)
    for path in paths:
        table.row(_indented(path), *(_shown(_value(rows, path, "peak_mb"), ",.0f") for rows in by_path))
    table = Table("in all", "patients", "fitted to", "events", "wall, min", "peak MB", f"< {MOST_MB:,}", first=12)
    for run in found:
        fitted = "all" if run["fitted"] is None else f"{run['fitted']:,}"
        cells = [f"{run['events']:,}", f"{run['wall_s'] / 60:.1f}", f"{run['peak_mb']:,.0f}"]
        table.row(f"{run['patients']:,}", fitted, *cells, verdict(run["peak_mb"] < MOST_MB))


def _value(rows: Mapping[tuple[str, ...], Mapping[str, Any]], path: tuple[str, ...], name: str) -> float:
    return float(rows[path][name]) if path in rows else math.nan


def _shown(value: float, form: str) -> str:
    return "–" if math.isnan(value) else f"{value:{form}}"


def _indented(path: tuple[str, ...]) -> str:
    return "  " * (len(path) - 1) + path[-1]


def plot(found: Sequence[Mapping[str, Any]], into: Path) -> None:
    """Draw processor time and memory of the outermost stages, as `into` with the suffixes png and svg."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = [run["patients"] for run in found]
    figure, (seconds, memory) = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    by_path = [_compared(run) for run in found]
    for path in (path for path in dict.fromkeys(path for rows in by_path for path in rows) if len(path) == 1):
        spent, held = ([_value(rows, path, name) for rows in by_path] for name in ("processor_s", "peak_mb"))
        (line,) = seconds.plot(sizes, spent, marker="o", label=path[0])
        memory.plot(sizes, held, marker="o", color=line.get_color())
    first = max(row["processor_s"] for row in found[0]["rows"])
    guide = [first * size * math.log(size) / (sizes[0] * math.log(sizes[0])) for size in sizes]
    seconds.plot(sizes, guide, color="grey", linestyle=":", label="n log n")
    memory.axhline(MOST_MB, color="grey", linestyle=":")
    memory.annotate("goal", (sizes[0], MOST_MB), va="bottom")
    for axes, title in ((seconds, "processor time, s"), (memory, "peak memory, MB")):
        axes.set(xscale="log", yscale="log", xlabel="patients", title=title)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*seconds.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    for suffix in (".png", ".svg"):
        figure.savefig(into.with_suffix(suffix), dpi=150)
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, nargs="+", default=SIZES)
    options.add_argument("--epochs", type=int, default=EPOCHS, help="of each network")
    options.add_argument("--most-fitted", type=int, help="subjects to fit to, at most; all are evaluated and predicted")
    options.add_argument("--results", type=Path, help="file that keeps what was measured, by number of patients")
    options.add_argument("--plot", type=Path, help="name of the plot, of which PNG and SVG are written")
    options.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.one:
        print(json.dumps(measure(chosen.one, chosen.epochs, chosen.most_fitted)))
        return
    kept = json.loads(chosen.results.read_text()) if chosen.results and chosen.results.exists() else {}
    for patients in sorted(chosen.patients):
        if str(patients) not in kept:
            words = ["--one", str(patients), "--epochs", str(chosen.epochs)]
            words += ["--most-fitted", str(chosen.most_fitted)] if chosen.most_fitted else []
            kept[str(patients)] = run_apart("benchmarks.scale", *words)
            if chosen.results:
                chosen.results.write_text(json.dumps(kept))
        show([kept[key] for key in sorted(kept, key=int) if int(key) <= patients])
    if chosen.plot:
        plot([kept[key] for key in sorted(kept, key=int)], chosen.plot)


if __name__ == "__main__":
    main()
