"""`polyclinic predict`: a bundle's predictions for every subject of a cohort, in the MEDS schema."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import BundlePath, CohortPath, Device, Jobs, Json, TasksOfBundle, resources_of
from polyclinic.cli.tables import print_cautions, print_ignored
from polyclinic.files import OutputError, check_file

if TYPE_CHECKING:
    from polyclinic.cohort import Cohort


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "predict", epilog="Example: polyclinic predict runs/demo/bundle other-cohort --out predictions.parquet"
    )(predict)


def output_predictions(path: Path) -> Path:
    """Check, before any work, that predictions can be written, and that nothing but predictions is replaced."""
    check_file(path, (b"par1",))
    if path.exists() and path.stat().st_size:
        import pyarrow.parquet as pq

        if "prediction_time" not in pq.read_schema(path).names:
            raise OutputError(f"{path} exists and holds something other than predictions: name another file")
    return path


def predict(
    bundle: BundlePath,
    cohort: CohortPath,
    out_file: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Parquet file of the predictions.", callback=output_predictions),
    ],
    split: Annotated[
        str | None, typer.Option(metavar="SPLIT", help="Only the subjects of this split; all by default.")
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SUBJECT", help="Only this patient: the source's own id, or the number; may be given several times."
        ),
    ] = None,
    task: TasksOfBundle = None,
    jobs: Jobs = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict for every subject to whom the tasks apply; outcomes are neither needed nor read."""
    if subject and split is not None:
        raise typer.BadParameter("name patients or a split, not both", param_hint="--subject with --split")
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle

    loaded, opened = Bundle.load(bundle), Cohort.open(cohort)
    loaded.features.use(resources_of(jobs, device))
    subjects = _subjects(opened, split, subject)
    predictions = loaded.predict(opened, subjects=subjects, tasks=task, progress=TerminalProgress())
    predictions.write(out_file, opened.subjects)
    rows, people = predictions.frame.height, predictions.frame["subject_id"].n_unique()
    if predictions.without_input:
        err.print(
            f"caution: {predictions.without_input:,} of {predictions.samples:,} samples have no input; "
            "the training prior is predicted for them, and their `inputs` are none"
        )
    print_cautions(predictions.shift)
    if json:
        print_json(
            {
                "predictions": rows,
                "subjects": people,
                "asked": predictions.samples,
                "without_input": predictions.without_input,
                "file": str(out_file),
                **predictions.shift.to_dict(),
                "unusable_blobs": predictions.unusable,
            }
        )
        return
    out.print(f"{rows:,} predictions for {people:,} subjects → {out_file}")
    print_ignored(predictions.shift)


def _subjects(cohort: "Cohort", split: str | None, named: list[str] | None) -> list[int] | None:
    """Return the subjects to predict for; None: all."""
    if named:
        return [cohort.find_subject(text) for text in named]
    return None if split in (None, "all") else cohort.subjects_in(split)
