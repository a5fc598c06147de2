"""`polyclinic assess`: a bundle's predictions for one patient, with intervals, cautions and explanations."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from polyclinic.cli.console import out
from polyclinic.cli.options import BundlePath, CohortPath, Json, Subject, output_page, patient, time_of

if TYPE_CHECKING:
    from polyclinic.assess import (
        Answer,
        Assessment,
        ConformalSet,
        Explanation,
        MapSetting,
        Operating,
        OutputEstimate,
        Record,
        Trust,
    )

LISTED = 5
"""Codes, features or words listed in a line."""
TRUST = {
    "passed": "the method of the {} passed the audit: {}",
    "failed": "DO NOT RELY ON THE {}: the method failed the audit: {}",
    "not_audited": "the method of the {} has not been audited: see polyclinic explain-audit",
}
MEASURED = {
    "held_out": "on held-out subjects",
    "cross_validation": "by cross-validation",
    "out_of_fold": "out of fold, on the subjects used to choose the threshold",
}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "assess", epilog="Example: polyclinic assess runs/demo/bundle runs/demo/cohort 100002 --at 2024-03-05T08:15"
    )(assess)


def assess(
    bundle: BundlePath,
    cohort: CohortPath,
    subject: Subject,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Prediction time, as 2024-03-05T08:15; by default each task's own."),
    ] = None,
    no_explain: Annotated[
        bool, typer.Option("--no-explain", help="Leave out the explanations, which take the most time.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write an HTML page, for screen and print.", callback=output_page),
    ] = None,
    json: Json = False,
) -> None:
    """Assess one patient with a bundle, from what was recorded up to the prediction time.

    The model may abstain, with the reason; that is a result, and the exit code is 0.
    """
    time = time_of(at)
    from polyclinic.assess import assess_with_evidence
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle

    loaded, opened = Bundle.load(bundle), Cohort.open(cohort)
    evidenced = assess_with_evidence(loaded, opened, opened.find_subject(subject), time, explain=not no_explain)
    found = evidenced.assessment
    if html is not None:
        from polyclinic.exchange.html import evidence_of, write_assessment_page

        write_assessment_page(found, html, evidence_of(loaded, opened, *evidenced))
    if json:
        typer.echo(found.to_json())
        return
    _print(found, opened.source_id)
    if html is not None:
        out.print(f"→ {html}")


def _print(assessment: "Assessment", source_id: Callable[[int], str]) -> None:
    for record in assessment.records:
        name = patient(assessment.subject_id, source_id(assessment.subject_id))
        out.print(f"patient {name}, {record.prediction_time:%Y-%m-%d %H:%M}", style="bold")
        for line in _record_lines(record, source_id):
            out.print(line)
    for answer in assessment.answers:
        out.print()
        question, mark, _ = answer.question.partition("?")
        out.print(f"{answer.task}: {question}{mark}", style="bold")
        _print_answer(answer)
    for caution in assessment.lacks:
        out.print(f"\ncaution: {caution}")
    prints = assessment.fingerprints
    out.print(f"\nbundle {prints.bundle[:12]}, cohort {prints.cohort[:12]}, Polyclinic {prints.polyclinic}")


def _record_lines(record: "Record", source_id: Callable[[int], str]) -> Iterator[str]:
    missing = (f"{name} (not usable)" if name in record.unusable else name for name in record.missing)
    yield f"recorded: {', '.join(record.present) or 'nothing'}; missing: {', '.join(missing) or 'nothing'}"
    yield from (f"not used: {reason}" for reason in record.unusable_blobs)
    if record.usually_there:
        codes = [f"{code.code} ({code.share:.0%})" for code in record.usually_there[:LISTED]]
        yield f"usually recorded, missing here: {', '.join(codes)}{_more(len(record.usually_there))}"
    if record.unknown:
        codes = [f"{code.events} × {code.code}" for code in record.unknown[:LISTED]]
        yield f"not known from training, not read: {', '.join(codes)}{_more(len(record.unknown))}"
    typicality = record.typicality
    if typicality is not None:
        yield f"at least as unusual as {typicality.quantile:.0%} of {typicality.samples:,} development samples"
    if record.similar:
        yield "most similar: " + ", ".join(
            f"{source_id(found.subject_id)} ({found.likeness:.2f})" for found in record.similar
        )


def _more(number: int) -> str:
    return f" and {number - LISTED} more" if number > LISTED else ""


def _print_answer(answer: "Answer") -> None:
    from polyclinic.exchange.html.formatting import output_name

    for abstention in answer.abstentions:
        out.print(f"ABSTAINS: {abstention.text}", style="yellow")
    if not answer.outputs:
        return
    quantity = f"estimate{f', {answer.unit}' if answer.unit else ''}" if answer.kind == "regression" else "probability"
    has_threshold = any(estimate.operating for estimate in answer.outputs)
    columns = ["threshold", "side", "PPV", "sensitivity"] if has_threshold else []
    table = Table("answer", quantity, "interval", *columns)
    for estimate in answer.outputs:
        threshold = _threshold_cells(estimate.operating) if has_threshold else []
        table.add_row(
            output_name(estimate.output), _number(answer, estimate.value), _interval(answer, estimate), *threshold
        )
    out.print(table)
    for line in _answer_lines(answer):
        out.print(line)


def _answer_lines(answer: "Answer") -> Iterator[str]:
    measured = {estimate.operating.measured for estimate in answer.outputs if estimate.operating}
    for how in sorted(measured):
        yield f"PPV and sensitivity were measured {MEASURED[how]}"
    for conformal_set in answer.sets:
        yield _conformal_set(answer, conformal_set)
    if answer.cost is not None:
        cost = answer.cost
        yield (
            f"without {' and '.join(cost.missing)} the {cost.figure.replace('_', ' ')} is {cost.given}, "
            f"with all inputs {cost.whole}"
        )
    if answer.explanation is not None:
        yield from _explanation_lines(answer, answer.explanation)


def _number(answer: "Answer", value: float) -> str:
    return f"{value:.3g}" if answer.kind == "regression" else f"{value:.1%}"


def _interval(answer: "Answer", estimate: "OutputEstimate") -> str:
    if estimate.low is None or estimate.high is None:
        return "not known"
    span = f"{_number(answer, estimate.low)} to {_number(answer, estimate.high)}"
    return f"{span} (range of the networks)" if estimate.basis == "networks" else span


def _threshold_cells(operating: "Operating | None") -> list[str]:
    if operating is None:
        return [""] * 4
    side = ("above" if operating.positive else "below") + (", uncertain" if operating.uncertain else "")
    return [f"{operating.threshold:.1%}", side, str(operating.ppv), str(operating.sensitivity)]


def _conformal_set(answer: "Answer", found: "ConformalSet") -> str:
    from polyclinic.exchange.html.formatting import output_name

    if answer.kind == "regression":
        known = found.low is not None and found.high is not None
        answers = f"{found.low:.3g} to {found.high:.3g}" if known else "any number"
    else:
        answers = " or ".join(map(output_name, found.answers)) + (", undecided" if len(found.answers) > 1 else "")
    output = f"{output_name(found.output)}: " if found.output else ""
    patients = f"{found.subjects:,} {'calibration patients' if found.split else 'development patients, approximate'}"
    few = [output_name(name) for name in found.never_excluded if name in found.answers]
    note = f"; too few patients with {' or '.join(few)} to exclude it" if few else ""
    return f"{output}cannot be excluded at {found.level:.0%} confidence: {answers} ({patients}{note})"


def _explanation_lines(answer: "Answer", explanation: "Explanation") -> Iterator[str]:
    from polyclinic.exchange.html.formatting import output_name

    shares = sorted(explanation.modalities, key=lambda share: -abs(share.share))
    modalities = ", ".join(f"{share.modality} {_signed(answer, share.share)}" for share in shares)
    alone = _number(answer, explanation.without_inputs)
    yield f"{output_name(explanation.output)}: {alone} without any input; {modalities}"
    features = [f"{row.name} {row.score:+.2f}" for row in explanation.features[:LISTED]]
    measurements = [
        f"{row.code} {row.hours:.0f} h before {row.score:+.2f}" for row in explanation.measurements[:LISTED]
    ]
    largest = sorted(explanation.words, key=lambda word: -abs(word.score))[:LISTED]
    words = [f"{word.text}{' (negated)' * word.denied} {word.score:+.2f}" for word in largest if word.score]
    columns = [f"{row.name} {row.score:+.2f}" for row in explanation.columns[:LISTED]]
    scores = {"features": features, "measurements": measurements, "words": words, "summaries of inputs": columns}
    for kind, scored in scores.items():
        if scored:
            yield f"largest contributions of {kind}, in {answer.scale} of the answer: {', '.join(scored)}"
    if explanation.members:
        parts = ", ".join(f"{one.member} {one.share:+.2f}" for one in explanation.members)
        yield f"contributions of the members, in {answer.scale} of the answer: {parts}"
    for image in explanation.pictures:
        count = len(image.regions)
        yield f"image {image.view}: {count} region{'s' * (count != 1)} of positive scores"
    if explanation.map is not None:
        yield _map_setting(explanation.map)
        if explanation.map.method != explanation.method:
            yield _trust("map", explanation.map.trust)
    if explanation.method is not None:
        yield _trust("scores", explanation.trust)


def _trust(subject: str, trust: "Trust") -> str:
    return TRUST[trust.verdict].format(subject.upper() if trust.verdict == "failed" else subject, trust.reason)


def _map_setting(setting: "MapSetting") -> str:
    name = f"regions: {setting.method}{', smoothed' if setting.smoothing else ''}, at s = {setting.sensitivity:g}"
    if setting.chosen_on is None:
        return f"{name}; not chosen by an audit"
    return (
        f"{name}, chosen on {setting.chosen_on}: finds {setting.recall} of the lesions there with "
        f"{setting.false_regions} false regions per image"
    )


def _signed(answer: "Answer", share: float) -> str:
    return f"{share:+.3g}" if answer.kind == "regression" else f"{100 * share:+.1f} points"
