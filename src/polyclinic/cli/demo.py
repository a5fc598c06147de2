"""`polyclinic demo`: a synthetic cohort with known truth, and optionally training and evaluation on it."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import Device, Jobs, Json, Seed, output_folder, resources_of
from polyclinic.cli.tables import print_report, report_as_json

if TYPE_CHECKING:
    from polyclinic.compute.resources import Resources

TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay", "demo_survival")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("demo", epilog="Example: polyclinic demo --patients 200 --into runs/tutorial")(demo)


def demo(
    patients: Annotated[int, typer.Option(metavar="N", min=1, help="How many synthetic patients.")] = 800,
    seed: Seed = 0,
    into: Annotated[
        Path,
        typer.Option(
            "--into", "--out", metavar="FOLDER", help="Folder for sources, truth and cohort.", callback=output_folder
        ),
    ] = Path("runs/demo"),
    source_only: Annotated[bool, typer.Option("--source-only", help="Write the source files, and stop.")] = False,
    radiographs: Annotated[bool, typer.Option(help="Include radiographs.")] = True,
    run: Annotated[bool, typer.Option("--run", help="Also train, evaluate, and write the report.")] = False,
    jobs: Jobs = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write the source files of a synthetic hospital, and ingest them."""
    from polyclinic.demo import write_sources

    if source_only and run:
        raise typer.BadParameter(
            "leaves no cohort to train on: omit one of the two", param_hint="--source-only with --run"
        )
    if not run and (jobs is not None or device != "auto"):
        raise typer.BadParameter("choose how to train: give --run as well", param_hint="--jobs or --device")
    resources = resources_of(jobs, device) if run else None
    show, progress, cohort = (err if json else out).print, TerminalProgress(), into / "cohort"
    if cohort.exists() and not (into / "sources" / "demo.json").is_file():
        raise ValueError(f"{cohort} exists and is not of a demo: choose another folder with --into")
    written = write_sources(into, patients, seed, radiographs, progress)
    show(f"{written.patients:,} patients, {written.radiographs:,} radiographs → {written.sources}")
    made: dict[str, Any] = {"patients": written.patients, "pictures": written.radiographs, "sources": written.sources}
    if not source_only:
        from polyclinic.ingest import ingest

        shutil.rmtree(cohort, ignore_errors=True)  # of an earlier demo
        for step in written.steps:
            report = ingest(step.reader, step.path, cohort, mapping=step.mapping, progress=progress, seed=seed)
            rejected = f", {report.rejected:,} rejected" if report.rejects else ""
            show(f"{step.path.name}: {report.events:,} events{rejected}")
        show(f"→ {cohort}")
        made["cohort"] = cohort
        if resources is not None:
            made |= _run(cohort, into, seed, resources, json)
    if json:
        print_json(made)


def _run(cohort: Path, into: Path, seed: int, resources: "Resources", json: bool) -> dict[str, Any]:
    from polyclinic.cohort import Cohort
    from polyclinic.study import Study
    from polyclinic.training.train import train_and_measure

    bundle = into / "bundle"
    report = train_and_measure(
        Study(tasks=TASKS, folds=3, seed=seed),
        Cohort.open(cohort),
        bundle,
        progress=TerminalProgress(),
        resources=resources,
    )
    assert report is not None
    if not json:
        print_report(report, "held-out subjects")
        out.print(f"\n→ {bundle}; open {bundle / 'report.html'} in a browser")
    return {"bundle": bundle, "measured": report_as_json(report)}
