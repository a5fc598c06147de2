"""Measurements as tables for people, and as one JSON value for machines."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

from polyclinic.cli.console import out

if TYPE_CHECKING:
    from polyclinic.evaluation import Comparison
    from polyclinic.training.evaluation.evaluate import Measured, Report

FIGURES = 5
"""Columns of a table."""


def print_report(report: "Report", title: str, subsets: bool = False) -> None:
    """Print one table per task, the unified model and each other one; with `subsets` also each subset of inputs."""
    for name, measured in report.tasks.items():
        evaluation = measured.evaluation
        cases = f", {evaluation.cases} cases" if evaluation.cases is not None else ""
        out.print()
        out.print(f"{name}: {title}, n = {evaluation.n}{cases}; brackets hold 95 % intervals", style="bold")
        out.print(comparison_table(measured.comparison, "model"))
        if subsets and measured.subsets is not None:
            out.print(comparison_table(measured.subsets, "given only"))


def comparison_table(comparison: "Comparison", first: str) -> Table:
    """Give a row per model, a column per headline figure."""
    table = Table(first, *(figure.replace("_", " ") for figure in comparison.headline[:FIGURES]))
    for contender in comparison.contenders:
        table.add_row(contender.name, *(str(contender.figures[figure]) for figure in comparison.headline[:FIGURES]))
    return table


def report_as_json(report: "Report") -> dict[str, Any]:
    """Give everything measured, by task."""
    return {name: measured_as_json(measured) for name, measured in report.tasks.items()}


def measured_as_json(measured: "Measured") -> dict[str, Any]:
    """Give the evaluation, the comparison of models, and the subsets of inputs."""
    return {
        "evaluation": measured.evaluation.to_dict(),
        "comparison": measured.comparison.to_dict(),
        "subsets": None if measured.subsets is None else measured.subsets.to_dict(),
    }
