"""`polyclinic ingest`: a source's files → events of a cohort, and a report of rejects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import Json, output_folder
from polyclinic.files import OutputError, check_file

if TYPE_CHECKING:
    from polyclinic.ingest import IngestReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("ingest", epilog="Example: polyclinic ingest physionet2012 set-a.tar.gz --into cohorts/icu")(ingest)


def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="table, physionet2012, covid-cxr, indiana, ptbxl, dicom or wfdb.", show_default=False
        ),
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The source's file or folder.", show_default=False)],
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="COHORT",
            help="Folder of the cohort, created or extended.",
            show_default=False,
            callback=lambda into: into and output_folder(into),
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="table: YAML that describes its columns.")
    ] = None,
    outcomes: Annotated[Path | None, typer.Option(metavar="FILE", help="physionet2012: the outcomes file.")] = None,
    images: Annotated[Path | None, typer.Option(metavar="FOLDER", help="indiana: the folder of images.")] = None,
    zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Zone of times without an offset from UTC, such as Europe/Berlin."),
    ] = None,
    guess: Annotated[bool, typer.Option("--guess", help="table: write a mapping to edit, and stop.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --guess: the mapping to write, instead of beside the table."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Name of the source in the cohort; by default the end of PATH."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take away what this source contained before and no longer contains.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the source if anything is rejected.")] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Seed of the split by subject; by default the cohort's own, or 0 for a new one."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read SOURCE files at PATH into a cohort.

    Rejects are listed with file, line, reason and remedy in the cohort's metadata/rejects.parquet.

    Reading the same files again changes nothing; --replace also takes away what they no longer contain.

    Exit code 1: a strict ingest had rejects.
    """
    if guess:
        _refuse_with_guess(outcomes=outcomes, images=images, zone=zone, strict=strict or None, seed=seed)
        _refuse_with_guess(**{"as": name, "replace": replace or None})
        if to is not None and mapping is not None:
            raise typer.BadParameter("name the mapping to write once, with --to", param_hint="--mapping")
        _guess(source, path, to or mapping, into, json)
        return
    if to is not None:
        raise typer.BadParameter("names the mapping that --guess writes: add --guess, or omit it", param_hint="--to")
    if into is None:
        raise typer.BadParameter("give the folder of the cohort", param_hint="--into")
    reader_options = {"mapping": mapping, "outcomes": outcomes, "images": images, "zone": zone}
    report = _read(source, path, into, json, strict=strict, seed=seed, name=name, replace=replace, **reader_options)
    if json:
        print_json(report.to_dict())
    else:
        _print(report, into)


def _read(source: str, path: Path, into: Path, json: bool, **options: Any) -> "IngestReport":
    """Ingest the source; where --strict refuses it, print why, and exit with 1."""
    from polyclinic.ingest import RejectsError
    from polyclinic.ingest import ingest as read

    try:
        return read(source, path, into, progress=TerminalProgress(), **options)
    except RejectsError as refusal:
        err.print(f"refused: {refusal}")
        if json:
            print_json({"refused": str(refusal)})
        raise typer.Exit(1) from refusal


def _print(report: "IngestReport", into: Path) -> None:
    out.print(
        f"{report.events:,} events of {report.subjects:,} subjects in {report.seconds:.1f} s "
        f"({report.events_per_second:,.0f} events/s), {report.blobs:,} images and waveforms → {into}"
    )
    if report.removed:
        out.print(f"replaced {report.name}: {report.removed:,} events that it no longer contains are gone")
    for warning, count in report.warnings.items():
        out.print(f"warning: {count:,} × {warning}", style="yellow")
    if report.rejects:
        rejects = into / "metadata" / "rejects.parquet"
        out.print(f"{_rejected(report)}: see {rejects}, with file, line and remedy of each", style="bold red")
        table = Table("reason", "records", title="Rejected", title_justify="left")
        for reason, count in report.rejects.items():
            table.add_row(reason, f"{count:,}")
        out.print(table)


def _rejected(report: "IngestReport") -> str:
    """Describe how much was rejected; for tables, with the share of rows."""
    if not report.rejected_rows:
        return f"{report.rejected:,} records were rejected"
    share = report.rejected_rows / report.rows
    percent = "< 1" if share < 0.01 else "> 99" if 0.99 < share < 1 else f"{100 * share:.0f}"
    return f"{report.rejected_rows:,} of {report.rows:,} rows ({percent} %) were rejected, wholly or in part"


def _refuse_with_guess(**options: object) -> None:
    ignored = [f"--{name}" for name, value in options.items() if value is not None]
    if ignored:
        raise typer.BadParameter(f"ingests nothing: omit {' and '.join(ignored)}", param_hint="--guess")


def _guess(source: str, path: Path, to: Path | None, into: Path | None, json: bool) -> None:
    if source != "table":
        raise typer.BadParameter("guesses the mapping of a table only", param_hint="--guess")
    from polyclinic.ingest.pipeline import refuse_meds
    from polyclinic.ingest.table.guess import guess_mapping
    from polyclinic.ingest.table.questions import count_questions

    refuse_meds(path)
    target = to or (path / "mapping.yaml" if path.is_dir() else path.with_suffix(".mapping.yaml"))
    if target.exists():
        raise ValueError(f"{target} exists: name another file with --to, or remove it")
    try:
        check_file(target)
    except OutputError as error:
        raise ValueError(f"{error}; --to names the file to write") from None
    mapping = guess_mapping(path, TerminalProgress())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(mapping, encoding="utf-8")
    if json:
        print_json({"mapping": str(target)})
        return
    err.print(f"wrote {target}: check and edit it, then run")
    questions = count_questions(mapping)
    if questions:
        err.print(
            f'{questions} of its lines ask for what could not be known: replace each "?" first', style="bold yellow"
        )
    out.print(f"polyclinic ingest table {path} --mapping {target} --into {into or 'COHORT'}")
