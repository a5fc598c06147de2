"""`polyclinic explain-audit`: whether a bundle's explanations are faithful and right."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import BundlePath, CohortPath, Json, Seed, TasksOfBundle, output_folder, output_page

if TYPE_CHECKING:
    from polyclinic.evaluation.report.document import Table as DocumentTable
    from polyclinic.explain.audit.record import Audit


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "explain-audit",
        epilog="Example: polyclinic explain-audit runs/demo/bundle runs/demo/cohort --truth runs/demo/truth",
    )(explain_audit)


def explain_audit(
    bundle: BundlePath,
    cohort: CohortPath,
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="held_out, tuning, train, or all for a cohort not trained on.")
    ] = "held_out",
    truth: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Known lesions, trigger words and causes, as in the demo; see the how-to."),
    ] = None,
    task: TasksOfBundle = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of subjects to explain, drawn with the seed.")
    ] = 40,
    seed: Seed = 0,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File of the page; explain_audit.html in the bundle by default.", callback=output_page
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Audit explanations against the model and known truth. Exit code 1: the method shown to users fails."""
    from polyclinic.cohort import Cohort
    from polyclinic.explain.audit.audit import audit
    from polyclinic.explain.audit.page import audit_page
    from polyclinic.explain.audit.record import AUDIT, PAGE
    from polyclinic.explain.methods.integrated_gradients import METHOD
    from polyclinic.files import write_text
    from polyclinic.models.bundle.bundle import Bundle

    output_folder(bundle)
    loaded, opened = Bundle.load(bundle), Cohort.open(cohort)
    result = audit(
        loaded,
        opened,
        None if split == "all" else split,
        tasks=task,
        truth=truth,
        limit=limit,
        seed=seed,
        progress=TerminalProgress(),
    )
    result.save(bundle)
    page = html or bundle / PAGE
    write_text(page, audit_page(result, f"Are the explanations of {bundle.name} true?"))
    for reason in result.skipped:
        err.print(f"skipped: {reason}")
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
        out.print(f"→ {bundle / AUDIT}; open {page} in a browser")
    if METHOD in result.failed:
        raise typer.Exit(1)


def _print(audit: "Audit") -> None:
    from polyclinic.explain.audit.page import (
        deletion_curves_table,
        goals_table,
        known_table,
        located_table,
        verdict_table,
    )

    out.print(f"{audit.subjects} subjects of {audit.split}; brackets: 95 % intervals", style="bold")
    shown = [goals_table(audit), verdict_table(audit), deletion_curves_table(audit.courses)]
    if audit.froc:
        shown.append(located_table(audit))
    if audit.known:
        shown.append(known_table(audit))
    for table in shown:
        out.print(_table(table))
    if audit.operating_point is not None:
        point = audit.operating_point
        out.print(
            f"sensitivity: {point.method} at s = {point.sensitivity:g}, chosen on {point.chosen_on}: finds "
            f"{point.recall} of the lesions with {point.false_regions} false regions per image there"
        )


def _table(block: "DocumentTable") -> object:
    from rich.table import Table

    from polyclinic.evaluation.report.document import cell_text

    table = Table(*block.header)
    for row in block.rows:
        table.add_row(*map(cell_text, row))
    return table
