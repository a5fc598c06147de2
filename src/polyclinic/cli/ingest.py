"""`polyclinic ingest`: a source's files → events of a cohort, and what was rejected."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from polyclinic.cli.console import TerminalProgress, err, out, print_json
from polyclinic.cli.options import Json

if TYPE_CHECKING:
    from polyclinic.ingest import IngestReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("ingest", epilog="Example: polyclinic ingest physionet2012 set-a.tar.gz --into cohorts/icu")(ingest)


def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="table, physionet2012, covid-cxr, indiana, dicom or wfdb.", show_default=False
        ),
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The source's file or folder.", show_default=False)],
    into: Annotated[
        Path | None,
        typer.Option(metavar="COHORT", help="Folder of the cohort, made or added to.", show_default=False),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="table: YAML that says what its columns are.")
    ] = None,
    outcomes: Annotated[Path | None, typer.Option(metavar="FILE", help="physionet2012: the outcomes file.")] = None,
    images: Annotated[Path | None, typer.Option(metavar="FOLDER", help="indiana: the folder of pictures.")] = None,
    guess: Annotated[bool, typer.Option("--guess", help="table: write a mapping for you to edit, and stop.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the source if anything in it is rejected.")] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Seed of the split by subject; by default the cohort's own, or 0 for a new one."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read SOURCE files at PATH into a cohort.

    What cannot be used is listed with file, line, reason and remedy in the cohort's metadata/rejects.parquet.

    Reading the same files again changes nothing. A strict ingest that had rejects ends with 1.
    """
    if guess:
        _refuse_beside_guess(outcomes=outcomes, images=images, strict=strict or None, seed=seed)
        _guess(source, path, mapping, into, json)
        return
    if into is None:
        raise typer.BadParameter("say where the cohort is or shall be", param_hint="--into")
    from polyclinic.ingest import RejectsError
    from polyclinic.ingest import ingest as read

    try:
        report = read(
            source,
            path,
            into,
            mapping=mapping,
            strict=strict,
            outcomes=outcomes,
            images=images,
            seed=seed,
            progress=TerminalProgress(),
        )
    except RejectsError as refusal:
        err.print(f"refused: {refusal}")
        if json:
            print_json({"refused": str(refusal)})
        raise typer.Exit(1) from refusal
    if json:
        print_json(report.to_dict())
    else:
        _print(report, into)


def _print(report: "IngestReport", into: Path) -> None:
    out.print(
        f"{report.events:,} events of {report.subjects:,} subjects in {report.seconds:.1f} s "
        f"({report.events_per_second:,.0f} events/s), {report.blobs:,} pictures and waveforms → {into}"
    )
    if report.rejects:
        rejects = into / "metadata" / "rejects.parquet"
        out.print(f"{_rejected(report)}: see {rejects}, with file, line and remedy of each", style="bold red")
        table = Table("rejected because", "records", title="Rejected", title_justify="left")
        for reason, count in report.rejects.items():
            table.add_row(reason, f"{count:,}")
        out.print(table)


def _rejected(report: "IngestReport") -> str:
    """Say how much was rejected; of tables, what share of the rows."""
    if not report.rejected_rows:
        return f"{report.rejected:,} records were rejected"
    share = report.rejected_rows / report.rows
    percent = "< 1" if share < 0.01 else "> 99" if 0.99 < share < 1 else f"{100 * share:.0f}"
    return f"{report.rejected_rows:,} of {report.rows:,} rows ({percent} %) were rejected, whole or in part"


def _refuse_beside_guess(**said: object) -> None:
    ignored = [f"--{name}" for name, value in said.items() if value is not None]
    if ignored:
        raise typer.BadParameter(f"reads nothing in: leave out {' and '.join(ignored)}", param_hint="--guess")


def _guess(source: str, path: Path, mapping: Path | None, into: Path | None, json: bool) -> None:
    if source != "table":
        raise typer.BadParameter("only a table's mapping can be guessed", param_hint="--guess")
    from polyclinic.ingest.table.reader import guess_mapping

    target = mapping or (path / "mapping.yaml" if path.is_dir() else path.with_suffix(".mapping.yaml"))
    if target.exists():
        raise ValueError(f"{target} exists: name another file with --mapping, or remove it")
    target.write_text(guess_mapping(path), encoding="utf-8")
    if json:
        print_json({"mapping": str(target)})
        return
    err.print(f"wrote {target}: read it, mend it, then run")
    out.print(f"polyclinic ingest table {path} --mapping {target} --into {into or 'COHORT'}")
