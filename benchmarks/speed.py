"""Speed relative to the unavoidable computation: the network's steps, the frozen encoders' forward passes.

Each figure is a median over pairs that are measured in turn, with a 95 % bootstrap interval. Patients are synthetic;
fits are short, since weights do not affect time. Run it with

    python -m benchmarks speed --parts training prediction epochs --repeats 7
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks import one_prediction, training_steps
from benchmarks.common import Interval, Table, demo_cohort, parser, verdict
from polyclinic import Cohort
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.training.fit import fit_study

PARTS = ("training", "prediction", "epochs")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--patients", type=int, default=300)
    options.add_argument("--repeats", type=int, default=7)
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        cohort = demo_cohort(Path(folder) / "demo", chosen.patients)
        title = f"{torch.get_num_threads()} threads, {chosen.patients} patients, {chosen.repeats} repeats"
        figures = Figures(Table(title, "what", "median (95 % interval)", "goal", "", first=50))
        for part in chosen.parts:
            MEASURE[part](cohort, Path(folder), chosen.repeats, figures)


class Figures:
    """Prints figures with their goals."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def show(self, what: str, found: Interval, form: str = ".3f", least: float = -np.inf, most: float = np.inf) -> None:
        """Print a figure, and whether it lies within the limits, if there are any."""
        goal = f"≥ {least:g}" if np.isfinite(least) else f"≤ {most:g}" if np.isfinite(most) else ""
        self._table.row(what, found.shown(form), goal, verdict(least <= found.value <= most) if goal else "")


def training(cohort: Cohort, folder: Path, repeats: int, figures: Figures) -> None:
    """Compare a fit with a plain PyTorch loop."""
    fitted = fit_study(training_steps.STUDY, cohort, cache=EncoderCache(folder / "training"))
    plain, ours = training_steps.steps_per_second(fitted, folder / "fits", repeats)
    figures.show("training steps per second of a plain loop", plain, ".1f")
    figures.show("training steps per second, ours / a plain loop", ours, least=0.9)


def prediction(cohort: Cohort, folder: Path, repeats: int, figures: Figures) -> None:
    """Predict for one patient at a time, from events in memory."""
    found = one_prediction.uncached(cohort, folder, 4 * repeats)
    goals = {"one prediction / the encoders' passes": 1.15}
    for what, figure in found.items():
        figures.show(what, figure, ".1f" if what.endswith(", ms") else ".3f", most=goals.get(what, np.inf))
    figures.show("one prediction, all cached, ms", one_prediction.cached(cohort, folder, 8 * repeats), ".1f", most=10)


def epochs(cohort: Cohort, folder: Path, repeats: int, figures: Figures) -> None:
    """Compare the second epoch on frozen encoders' outputs with the first."""
    found = training_steps.second_epoch(cohort, folder, min(repeats, 3))
    figures.show("second epoch / first, frozen encoders", found, ".4f", most=0.05)


MEASURE = {"training": training, "prediction": prediction, "epochs": epochs}


if __name__ == "__main__":
    main()
