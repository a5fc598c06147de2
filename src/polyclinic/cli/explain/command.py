"""`polyclinic explain`: what one answer about one patient rests on, in one kind of input, by one method."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyclinic.cli.console import out, print_json
from polyclinic.cli.options import BundlePath, CohortPath, Json, time_of

if TYPE_CHECKING:
    from polyclinic.cli.explain.dispatch import ExplanationView
    from polyclinic.cli.explain.target import InapplicableTask, Question

METHODS: Mapping[str, tuple[str, ...]] = {
    "all": ("shapley",),
    "structured": ("integrated_gradients", "shapley", "counterfactual"),
    "series": ("integrated_gradients",),
    "note": ("integrated_gradients", "attention_rollout"),
    "image": ("integrated_gradients", "map_gradients", "grad_cam", "attention_rollout"),
}
"""By kind of input; written down here, too, so that `--help` and refusals need not load what explains."""
BASELINES = ("usual", "zero", "blurred", "mean")
PLOTS = (".png", ".svg", ".pdf")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "explain", epilog="Example: polyclinic explain runs/demo/bundle runs/demo/cohort 100002 --modality note"
    )(explain)


def explain(
    bundle: BundlePath,
    cohort: CohortPath,
    subject: Annotated[int, typer.Argument(metavar="SUBJECT", help="Id of a patient.", show_default=False)],
    modality: Annotated[
        str,
        typer.Option(metavar="|".join(METHODS), help="The kind of input to look into; all: what each of them adds."),
    ] = "all",
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="A task of the bundle; by default the first that is asked.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="OUTPUT", help="A class, label or bin of it; by default the most probable.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="By default integrated_gradients (of pictures the method for which an audit chose the dial), of all "
            "shapley. Others: counterfactual and shapley (of the classical models) for structured, attention_rollout "
            "for note and image, grad_cam and map_gradients for image.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(BASELINES),
            help="Where integrated gradients begin: usual by default, zero where the bundle knows nothing usual.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Ask at this time, as 2024-03-05T08:15; by default at the task's own."),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="From a map to its regions: 0 the peak alone, 1 all; by default as an audit chose, or 0.5.",
        ),
    ] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also plot it: .png, .svg or .pdf.")
    ] = None,
    json: Json = False,
) -> None:
    """Explain one answer about one patient; nothing after the time asked for is read.

    Beside the scores stand the baseline, how far they fail to add up, and whether the method passed the audit of this
    bundle. An input that is absent is said to be so; that is a result, and the exit code is 0.
    """
    time = time_of(at)
    _refuse_words(modality, method, baseline, sensitivity, out_file)
    from polyclinic.cli.explain.dispatch import Wish, explained
    from polyclinic.cli.explain.target import InapplicableTask, question_of
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle

    loaded, opened = Bundle.load(bundle), Cohort.open(cohort)
    question = question_of(loaded, opened, subject, time, task, output)
    if isinstance(question, InapplicableTask):
        _print_not_asked(subject, question, json)
        return
    told = explained(loaded, opened, question, Wish(modality, method, baseline, sensitivity))
    drawn = out_file is not None and _draw(told, out_file)
    if json:
        print_json(_as_json(question) | told.to_dict())
        return
    for line in (*_headings(question, modality), *told.lines()):
        out.print(line)
    if drawn:
        out.print(f"→ {out_file}")


def _refuse_words(
    modality: str, method: str | None, baseline: str | None, sensitivity: float | None, out_file: Path | None
) -> None:
    """Refuse what cannot be, and options that would have no effect, before anything is loaded."""
    if modality not in METHODS:
        raise _wrong("--modality", f"unknown modality {modality!r}: choose from {', '.join(METHODS)}")
    if method is not None and method not in METHODS[modality]:
        known = any(method in methods for methods in METHODS.values())
        what = f"{method} does not explain {modality}" if known else f"unknown method {method!r}"
        raise _wrong("--method", f"{what}: choose from {', '.join(METHODS[modality])}")
    if baseline is not None and baseline not in BASELINES:
        raise _wrong("--baseline", f"unknown baseline {baseline!r}: choose from {', '.join(BASELINES)}")
    if baseline is not None and (modality == "all" or method not in (None, "integrated_gradients")):
        raise _wrong("--baseline", "only integrated_gradients begin somewhere: leave it out")
    if sensitivity is not None and modality != "image":
        raise _wrong("--sensitivity", "only pictures have regions: leave it out, or say --modality image")
    if sensitivity is not None and not 0 <= sensitivity <= 1:
        raise _wrong("--sensitivity", "give one from 0 (the peak alone) to 1 (all that speaks for the answer)")
    if out_file is not None and (out_file.suffix not in PLOTS or out_file.is_dir()):
        raise _wrong("--out", f"name a file that ends in {', '.join(PLOTS)}")
    if out_file is not None and method == "counterfactual":
        raise _wrong("--out", "counterfactual changes are a table, of which there is no plot: leave it out")


def _wrong(option: str, message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint=option)


def _print_not_asked(subject: int, question: "InapplicableTask", json: bool) -> None:
    reason = f"the question is not asked of this patient: {question.reason}"
    if json:
        print_json({"subject_id": subject, "task": question.task, "prediction_time": None, "absent": reason})
        return
    out.print(f"patient {subject}, {question.task}", style="bold")
    out.print(reason)


def _headings(question: "Question", modality: str) -> list[Any]:
    from rich.text import Text

    sample, asked = question.sample, question.task.describe().partition("?")
    return [
        Text(f"patient {sample.subject_id}, {sample.prediction_time:%Y-%m-%d %H:%M}", style="bold"),
        Text(f"{question.task.name}: {asked[0]}{asked[1]}"),
        Text(f"{question.output.name}: {question.said(question.answer)}; {_what(modality)}", style="bold"),
    ]


def _what(modality: str) -> str:
    if modality == "all":
        return "what each kind of input adds"
    named = {"structured": "the structured record", "series": "measurements over time", "note": "the notes"}
    return f"what speaks for and against it in {named.get(modality, 'the pictures')}"


def _as_json(question: "Question") -> dict[str, Any]:
    sample = question.sample
    return {
        "subject_id": sample.subject_id,
        "prediction_time": sample.prediction_time.isoformat(),
        "task": question.task.name,
        "output": question.output.name,
        "answer": question.answer,
        "unit": question.unit or None,
        "present": list(sample.present),
    }


def _draw(told: "ExplanationView", path: Path) -> bool:
    """Plot an explanation, with what it is of and how far to trust it; False where there is nothing to plot."""
    import matplotlib as mpl

    mpl.use("Agg")  # no window, whatever there is to show it
    from polyclinic.cli.explain.figure_file import captioned, write

    figure = told.draw()
    if figure is None or told.trust is None or told.part is None:
        return False
    write(captioned(figure, told.question, told.trust, told.part.legend), path)
    return True
