"""Time from the shell to one patient's answer, in new processes: commands as a whole, and each stage of them.

A bundle takes as long whatever its weights; that of `make demo` is measured with --bundle and --cohort. Without them,
one is briefly trained. Wall time grows with other work on the machine, whose load is printed; processor time much less.
Files are in the page cache. Run it with

    python -m benchmarks startup --repeats 7 --bundle runs/demo/bundle --cohort runs/demo/cohort
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common import Table, clocked, median, run_apart, verdict
from benchmarks.demo_bundle import bundle_parser, chosen_bundle
from benchmarks.startup_stages import STAGES
from polyclinic import Cohort
from polyclinic.modalities import MODALITIES

IMPORT = "import polyclinic"
COMMAND = "import sys; from polyclinic.cli import main; sys.argv = ['polyclinic', *sys.argv[1:]]; main()"
GOALS_S = {"import polyclinic": 0.3, "polyclinic --help": 1, "predict": 3, "assess": 4, "assess --no-explain": 4}
LOADING_S = 1
UNMEASURED = 1
"""First runs of each command that fill the caches."""
COLUMNS = ("best, s", "median (95 % interval), s", "processor, s", "goal", "")


def main(arguments: Sequence[str] | None = None) -> None:
    options = bundle_parser(__doc__)
    options.add_argument("--repeats", type=int, default=7)
    with tempfile.TemporaryDirectory(prefix="startup-") as name:
        chosen, bundle, cohort = chosen_bundle(options, arguments, Path(name))
        _print_commands(bundle, cohort, Path(name) / "predictions.parquet", chosen.repeats)
        _print_stages(bundle, cohort, chosen.repeats)


@dataclass(frozen=True)
class Times:
    """Wall and processor seconds of the same work in several processes."""

    wall: np.ndarray
    processor: np.ndarray

    def row(self, goal: float | None) -> tuple[str, ...]:
        """Return the cells of a table; the goal is one of the best."""
        best = float(self.wall.min())
        reached = (f"≤ {goal:g}", verdict(best <= goal)) if goal is not None else ("", "")
        return f"{best:.2f}", median(self.wall).shown(".2f"), f"{np.median(self.processor):.2f}", *reached


def _print_commands(bundle: Path, cohort: Path, predictions: Path, repeats: int) -> None:
    subject = _subject(cohort)
    commands = {
        "import polyclinic": (IMPORT,),
        "polyclinic --help": (COMMAND, "--help"),
        "predict": (COMMAND, "predict", bundle, cohort, "--subject", subject, "--out", predictions),
        "assess --no-explain": (COMMAND, "assess", bundle, cohort, subject, "--no-explain"),
        "assess": (COMMAND, "assess", bundle, cohort, subject),
    }
    table = Table(f"commands, {_machine()}, {repeats} processes", "command", *COLUMNS, first=22)
    for name, words in commands.items():
        table.row(name, *_commands([sys.executable, "-c", *map(str, words)], repeats).row(GOALS_S[name]))


def _commands(command: Sequence[str], repeats: int) -> Times:
    """Run a command to fill the caches, and then measure it."""
    wall, processor = [], []
    for turn in range(-UNMEASURED, repeats):
        before = _children_s()
        seconds = clocked(lambda: subprocess.run(command, check=True, capture_output=True))
        if turn >= 0:
            wall.append(seconds)
            processor.append(_children_s() - before)
    return Times(np.array(wall), np.array(processor))


def _children_s() -> float:
    """Return the processor seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print_stages(bundle: Path, cohort: Path, repeats: int) -> None:
    words = ("benchmarks.startup_stages", str(bundle.resolve()), str(cohort.resolve()), _subject(cohort))
    runs = [run_apart(*words) for _ in range(repeats)]
    table = Table(f"stages of a new process, {_machine()}, {repeats} processes", "stage", *COLUMNS, first=22)
    for stage in STAGES:
        times = Times(*(np.array([run[name] for run in runs]) for name in (stage, f"{stage}, processor")))
        table.row(stage, *times.row(LOADING_S if stage == "loading" else None))


def _subject(cohort: Path) -> str:
    """Return the number of the first subject with the most modalities."""
    subjects = Cohort.open(cohort).subjects
    counts = subjects.select(pl.sum_horizontal(pl.col(list(MODALITIES)) > 0)).to_series()
    return str(subjects["subject_id"][int(counts.arg_max() or 0)])


def _machine() -> str:
    return f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
