"""Arguments and options shared by several verbs."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.console import err
from polyclinic.compute.devices import DEVICES
from polyclinic.compute.resources import LOCAL, PLACES, RAY
from polyclinic.files import check_file, check_folder
from polyclinic.modalities import MODALITIES

if TYPE_CHECKING:
    from polyclinic.compute.resources import Resources
    from polyclinic.evaluation.report.about import About


def output_file(path: Path | None) -> Path | None:
    """Check, before any work, that a file can be written."""
    if path is not None:
        check_file(path)
    return path


def output_page(path: Path | None) -> Path | None:
    """Check, before any work, that an HTML page can be written, and that none but a page is replaced."""
    if path is not None:
        check_file(path, (b"<!doctype html", b"<html"))
    return path


def output_card(path: Path | None) -> Path | None:
    """Check, before any work, that a card can be written as JSON, and that none but JSON is replaced."""
    if path is not None:
        check_file(path, (b"{",))
    return path


def output_folder(path: Path) -> Path:
    """Check, before any work, that a folder can be written."""
    check_folder(path)
    return path


CohortPath = Annotated[Path, typer.Argument(metavar="COHORT", help="Folder of a cohort.", show_default=False)]
BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of a trained bundle.", show_default=False)]
Subject = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT", help="A patient: the source's own id, or the number in the cohort.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="The same seed gives the same result.")]
Logger = Annotated[
    str,
    typer.Option(
        metavar="csv|mlflow|tensorboard",
        help="Logger of the network's losses, in the bundle's `logs/`; mlflow and tensorboard are extras.",
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="Name of a task (see `polyclinic tasks`) or path of its YAML; may be given several times.",
        show_default=False,
    ),
]
TasksOfBundle = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="TASK", help="Only this task of the bundle; may be given several times."),
]
Inputs = Annotated[
    str | None,
    typer.Option(metavar="LIST", help=f"Inputs among {', '.join(MODALITIES)}; by default those the cohort has."),
]


AboutFile = Annotated[
    Path | None,
    typer.Option(
        "--about",
        metavar="FILE",
        help="YAML of what only people know about the model, for its card: developer, intended use, setting.",
    ),
]


def about_file(path: Path | None) -> "About | None":
    """Read `--about`."""
    from polyclinic.evaluation.report.about import About

    return None if path is None else About.load(path)


def patient(subject_id: int, source_id: str) -> str:
    """Name a patient by the source's own id, with the number in the cohort where it is another."""
    return source_id if source_id == str(subject_id) else f"{source_id} ({subject_id})"


def comma_separated(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def time_of(text: str | None) -> datetime | None:
    """Parse `--at`."""
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as problem:
        raise typer.BadParameter("not a time: write it as 2024-03-05T08:15", param_hint="--at") from problem


Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", metavar="N", min=1, help="Processes side by side, by default one per usable core; same results."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="|".join(DEVICES),
        help="Where networks compute; auto: an NVIDIA GPU if there is one, otherwise the CPU.",
    ),
]
On = Annotated[
    str,
    typer.Option(
        metavar="|".join(PLACES),
        help="Where models are fitted: this machine, or the nodes of a Ray cluster (an extra); same results.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|auto",
        help="With --on ray: the cluster, auto for that of this machine; by default RAY_ADDRESS, or one started here.",
    ),
]
Profile = Annotated[bool, typer.Option("--profile", help="Print the seconds of each stage at the end.")]


def resources_of(
    jobs: int | None, device: str = "auto", on: str = LOCAL, ray_address: str | None = None
) -> "Resources":
    """Return the resources that the options allow; more jobs than cores get a caution."""
    from polyclinic.compute.devices import DeviceError, chosen_device
    from polyclinic.compute.resources import Resources, usable_cores

    _check_place(on, ray_address)
    cores = usable_cores()
    try:
        resources = Resources(jobs=jobs or cores, device=chosen_device(device), on=on, ray_address=ray_address)
    except DeviceError as problem:
        raise typer.BadParameter(str(problem), param_hint="--device") from problem
    if resources.jobs > cores:
        err.print(f"caution: --jobs {jobs} is more than the usable cores ({cores}): it takes memory, and saves no time")
    return resources


def _check_place(on: str, ray_address: str | None) -> None:
    """Refuse an unknown place, an address that is not asked for, and Ray where it is not installed."""
    from polyclinic.compute.ray_cluster import ClusterError, check_installed

    if on not in PLACES:
        raise typer.BadParameter(f"unknown place {on!r}: choose from {', '.join(PLACES)}", param_hint="--on")
    if ray_address is not None and on != RAY:
        raise typer.BadParameter("is the address of a Ray cluster: give --on ray as well", param_hint="--ray-address")
    if on == RAY:
        try:
            check_installed()
        except ClusterError as problem:
            raise typer.BadParameter(str(problem), param_hint="--on") from problem
