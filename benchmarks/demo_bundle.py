"""The bundle of the demo's five tasks that benchmarks measure: an existing one, or one that is briefly trained."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import demo_cohort, parser
from polyclinic import Study
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.study import Network
from polyclinic.training.fit import fit_study

TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay", "demo_survival")


def bundle_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that choose the bundle."""
    options = parser(description)
    options.add_argument("--patients", type=int, default=300, help="of the cohort that is made")
    options.add_argument("--tasks", nargs="+", default=TASKS, help="tasks of the bundle that is trained")
    options.add_argument("--bundle", type=Path, help="an existing bundle")
    options.add_argument("--cohort", type=Path, help="cohort of that bundle")
    return options


def chosen_bundle(
    options: argparse.ArgumentParser, arguments: Sequence[str] | None, folder: Path
) -> tuple[argparse.Namespace, Path, Path]:
    """Return the chosen options, and the folders of the bundle and its cohort; made in `folder`, if none are named.

    A bundle that is made has the networks, briefly trained, and the classical models of a study by default.
    """
    chosen = options.parse_args(arguments)
    if (chosen.bundle is None) != (chosen.cohort is None):
        options.error("a bundle needs a cohort, and a cohort its bundle: give both --bundle and --cohort, or neither")
    if chosen.bundle is not None:
        return chosen, chosen.bundle, chosen.cohort
    cohort = demo_cohort(folder / "demo", chosen.patients)
    study = Study(tasks=tuple(chosen.tasks), network=Network(epochs=2))
    fitted = fit_study(study, cohort, cache=EncoderCache())
    return chosen, fitted.bundle.save(folder / "bundle"), cohort.path
