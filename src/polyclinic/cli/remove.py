"""`polyclinic remove`: take a source, a subject or a blob out of a cohort."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import CohortPath, Json

if TYPE_CHECKING:
    from polyclinic.cohort.removal import Kind, Removal


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("remove", epilog="Example: polyclinic remove cohorts/ward --subject P01003")(remove)


def remove(
    cohort: CohortPath,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Remove what only this source contains; may be given several times."),
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Remove this patient, by the source's own id or the number in the cohort."),
    ] = None,
    blob: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Remove this image or waveform, by its name in blobs/ or its beginning."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    json: Json = False,
) -> None:
    """Remove a source, a subject or a blob from a cohort; without one, list the sources.

    Counts what would be removed, and asks. The removal is one atomic step; nothing of it stays in the cohort's folder.
    """
    named = [(kind, names) for kind, names in (("source", source), ("subject", subject), ("blob", blob)) if names]
    if len(named) > 1:
        options = " with ".join(f"--{kind}" for kind, _ in named)
        raise typer.BadParameter("remove one kind at a time", param_hint=options)
    if not named:
        _list(cohort, json)
        return
    [(kind, names)] = named
    _remove(cohort, kind, names, yes, json)  # type: ignore[arg-type]


def _remove(cohort: Path, kind: "Kind", names: list[str], yes: bool, json: bool) -> None:
    from polyclinic.cohort.removal import count_removal
    from polyclinic.cohort.removal import remove as take_away

    if not yes:
        err.print(f"removes {_in_words(count_removal(cohort, kind, names))}")
        if json or not sys.stdin.isatty():
            raise ValueError("nothing was removed: add --yes to remove it")
        typer.confirm("Remove?", abort=True, err=True)
    removed = take_away(cohort, kind, names, TerminalProgress())
    if json:
        print_json({"removed": removed.to_dict(), "cohort": str(cohort)})
        return
    out.print(f"removed {_in_words(removed)} → {cohort}")
    if removed.labels:
        out.print("label the cohort again with polyclinic tasks")
    if removed.events:
        out.print("bundles trained before have learnt from what was removed: train them again if it must be forgotten")


def _in_words(removal: "Removal") -> str:
    parts = [f"{removal.events:,} events of {removal.subjects:,} subjects"]
    if removal.gone_subjects:
        parts[0] += f" ({removal.gone_subjects:,} of whom leave the cohort)"
    parts += [f"{number:,} {name}" for number, name in ((removal.blobs, "blobs"), (removal.labels, "labels")) if number]
    return ", ".join(parts)


def _list(cohort: Path, json: bool) -> None:
    from polyclinic.cohort import Cohort

    sources = Cohort.open(cohort).sources.select("name", "reader", "events")
    if json:
        print_json({"sources": sources.to_dicts(), "cohort": str(cohort)})
        return
    table = Table("source", "reader", "events")
    for row in sources.iter_rows(named=True):
        table.add_row(row["name"], row["reader"] or "", f"{row['events']:,}")
    out.print(table)
    out.print("remove one with --source, or a patient with --subject, or an image or waveform with --blob")
