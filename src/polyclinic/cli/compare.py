"""`polyclinic compare-classical`: the classical models only, in minutes, as a baseline for networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.console import TerminalProgress, out, print_json
from polyclinic.cli.options import CohortPath, Inputs, Jobs, Json, Seed, Tasks, output_folder, resources_of
from polyclinic.cli.tables import print_report, report_as_json
from polyclinic.cli.train import chosen_study

if TYPE_CHECKING:
    from polyclinic.models.bundle.bundle import Bundle

TREE = "decision_tree"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "compare-classical", epilog="Example: polyclinic compare-classical runs/demo/cohort --task demo_deterioration"
    )(compare_classical)


def compare_classical(
    cohort: CohortPath,
    task: Tasks = None,
    inputs: Inputs = None,
    rules: Annotated[bool, typer.Option("--rules", help="Print the decision tree's rules.")] = False,
    out_folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the bundle.", callback=output_folder)
    ] = Path("runs/classical"),
    seed: Seed = 0,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Fit logistic regression, decision tree, random forest and boosting on the same features and splits."""
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.study import Study
    from polyclinic.training.train import train_and_measure

    study = Study.model_validate(dict(chosen_study(None, task, inputs, seed)) | {"network": None})
    report = train_and_measure(
        study, Cohort.open(cohort), out_folder, progress=TerminalProgress(), resources=resources_of(jobs)
    )
    assert report is not None
    decisions = tree_rules(Bundle.load(out_folder)) if rules else {}
    if json:
        measured = report_as_json(report)
        print_json({name: task | ({"rules": decisions[name]} if rules else {}) for name, task in measured.items()})
        return
    print_report(report, "held-out subjects")
    for name, decided in decisions.items():
        out.print(f"\n{name}: the decision tree's rules", style="bold")
        out.print(decided or "none: no decision tree was fitted to this task")


def tree_rules(bundle: "Bundle") -> dict[str, str | None]:
    """Return the rules of each task's decision tree, or None if none was fitted."""
    members = {name: ensemble.members for name, ensemble in bundle.ensemble.tasks.items()}
    return {name: fitted[TREE].model.rules() if TREE in fitted else None for name, fitted in members.items()}
