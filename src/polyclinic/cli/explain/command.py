"""`polyclinic explain`: the explanation of one prediction, for one kind of input, by one method."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyclinic.cli.console import out, print_json
from polyclinic.cli.options import BundlePath, CohortPath, Json, Subject, output_file, patient, time_of
from polyclinic.modalities import MODALITIES, noun

if TYPE_CHECKING:
    from polyclinic.cli.explain.dispatch import ExplanationView
    from polyclinic.cli.explain.target import ExplanationTarget, InapplicableTask

METHODS: Mapping[str, tuple[str, ...]] = {
    "all": ("shapley",),
    **{name: row.methods for name, row in MODALITIES.items()},
}
"""By kind of input."""
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
    subject: Subject,
    modality: Annotated[
        str,
        typer.Option(metavar="|".join(METHODS), help="Kind of input to explain; all: the contribution of each."),
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
            help="By default integrated_gradients (for images the method an audit chose), for all shapley. "
            "Others: counterfactual and shapley (of the classical models) for structured, attention_rollout "
            "for note and image, grad_cam and map_gradients for image.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(BASELINES),
            help="Baseline of integrated gradients: usual by default, zero if the bundle has no usual input.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Prediction time, as 2024-03-05T08:15; by default the task's own."),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Extent of regions: 0 only the peak, 1 all positive scores; by default as audited, or 0.5.",
        ),
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Also save a plot: .png, .svg or .pdf.", callback=output_file),
    ] = None,
    json: Json = False,
) -> None:
    """Explain one prediction for one patient, from what was recorded up to the prediction time.

    The scores come with the baseline, the completeness gap, and whether the method passed the audit of this bundle.
    An absent input is reported as such; that is a result, and the exit code is 0.
    """
    time = time_of(at)
    _check_options(modality, method, baseline, sensitivity, out_file)
    from polyclinic.cli.explain.dispatch import ExplanationRequest, explain_target
    from polyclinic.cli.explain.target import InapplicableTask, target_of
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle

    loaded, opened = Bundle.load(bundle), Cohort.open(cohort)
    number = opened.find_subject(subject)
    target, source_id = target_of(loaded, opened, number, time, task, output), opened.source_id(number)
    if isinstance(target, InapplicableTask):
        _print_inapplicable(number, source_id, target, json)
        return
    request = ExplanationRequest(modality, method, baseline, sensitivity)
    view = explain_target(loaded, opened, target, request)
    drawn = out_file is not None and _draw(view, out_file)
    if json:
        print_json(_as_json(target) | view.to_dict())
        return
    for line in (*_headings(target, modality, source_id), *view.lines()):
        out.print(line)
    if drawn:
        out.print(f"→ {out_file}")


def _check_options(
    modality: str, method: str | None, baseline: str | None, sensitivity: float | None, out_file: Path | None
) -> None:
    """Refuse invalid options, and options without effect, before anything is loaded."""
    if modality not in METHODS:
        raise _wrong("--modality", f"unknown modality {modality!r}: choose from {', '.join(METHODS)}")
    if method is not None and method not in METHODS[modality]:
        known = any(method in methods for methods in METHODS.values())
        what = f"{method} does not explain {modality}" if known else f"unknown method {method!r}"
        raise _wrong("--method", f"{what}: choose from {', '.join(METHODS[modality])}")
    if baseline is not None and baseline not in BASELINES:
        raise _wrong("--baseline", f"unknown baseline {baseline!r}: choose from {', '.join(BASELINES)}")
    if baseline is not None and (modality == "all" or method not in (None, "integrated_gradients")):
        raise _wrong("--baseline", "only integrated_gradients has a baseline: omit it")
    if sensitivity is not None and modality != "image":
        raise _wrong("--sensitivity", "only images have regions: omit it, or give --modality image")
    if sensitivity is not None and not 0 <= sensitivity <= 1:
        raise _wrong("--sensitivity", "give a number from 0 (only the peak) to 1 (all positive scores)")
    if out_file is not None and (out_file.suffix not in PLOTS or out_file.is_dir()):
        raise _wrong("--out", f"name a file that ends in {', '.join(PLOTS)}")
    if out_file is not None and method == "counterfactual":
        raise _wrong("--out", "counterfactual changes have no plot: omit it")


def _wrong(option: str, message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint=option)


def _print_inapplicable(subject: int, source_id: str, target: "InapplicableTask", json: bool) -> None:
    reason = f"the task does not apply to this patient: {target.reason}"
    if json:
        print_json({"subject_id": subject, "task": target.task, "prediction_time": None, "absent": reason})
        return
    out.print(f"patient {patient(subject, source_id)}, {target.task}", style="bold")
    out.print(reason)


def _headings(target: "ExplanationTarget", modality: str, source_id: str) -> list[Any]:
    from rich.text import Text

    sample, (question, mark, _) = target.sample, target.task.describe().partition("?")
    return [
        Text(f"patient {patient(sample.subject_id, source_id)}, {sample.prediction_time:%Y-%m-%d %H:%M}", style="bold"),
        Text(f"{target.task.name}: {question}{mark}"),
        Text(f"{target.output.name}: {target.format_answer(target.answer)}; {_contributions(modality)}", style="bold"),
    ]


def _contributions(modality: str) -> str:
    if modality == "all":
        return "contribution of each kind of input"
    return f"contributions of the {noun(modality)}"


def _as_json(target: "ExplanationTarget") -> dict[str, Any]:
    sample = target.sample
    return {
        "subject_id": sample.subject_id,
        "prediction_time": sample.prediction_time.isoformat(),
        "task": target.task.name,
        "output": target.output.name,
        "answer": target.answer,
        "unit": target.unit or None,
        "present": list(sample.present),
    }


def _draw(view: "ExplanationView", path: Path) -> bool:
    """Save the plot of an explanation with its captions; return False if there is nothing to plot."""
    import matplotlib as mpl

    mpl.use("Agg")  # no window
    from polyclinic.cli.explain.figure_file import captioned, write

    figure = view.draw()
    if figure is None or view.trust is None or view.part is None:
        return False
    write(captioned(figure, view.target, view.trust, view.part.legend), path)
    return True
