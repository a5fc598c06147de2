"""`polyclinic demo`: a synthetic cohort with known truth, and the whole main job on it."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from polyclinic.cli.console import TerminalProgress, out
from polyclinic.cli.options import Seed

TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay", "demo_survival")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("demo", epilog="Example: polyclinic demo --patients 200 --into runs/tutorial")(demo)


def demo(
    patients: Annotated[int, typer.Option(min=1, help="How many synthetic patients.")] = 800,
    seed: Seed = 0,
    into: Annotated[Path, typer.Option("--into", "--out", help="Folder for sources, truth and cohort.")] = Path(
        "runs/demo"
    ),
    source_only: Annotated[bool, typer.Option("--source-only", help="Write the source files, and stop.")] = False,
    radiographs: Annotated[bool, typer.Option(help="Draw radiographs, too.")] = True,
    run: Annotated[bool, typer.Option("--run", help="Then train, measure, and write the report.")] = False,
) -> None:
    """Write a synthetic hospital's files, and ingest them like any other."""
    from polyclinic.demo import write_sources

    progress = TerminalProgress()
    written = write_sources(into, patients, seed, radiographs, progress)
    out.print(f"{written.patients:,} patients, {written.pictures:,} radiographs → {written.sources}")
    if source_only:
        return
    from polyclinic.ingest import ingest

    cohort = into / "cohort"
    if cohort.exists():  # of an earlier demo, perhaps of other patients
        shutil.rmtree(cohort)
    for step in written.steps:
        report = ingest(step.reader, step.path, cohort, mapping=step.mapping, progress=progress, seed=seed)
        rejected = f", {report.rejected:,} rejected" if report.rejected else ""
        out.print(f"{step.path.name}: {report.events:,} events{rejected}")
    out.print(f"→ {cohort}")
    if run:
        _run(cohort, into, seed)


def _run(cohort: Path, into: Path, seed: int) -> None:
    from polyclinic.cli.tables import print_report
    from polyclinic.cohort import Cohort
    from polyclinic.training.run import train_and_measure
    from polyclinic.training.study import Study

    study = Study(tasks=TASKS, folds=3, seed=seed)
    report = train_and_measure(study, Cohort.open(cohort), into / "bundle", progress=TerminalProgress())
    assert report is not None
    print_report(report, "held-out subjects")
    out.print()
    out.print(f"→ {into / 'bundle'}; open {into / 'bundle' / 'report.html'} in a browser")
