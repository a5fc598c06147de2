"""The folder that a training run writes: bundle, tables, plots, page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from polyclinic.cohort import Cohort
from polyclinic.compute.devices import CPU
from polyclinic.compute.stages import Stages
from polyclinic.evaluation.report.card import model_card
from polyclinic.evaluation.report.card_document import card_json
from polyclinic.evaluation.report.card_plots import save_plots
from polyclinic.evaluation.report.page import write_page
from polyclinic.files import OutputError, check_folder, sha256, write_json, write_text
from polyclinic.models.bundle.bundle import INDEX, Bundle
from polyclinic.models.bundle.predictions import Predictions, in_order, rows_of
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError
from polyclinic.training.evaluation.evaluate import Report
from polyclinic.training.fit import WORK, check_study
from polyclinic.training.network.trainer import LOG

TIMINGS = "timings.json"
MEASURED = (
    "metrics.json",
    "comparison.json",
    "repeats.json",
    "card.md",
    "card.json",
    "report.html",
    "predictions.parquet",
    TIMINGS,
)
"""Files of results, written beside a bundle."""
_CHECKPOINTS = re.compile("[0-9a-f]{16}")
"""Names of the folders in `.work/`."""


def write_report(report: Report, out: Path, lead: str, progress: Progress = SILENT) -> None:
    """Write the results beside the bundle: card, figures, predictions, plots of each task, and one page."""
    write_json(out / "metrics.json", {name: found.evaluation.to_dict() for name, found in report.tasks.items()})
    write_json(
        out / "comparison.json",
        {
            name: {"models": found.comparison.to_dict(), "inputs": found.subsets.to_dict() if found.subsets else None}
            for name, found in report.tasks.items()
        },
    )
    write_text(out / "card.md", "\n\n".join(model_card(card) for card in report.cards))
    write_json(out / "card.json", card_json(report.cards))
    for card in report.cards:
        folder = out / "plots" / card.task
        folder.mkdir(parents=True, exist_ok=True)
        save_plots(card, folder, progress=progress)
    write_page(out / "report.html", report.cards, "Polyclinic: results", lead, progress)
    rows = [
        rows_of(found.task, report.samples, found.answers, found.predictions.thresholds, found.predictions.bins)
        for found in report.tasks.values()
    ]
    Predictions(in_order(rows)).write(out / "predictions.parquet")


def prepare_output(study: Study, cohort: Cohort, out: Path, scheme: str, logger: str, device: str = CPU) -> Path:
    """Check study, logger and folder, and return the folder for checkpoints; nothing is created yet.

    Args:
        study: What will be fitted.
        cohort: Where it will be fitted.
        out: The folder for results.
        scheme: Describes the folds; checkpoints of another scheme are removed.
        logger: As for `fit_study`.
        device: Of the networks; checkpoints of another kind of device are removed, since kinds round differently.

    Raises:
        StudyError: as `check_study`, or `out` holds something other than a bundle.
    """
    check_study(study, logger)
    _check_folder(out)
    return _checkpoint_folder(study, cohort, out, f"{scheme}, {device}")


def _check_folder(out: Path) -> None:
    """Raise `StudyError` for a file, or a folder that holds neither a bundle nor an unfinished fit."""
    try:
        check_folder(out)
    except OutputError as error:
        raise StudyError(str(error)) from error
    if out.is_dir() and any(out.iterdir()) and not is_bundle(out) and not _is_unfinished(out):
        raise StudyError(f"{out} holds something other than a bundle: name a new folder with --out")


def is_bundle(folder: Path) -> bool:
    """Return whether `folder` holds a bundle, of whatever format."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(index, dict) and "format" in index


def _is_unfinished(folder: Path) -> bool:
    """Return whether `folder` holds the checkpoints of an unfinished fit."""
    work = folder / WORK
    return work.is_dir() and all(_CHECKPOINTS.fullmatch(place.name) for place in work.iterdir())


def _checkpoint_folder(study: Study, cohort: Cohort, out: Path, scheme: str) -> Path:
    """Return the checkpoint folder of this study, cohort and scheme, and remove the checkpoints of any other."""
    key = sha256(f"{study.to_yaml()}{cohort.fingerprint}{scheme}{installed_version()}".encode())[:16]
    work = out / WORK / key
    if not work.is_dir():
        shutil.rmtree(out / WORK, ignore_errors=True)
    return work


def save_bundle(bundle: Bundle, out: Path) -> None:
    """Save the bundle, and remove the results of an earlier one."""
    for name in MEASURED:
        (out / name).unlink(missing_ok=True)
    for name in ("plots", "logs"):
        shutil.rmtree(out / name, ignore_errors=True)
    bundle.save(out)


def keep_logs(work: Path, out: Path) -> None:
    """Copy the training logs to `logs/`, and remove the checkpoints."""
    for log in sorted(work.rglob(LOG)):
        shutil.copytree(log, out / "logs" / "-".join(log.parent.relative_to(work).parts), dirs_exist_ok=True)
    shutil.rmtree(out / WORK, ignore_errors=True)


def write_timings(stages: Stages, out: Path) -> None:
    """Write what each stage took; the only file of results that another run of the same study does not repeat."""
    write_json(out / TIMINGS, stages.to_dict())


def installed_version() -> str:
    """Return the version of this package."""
    from importlib.metadata import version

    return version("polyclinic")
