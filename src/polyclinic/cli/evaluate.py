"""`polyclinic evaluate`: a bundle's performance on a cohort."""

from pathlib import Path
from typing import Annotated

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import BundlePath, CohortPath, Json, TasksOfBundle, output_page
from polyclinic.cli.tables import print_cautions, print_ignored, print_report, report_as_json


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "evaluate", epilog="Example: polyclinic evaluate runs/demo/bundle other-cohort --split all --html r.html"
    )(evaluate)


def evaluate(
    bundle: BundlePath,
    cohort: CohortPath,
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="held_out, tuning, train, or all for a cohort not trained on.")
    ] = "held_out",
    task: TasksOfBundle = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Also evaluate by groups of this code; may be given several times."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a self-contained HTML page.", callback=output_page)
    ] = None,
    json: Json = False,
) -> None:
    """Evaluate a bundle, with intervals, by subgroup and for each subset of its inputs."""
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.training.evaluation.evaluate import evaluate as measure

    progress = TerminalProgress()
    whole = None if split == "all" else split
    report = measure(Bundle.load(bundle), Cohort.open(cohort), whole, tasks=task, by=by or (), progress=progress)
    if report.training_subjects:
        trained_on = report.training_subjects
        err.print(f"caution: {trained_on} of these subjects were used in training, so the figures are optimistic")
    print_cautions(report.shift)
    if html is not None:
        from polyclinic.evaluation.report.page import write_page

        write_page(html, report.cards, f"{bundle.name} on {cohort.name}", progress=progress)
    if json:
        print_json(report_as_json(report))
        return
    print_report(report, "all subjects" if whole is None else f"{split} subjects", subsets=True)
    print_ignored(report.shift)
    if html is not None:
        out.print(f"→ {html}")
