"""`polyclinic train`: cohort + task → bundle, evaluated on held-out subjects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import (
    AboutFile,
    CohortPath,
    Device,
    Inputs,
    Jobs,
    Json,
    Logger,
    On,
    Profile,
    RayAddress,
    Tasks,
    about_file,
    comma_separated,
    output_folder,
    resources_of,
)
from polyclinic.cli.tables import print_report, print_stages, report_as_json

if TYPE_CHECKING:
    from polyclinic.cohort import Cohort
    from polyclinic.compute.stages import Stages
    from polyclinic.study import Study
    from polyclinic.training.evaluation.evaluate import Report


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("train", epilog="Example: polyclinic train runs/demo/cohort --task demo_deterioration --out runs/mine")(
        train
    )


def train(
    cohort: CohortPath,
    task: Tasks = None,
    inputs: Inputs = None,
    out_folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the bundle.", callback=output_folder)
    ] = Path("runs/bundle"),
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A study's YAML; --task, --inputs, --everyone and --seed override it."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Cross-validate by subject with N folds, instead of one split."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Repeat the cross-validation N times with other folds; 1 by default."),
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="Train on all subjects; evaluate on another cohort, or with --folds.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The same seed gives the same result; 0 by default.")
    ] = None,
    about: AboutFile = None,
    logger: Logger = "csv",
    jobs: Jobs = None,
    device: Device = "auto",
    on: On = "local",
    ray_address: RayAddress = None,
    profile: Profile = False,
    json: Json = False,
) -> None:
    """Train the unified model and the classical models on one or more tasks.

    An interrupted run resumes when the same command is given again.
    """
    from polyclinic.cohort import Cohort
    from polyclinic.compute.ray_cluster import connected
    from polyclinic.compute.resources import RAY

    if repeats and not folds:
        raise typer.BadParameter("repeats a cross-validation: give --folds as well", param_hint="--repeats")
    study = chosen_study(config, task, inputs, seed, everyone)
    if study.network is None and logger != "csv":
        raise typer.BadParameter("logs the losses of a network; this study has no network", param_hint="--logger")
    stated = about_file(about)
    opened, resources = Cohort.open(cohort), resources_of(jobs, device, on, ray_address)
    if on == RAY and logger == "mlflow":
        raise typer.BadParameter("mlflow logs from this machine only: choose csv or tensorboard", param_hint="--logger")
    options = {"logger": logger, "progress": TerminalProgress(), "about": stated, "resources": resources}
    with connected(resources):
        report, title = _train_and_measure(study, opened, out_folder, folds, repeats or 1, **options)
    _print(report, title, out_folder, resources.stages, json)
    if profile:
        print_stages(resources.stages)


def _train_and_measure(
    study: "Study", cohort: "Cohort", bundle: Path, folds: int | None, repeats: int, **options: Any
) -> tuple["Report | None", str]:
    """Write the bundle; return its report, None without held-out subjects, and how it was measured."""
    from polyclinic.training.cross_validation import cross_validate
    from polyclinic.training.train import train_and_measure  # slow: after the checks

    if not folds:
        return train_and_measure(study, cohort, bundle, **options), "held-out subjects"
    title = f"{folds}-fold cross-validation by subject" + (f", {repeats} times" if repeats > 1 else "")
    return cross_validate(study, cohort, bundle, folds=folds, repeats=repeats, **options), title


def _print(report: "Report | None", title: str, bundle: Path, stages: "Stages", json: bool) -> None:
    learnt_from = _learnt_from(bundle)
    if json:
        measured = report_as_json(report) if report else None
        spent = stages.to_dict()
        print_json({"bundle": bundle, "learnt_from": learnt_from, "measured": measured, "spent": spent})
    elif report:
        print_report(report, title)
        out.print(f"→ {bundle} (open {bundle / 'report.html'})")
    else:
        _print_unmeasured(bundle, learnt_from)


def _learnt_from(bundle: Path) -> dict[str, Any]:
    """Return the training counts: subjects, samples, labels per task, samples per modality."""
    from polyclinic.models.bundle.bundle import Bundle

    origin = Bundle.load(bundle).origin
    return {
        "splits": origin["development"],
        "subjects": origin["development_subjects"],
        "samples": origin["development_samples"],
        "answered": origin["answered"],
        "present": origin["present"],
    }


def _print_unmeasured(bundle: Path, learnt_from: dict[str, Any]) -> None:
    splits = ", ".join(learnt_from["splits"])
    out.print(f"trained on {learnt_from['samples']:,} samples of {learnt_from['subjects']:,} subjects ({splits})")
    for key in ("answered", "present"):
        out.print(f"{key}: " + ", ".join(f"{name} {number:,}" for name, number in learnt_from[key].items()))
    out.print(f"→ {bundle}")
    err.print(f"no subjects are held out: polyclinic evaluate {bundle} OTHER_COHORT --split all")


def chosen_study(
    config: Path | None, tasks: list[str] | None, inputs: str | None, seed: int | None, everyone: bool = False
) -> "Study":
    """Return the study of a YAML file, with the options of the command line overriding it."""
    from polyclinic.cohort import SPLITS
    from polyclinic.study import Study

    base = dict(Study.load(config)) if config else {}
    options = {
        "tasks": tuple(tasks) if tasks else None,
        "inputs": None if inputs is None else comma_separated(inputs),
        "seed": seed,
        "development": SPLITS if everyone else None,
    }
    chosen = base | {name: value for name, value in options.items() if value is not None}
    if "tasks" not in chosen:
        raise typer.BadParameter("name at least one task (see `polyclinic tasks`)", param_hint="--task")
    return Study.model_validate(chosen)
