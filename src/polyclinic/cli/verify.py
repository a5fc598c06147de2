"""`polyclinic verify`: whether this installation reproduces the validated outputs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.console import err, out, print_json
from polyclinic.cli.options import Json

if TYPE_CHECKING:
    from polyclinic.verification.verify import Check, Verification


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify", epilog="Example: polyclinic verify runs/demo/bundle")(verify)


def verify(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE", help="Folder of a trained bundle; omitted: only the shipped encoders."),
    ] = None,
    json: Json = False,
) -> None:
    """Recompute golden outputs and compare them with the validated ones. Exit code 1: they differ."""
    from polyclinic.verification.verify import verify as verified

    found = verified(bundle)
    if json:
        print_json(found.to_dict())
    else:
        _print(found)
    for line in found.lacks:
        err.print(line)
    if found.differing:
        _print_differences(found)
    if not found.passed:
        raise typer.Exit(1)


def _print(found: "Verification") -> None:
    from rich.table import Column, Table

    table = Table(Column("item", no_wrap=True), "output", "expected", "computed", "difference ≤ allowed", "verdict")
    for check in found.checks:
        table.add_row(check.what, check.which, *_numbers(check), "same" if check.same else "DIFFERS")
    out.print(table)
    if found.passed:
        out.print("This installation reproduces the validated outputs.", style="bold")


def _numbers(check: "Check") -> tuple[str, str, str]:
    values = (check.expected, check.computed)
    expected, computed = (f"{value:.6g}" if isinstance(value, float) else value for value in values)
    if check.difference is None or check.allowed is None:
        return expected, computed, ""
    return expected, computed, f"{check.difference:.1e} {'≤' if check.same else '>'} {check.allowed:.1e}"


def _print_differences(found: "Verification") -> None:
    """Print failed checks and changed versions on standard error."""
    err.print(f"differs: {'; '.join(check.what for check in found.differing)}", style="red")
    if found.versions:
        changes = ", ".join(f"{name} {here} (was {then})" for name, (then, here) in found.versions.items())
        err.print(f"changed since the bundle was made: {changes}")
    elif found.versions is not None:
        err.print("libraries and kind of machine are as when the bundle was made")
    err.print("Do not use it for patients: install the versions of constraints.txt, or copy the bundle again.")
