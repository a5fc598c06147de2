"""`polyclinic train`: cohort + task → bundle, measured on the subjects it has not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import CohortPath, Inputs, Json, Logger, Tasks, comma_separated
from polyclinic.cli.tables import print_report, report_as_json

if TYPE_CHECKING:
    from polyclinic.training.evaluate import Report
    from polyclinic.training.study import Study


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("train", epilog="Example: polyclinic train runs/demo/cohort --task demo_deterioration --out runs/mine")(
        train
    )


def train(
    cohort: CohortPath,
    task: Tasks = None,
    inputs: Inputs = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the bundle.")] = Path("runs/bundle"),
    config: Annotated[
        Path | None, typer.Option(help="A study's YAML; --task, --inputs and --seed overrule it.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Cross-validate by subject with this many folds, instead of one split.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of the cross-validation, each with other folds.")] = 1,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="Learn from all subjects; measure on another cohort, or with --folds.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same result.")] = None,
    logger: Logger = "csv",
    json: Json = False,
) -> None:
    """Train the unified model and the classical models on one or more tasks.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from polyclinic.cohort import Cohort

    study = chosen_study(config, task, inputs, seed, everyone)
    opened, progress = Cohort.open(cohort), TerminalProgress()
    from polyclinic.training.run import cross_validate, train_and_measure  # slow, so not before a refusal

    report: "Report | None"
    if folds:
        report = cross_validate(
            study, opened, out_folder, folds=folds, repeats=repeats, logger=logger, progress=progress
        )
        title = f"{folds}-fold cross-validation by subject" + (f", {repeats} times" if repeats > 1 else "")
    else:
        report = train_and_measure(study, opened, out_folder, logger=logger, progress=progress)
        title = "held-out subjects"
    if report is None:
        err.print(f"learnt from every subject, so nobody is left to measure on: {out_folder}")
    if json:
        print_json(report_as_json(report) if report else {})
    elif report:
        print_report(report, title)
        out.print(f"→ {out_folder} (open {out_folder / 'report.html'})")


def chosen_study(
    config: Path | None, tasks: list[str] | None, inputs: str | None, seed: int | None, everyone: bool = False
) -> "Study":
    """Build the study from its YAML and what the command line overrules."""
    from polyclinic.cohort import SPLITS
    from polyclinic.training.study import Study

    base = dict(Study.load(config)) if config else {}
    said = {
        "tasks": tuple(tasks) if tasks else None,
        "inputs": comma_separated(inputs) if inputs else None,
        "seed": seed,
        "development": SPLITS if everyone else None,
    }
    chosen = base | {name: value for name, value in said.items() if value is not None}
    if "tasks" not in chosen:
        raise typer.BadParameter("name at least one task (see `polyclinic tasks`)", param_hint="--task")
    return Study.model_validate(chosen)
