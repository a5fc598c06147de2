"""`polyclinic verify`: whether this installation computes what was validated."""

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
        typer.Argument(metavar="BUNDLE", help="Folder of a trained bundle; none: the shipped encoders alone."),
    ] = None,
    json: Json = False,
) -> None:
    """Compute golden outputs anew, and hold them against those that were validated. Exit code 1: they differ."""
    from polyclinic.verification.verify import verify as verified

    found = verified(bundle)
    if json:
        print_json(found.to_dict())
    else:
        _print(found)
    for line in found.lacks:
        err.print(line)
    if found.differing:
        _say_what_differs(found)
    if not found.passed:
        raise typer.Exit(1)


def _print(found: "Verification") -> None:
    from rich.table import Column, Table

    table = Table(Column("what", no_wrap=True), "of it", "expected", "computed", "difference ≤ allowed", "verdict")
    for check in found.checks:
        table.add_row(check.what, check.which, *_numbers(check), "same" if check.same else "DIFFERS")
    out.print(table)
    if found.passed:
        out.print("This installation computes what was validated.", style="bold")


def _numbers(check: "Check") -> tuple[str, str, str]:
    expected, computed = (f"{one:.6g}" if isinstance(one, float) else one for one in (check.expected, check.computed))
    if check.difference is None or check.allowed is None:
        return expected, computed, ""
    return expected, computed, f"{check.difference:.1e} {'≤' if check.same else '>'} {check.allowed:.1e}"


def _say_what_differs(found: "Verification") -> None:
    """Say it on standard error, with what else is another than it was."""
    err.print(f"differs: {'; '.join(check.what for check in found.differing)}", style="red")
    if found.versions:
        told = ", ".join(f"{name} {here} (was {then})" for name, (then, here) in found.versions.items())
        err.print(f"other than when the bundle was made: {told}")
    elif found.versions is not None:
        err.print("libraries and kind of machine are those with which the bundle was made")
    err.print("Do not use it for patients: install the versions of constraints.txt, or copy the bundle anew.")
