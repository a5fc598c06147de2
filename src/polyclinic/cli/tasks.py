"""`polyclinic tasks`: the built-in tasks, and the labels of a task in a cohort."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from polyclinic.cli.console import err, out, print_json
from polyclinic.cli.options import Json

if TYPE_CHECKING:
    from polyclinic.cohort import Cohort
    from polyclinic.tasks import Answers, Labels, ReadValue, Task

MOST_VALUES = 20
"""Values of the target that are listed of each answer."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("tasks", epilog="Example: polyclinic tasks demo_deterioration --cohort runs/demo/cohort")(tasks)


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(metavar="TASK", help="A built-in task or the path of a task's YAML.", show_default=False),
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option(metavar="COHORT", help="Label this cohort's subjects, and save the labels.")
    ] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the task as YAML, as a template.")] = False,
    json: Json = False,
) -> None:
    """List the built-in tasks; with TASK, show one; with TASK and --cohort, label the cohort's subjects."""
    if name is None and (cohort is not None or yaml):
        raise typer.BadParameter("needs a TASK", param_hint="--cohort" if cohort else "--yaml")
    if yaml and (cohort is not None or json):
        raise typer.BadParameter("prints only the task", param_hint="--yaml with --cohort or --json")
    from polyclinic.tasks import BUILT_IN, Task

    if name is None:
        _list(dict(BUILT_IN), json)
        return
    task = Task.load(name)
    if cohort is not None:
        _label(task, cohort, json)
    elif json:
        print_json(task.model_dump(mode="json"))
    else:
        out.print(task.to_yaml() if yaml else task.describe())


def _list(built_in: dict[str, "Task"], json: bool) -> None:
    if json:
        print_json({name: task.model_dump(mode="json") for name, task in built_in.items()})
        return
    table = Table("task", "kind", "question")
    for name, task in built_in.items():
        table.add_row(name, task.kind, task.description)
    out.print(table)


def _label(task: "Task", cohort: Path, json: bool) -> None:
    from polyclinic.cohort import Cohort
    from polyclinic.tasks import count_answers, hints, label, leak_remarks

    opened = Cohort.open(cohort)
    labels = label(opened, task)
    folder, unsaved = _save(labels, opened)
    if unsaved:
        err.print(f"caution: {unsaved}")
    splits = count_answers(labels, opened.splits)
    advice, remarks = hints(task, labels.values), leak_remarks(opened, task)
    counts = {
        "task": task.name,
        "labelled": labels.frame.height,
        "splits": {name: split._asdict() for name, split in splits.items()},
        "unknown": dict(labels.unknown),
        "excluded": dict(labels.excluded),
        "values": [value._asdict() for value in labels.values],
        "hints": list(advice),
        "remarks": list(remarks),
    }
    if json:
        print_json(counts | {"folder": folder and str(folder)})
        return
    out.print(f"{task.name}: {labels.frame.height:,} labelled{f' → {folder}' if folder else ''}")
    out.print(_answers(splits))
    for kind, reasons in (("unknown", labels.unknown), ("not asked", labels.excluded)):
        for reason, number in reasons.items():
            out.print(f"{kind}: {number:,} × {reason}")
    for line in _read_as(labels.values):
        out.print(line)
    for title, texts in (("hint", advice), ("check", remarks)):
        for text in texts:
            out.print(f"{title}: {text}")


def _save(labels: "Labels", cohort: "Cohort") -> tuple[Path | None, str]:
    """Save labels in the cohort; None and the reason if its folder cannot be written, as of shared data sets."""
    from polyclinic.files import OutputError, check_folder

    try:
        check_folder(cohort.path / "labels" / labels.task.name)
    except OutputError as error:
        return None, f"labels were counted and not saved in the cohort: {error}"
    return labels.write(cohort), ""


def _read_as(values: Sequence["ReadValue"]) -> Iterator[str]:
    """Yield a line per answer with the values that were read as it; values that are no answer come last."""
    answers = sorted(
        {value.answer for value in values if value.answer is not None}, key=lambda name: (name == "no", name)
    )
    for answer in (*answers, None):
        own = [value for value in values if value.answer == answer]
        named = [f"{value.samples:,} × {value.value}" for value in own[:MOST_VALUES]]
        if len(own) > MOST_VALUES:
            named.append(f"{len(own) - MOST_VALUES:,} more")
        if named:
            yield f"{f'read as {answer}' if answer else 'read as no answer'}: {', '.join(named)}"


def _answers(splits: Mapping[str, "Answers"]) -> Table:
    """Return a row per answer and a column per split; classes of a multilabel task may overlap."""
    table = Table("answer", *splits, "all")
    for answer in next(iter(splits.values())).answers:
        _add(table, answer, [split.answers[answer] for split in splits.values()])
    _add(table, "labelled", [split.labelled for split in splits.values()])
    return table


def _add(table: Table, name: str, counts: Sequence[int]) -> None:
    table.add_row(name, *(f"{count:,}" for count in (*counts, sum(counts))))
