"""The folder that a training run leaves behind: bundle, tables, plots, page."""

from __future__ import annotations

import shutil
from pathlib import Path

from polyclinic.cohort import Cohort
from polyclinic.evaluation.report.card import model_card
from polyclinic.evaluation.report.card_plots import save_plots
from polyclinic.evaluation.report.page import write_page
from polyclinic.files import sha256, write_json, write_text
from polyclinic.models.bundle.bundle import INDEX, Bundle
from polyclinic.models.bundle.predictions import Predictions, in_order, rows_of
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError
from polyclinic.training.evaluation.evaluate import Report
from polyclinic.training.fit import WORK
from polyclinic.training.network.trainer import LOG

MEASURED = ("metrics.json", "comparison.json", "repeats.json", "card.md", "report.html", "predictions.parquet")
"""What is written beside a bundle."""


def write_report(report: Report, out: Path, lead: str, progress: Progress = SILENT) -> None:
    """Write what was measured beside the bundle: card, figures, predictions, plots for each task, and one page."""
    write_json(out / "metrics.json", {name: one.evaluation.to_dict() for name, one in report.tasks.items()})
    write_json(
        out / "comparison.json",
        {
            name: {"models": one.comparison.to_dict(), "inputs": one.subsets.to_dict() if one.subsets else None}
            for name, one in report.tasks.items()
        },
    )
    write_text(out / "card.md", "\n\n".join(model_card(card) for card in report.cards))
    for card in report.cards:
        folder = out / "plots" / card.task
        folder.mkdir(parents=True, exist_ok=True)
        save_plots(card, folder, progress=progress)
    write_page(out / "report.html", report.cards, "Polyclinic: results", lead, progress)
    rows = [
        rows_of(one.task, report.samples, one.said.answers, one.said.thresholds, one.said.bins)
        for one in report.tasks.values()
    ]
    Predictions(in_order(rows)).write(out / "predictions.parquet")


def refuse_foreign_folder(out: Path) -> None:
    """Refuse a file, and a folder that holds neither a bundle nor an unfinished fit: they would be written over."""
    taken = next((place for place in (out, *out.parents) if place.exists()), None)
    if taken is not None and not taken.is_dir():
        raise StudyError(f"{taken} is a file, and no folder: name a new folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / INDEX).is_file() and not (out / WORK).is_dir():
        raise StudyError(f"{out} holds something else than a bundle: name a new folder with --out")


def save_bundle(bundle: Bundle, out: Path) -> None:
    """Save the bundle, and remove what was measured of another that was here."""
    for name in MEASURED:
        (out / name).unlink(missing_ok=True)
    for name in ("plots", "logs"):
        shutil.rmtree(out / name, ignore_errors=True)
    bundle.save(out)


def checkpoint_folder(study: Study, cohort: Cohort, out: Path, scheme: str) -> Path:
    """Name the folder of checkpoints of this very study, cohort and scheme of folds; those of another are removed.

    The fit makes it with its first checkpoint, so that one which is refused leaves nothing behind.
    """
    key = sha256(f"{study.to_yaml()}{cohort.fingerprint}{scheme}{installed_version()}".encode())[:16]
    work = out / WORK / key
    if not work.is_dir():
        shutil.rmtree(out / WORK, ignore_errors=True)
    return work


def keep_logs(work: Path, out: Path) -> None:
    """Keep the training logs, and remove the checkpoints."""
    for log in sorted(work.rglob(LOG)):
        shutil.copytree(log, out / "logs" / "-".join(log.parent.relative_to(work).parts), dirs_exist_ok=True)
    shutil.rmtree(out / WORK, ignore_errors=True)


def installed_version() -> str:
    """Return the version of this package."""
    from importlib.metadata import version

    return version("polyclinic")
