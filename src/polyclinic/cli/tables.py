"""Evaluation results as tables and as JSON."""

from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from polyclinic.cli.console import err, out

if TYPE_CHECKING:
    from polyclinic.compute.stages import Stages
    from polyclinic.evaluation import Comparison
    from polyclinic.models.bundle.shift import Shift
    from polyclinic.training.evaluation.evaluate import Measured, Report

FIGURES = 5
"""Metrics per table."""


def print_report(report: "Report", title: str, subsets: bool = False) -> None:
    """Print one table of models per task; with `subsets` also one of subsets of inputs."""
    for name, measured in report.tasks.items():
        evaluation = measured.evaluation
        cases = f", {evaluation.cases} cases" if evaluation.cases is not None else ""
        out.print()
        out.print(f"{name}: {title}, n = {evaluation.n}{cases}; brackets hold 95 % intervals", style="bold")
        out.print(comparison_table(measured.comparison, "model"))
        if subsets and measured.subsets is not None:
            out.print(comparison_table(measured.subsets, "given only"))


def print_cautions(shift: "Shift") -> None:
    """Print how the samples differ from those of development, on standard error."""
    for caution in shift.cautions:
        err.print(f"caution: {caution}")


def print_ignored(shift: "Shift") -> None:
    """Print the codes that training did not have, with their number of events."""
    for code, number in shift.ignored.items():
        out.print(f"not known from training: {number:,} × {code}")


def print_stages(stages: "Stages") -> None:
    """Print a table of the seconds of each stage, on standard error; parts are indented, and included in the whole."""
    table = Table("stage", Column("wall, s", justify="right"), Column("processor, s", justify="right"))
    for row in stages.rows():
        table.add_row("  " * row.depth + row.name, f"{row.spent.wall_s:,.1f}", f"{row.spent.processor_s:,.1f}")
    err.print(table)


def comparison_table(comparison: "Comparison", first: str) -> Table:
    """Return a table with a row per model and a column per headline metric."""
    table = Table(first, *(figure.replace("_", " ") for figure in comparison.headline[:FIGURES]))
    for contender in comparison.contenders:
        table.add_row(contender.name, *(str(contender.figures[figure]) for figure in comparison.headline[:FIGURES]))
    return table


def report_as_json(report: "Report") -> dict[str, Any]:
    """Return all results by task, and how the inputs differ from those of development."""
    inputs = report.shift.to_dict()
    return {name: measured_as_json(measured) | {"inputs": inputs} for name, measured in report.tasks.items()}


def measured_as_json(measured: "Measured") -> dict[str, Any]:
    """Return the evaluation, the comparison of models and that of input subsets, and the cautions."""
    return {
        "evaluation": measured.evaluation.to_dict(),
        "comparison": measured.comparison.to_dict(),
        "subsets": None if measured.subsets is None else measured.subsets.to_dict(),
        "cautions": list(measured.card.caveats),
    }
