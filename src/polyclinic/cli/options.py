"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

CohortPath = Annotated[Path, typer.Argument(metavar="COHORT", help="Folder of a cohort.", show_default=False)]
BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of a trained bundle.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value for machines.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
Logger = Annotated[
    str, typer.Option(metavar="csv|mlflow|tensorboard", help="Where losses are logged; the latter two are extras.")
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task", help="Built-in task or path of a task's YAML; may be given several times.", show_default=False
    ),
]
Inputs = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Modalities to learn from, separated by commas; all four by default."),
]


def comma_separated(text: str) -> tuple[str, ...]:
    """Split `a,b` into its parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
