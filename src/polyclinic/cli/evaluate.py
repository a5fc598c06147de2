"""`polyclinic evaluate`: a bundle's performance on a cohort."""

from pathlib import Path
from typing import Annotated

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import (
    AboutFile,
    BundlePath,
    CohortPath,
    Device,
    Jobs,
    Json,
    TasksOfBundle,
    about_file,
    output_card,
    output_page,
    resources_of,
)
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
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the card as JSON.", callback=output_card)
    ] = None,
    about: AboutFile = None,
    jobs: Jobs = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Evaluate a bundle, with intervals, by subgroup and for each subset of its inputs."""
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.training.evaluation.evaluate import evaluate as measure

    progress = TerminalProgress()
    whole, stated = None if split == "all" else split, about_file(about)
    opened = Cohort.open(cohort)
    loaded = Bundle.load(bundle)
    loaded.features.use(resources_of(jobs, device))
    report = measure(loaded, opened, whole, tasks=task, by=by or (), about=stated, progress=progress)
    if report.training_subjects:
        trained_on = report.training_subjects
        err.print(f"caution: {trained_on} of these subjects were used in training, so the figures are optimistic")
    print_cautions(report.shift)
    if html is not None:
        from polyclinic.evaluation.report.page import write_page

        write_page(html, report.cards, f"{bundle.name} on {cohort.name}", progress=progress)
    if card is not None:
        from polyclinic.evaluation.report.card_document import card_json
        from polyclinic.files import write_json

        write_json(card, card_json(report.cards))
    if json:
        print_json(report_as_json(report))
        return
    print_report(report, "all subjects" if whole is None else f"{split} subjects", subsets=True)
    print_ignored(report.shift)
    for path in (html, card):
        if path is not None:
            out.print(f"→ {path}")
