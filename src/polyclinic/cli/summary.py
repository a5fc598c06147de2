"""`polyclinic summary`: the contents of a cohort."""

from typing import Annotated

import typer
from rich.table import Table

from polyclinic.cli.console import out, print_json
from polyclinic.cli.options import CohortPath, Json

FEW = 15
"""Codes listed by default."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("summary", epilog="Example: polyclinic summary runs/demo/cohort --codes 20")(summary)


def summary(
    cohort: CohortPath,
    codes: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help=f"How many of the most common codes to list; {FEW} by default, with --json all."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Count a cohort's subjects, events, modalities, codes and missing data."""
    from polyclinic.cohort import Cohort

    opened = Cohort.open(cohort)
    counted = opened.summary()
    if json:
        values = counted.to_dict()
        own = {"clock": opened.clock, "repeated_events": opened.repeated_events}
        print_json(values | own | {"per_code": values["per_code"][:codes]})
        return
    span = f"{counted.first:%Y-%m-%d} to {counted.last:%Y-%m-%d}" if counted.first and counted.last else "no dates"
    splits = ", ".join(f"{name} {n:,}" for name, n in counted.splits.items())
    clock = f" ({opened.clock} times)" if opened.clock else ""
    out.print(f"{counted.subjects:,} subjects, {counted.events:,} events, {counted.codes:,} codes, {span}{clock}")
    out.print(f"splits: {splits}")
    table = Table("modality", "subjects", "events", "lack it")
    for name, count in counted.modalities.items():
        if count.events:
            table.add_row(name, f"{count.subjects:,}", f"{count.events:,}", f"{counted.missingness[name]:.1%}")
    out.print(table)
    codes = FEW if codes is None else codes
    if codes:
        table = Table("code", "events", "subjects", "lack it")
        for row in counted.per_code.head(codes).iter_rows(named=True):
            table.add_row(row["code"], f"{row['events']:,}", f"{row['subjects']:,}", f"{row['missing']:.1%}")
        out.print(table)
    if opened.ignored_columns:
        out.print(f"columns of other tools, not read: {', '.join(opened.ignored_columns)}")
    if opened.repeated_events:
        out.print(f"identical rows, read as one event: {opened.repeated_events:,} beside the first of each")
    for reason, records in counted.rejects.items():
        out.print(f"rejected: {records:,} × {reason}")
