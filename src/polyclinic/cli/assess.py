"""`polyclinic assess`: what a bundle says of one patient, with intervals, cautions and what it rests on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from polyclinic.cli.console import out
from polyclinic.cli.options import BundlePath, CohortPath, Json, time_of

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

MOST = 5
"""Codes, features or words that a line names."""
TRUST = {
    "passed": "the method of the {} passed the audit: {}",
    "failed": "DO NOT RELY ON THE {}: the method failed the audit: {}",
    "not_audited": "nobody has audited the method of the {}: see polyclinic explain-audit",
}
MEASURED = {
    "held_out": "on subjects kept apart",
    "cross_validation": "by cross-validation",
    "out_of_fold": "out of fold, on the subjects by whom the threshold was chosen",
}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "assess", epilog="Example: polyclinic assess runs/demo/bundle runs/demo/cohort 100002 --at 2024-03-05T08:15"
    )(assess)


def assess(
    bundle: BundlePath,
    cohort: CohortPath,
    subject: Annotated[int, typer.Argument(metavar="SUBJECT", help="Id of a patient.", show_default=False)],
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Ask at this time, as 2024-03-05T08:15; by default at each task's own."),
    ] = None,
    no_explain: Annotated[
        bool, typer.Option("--no-explain", help="Leave out what the answers rest on, which takes the most time.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page to look at and to print.")
    ] = None,
    json: Json = False,
) -> None:
    """Say everything that a bundle can say of one patient; nothing after the time asked for is read.

    An answer that should not be acted on says so, with the reason; that is a result, and the exit code is 0.
    """
    time = time_of(at)
    if html is not None and html.is_dir():
        raise ValueError(f"{html} is a folder: name a file")
    from polyclinic.assess import assess_with_evidence
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle

    loaded, opened = Bundle.load(bundle), Cohort.open(cohort)
    evidenced = assess_with_evidence(loaded, opened, subject, time, explain=not no_explain)
    found = evidenced.assessment
    if html is not None:
        from polyclinic.exchange.html import evidence_of, write_assessment_page

        write_assessment_page(found, html, evidence_of(loaded, opened, *evidenced))
    if json:
        typer.echo(found.to_json())
        return
    _print(found)
    if html is not None:
        out.print(f"→ {html}")


def _print(assessment: "Assessment") -> None:
    for record in assessment.records:
        out.print(f"patient {assessment.subject_id}, {record.prediction_time:%Y-%m-%d %H:%M}", style="bold")
        for line in _of_record(record):
            out.print(line)
    for answer in assessment.answers:
        out.print()
        asked, mark, _ = answer.question.partition("?")
        out.print(f"{answer.task}: {asked}{mark}", style="bold")
        _print_answer(answer)
    for lacking in assessment.lacks:
        out.print(f"\ncaution: {lacking}")
    prints = assessment.fingerprints
    out.print(f"\nbundle {prints.bundle[:12]}, cohort {prints.cohort[:12]}, Polyclinic {prints.polyclinic}")


def _of_record(record: "Record") -> Iterator[str]:
    yield f"recorded: {', '.join(record.present) or 'nothing'}; missing: {', '.join(record.missing) or 'nothing'}"
    if record.usually_there:
        named = [f"{one.code} ({one.share:.0%})" for one in record.usually_there[:MOST]]
        yield f"usually there, absent now: {', '.join(named)}{_more(len(record.usually_there))}"
    if record.unknown:
        named = [f"{one.events} × {one.code}" for one in record.unknown[:MOST]]
        yield f"not known from training, not read: {', '.join(named)}{_more(len(record.unknown))}"
    usual = record.typicality
    if usual is not None:
        yield f"as unusual as or more so than {usual.quantile:.0%} of {usual.samples:,} patients of development"
    if record.similar:
        yield "most alike: " + ", ".join(f"{one.subject_id} ({one.likeness:.2f})" for one in record.similar)


def _more(number: int) -> str:
    return f" and {number - MOST} more" if number > MOST else ""


def _print_answer(answer: "Answer") -> None:
    for abstention in answer.abstentions:
        out.print(f"ABSTAINS: {abstention.text}", style="yellow")
    if not answer.outputs:
        return
    what = f"estimate{f', {answer.unit}' if answer.unit else ''}" if answer.kind == "regression" else "probability"
    called = any(said.operating for said in answer.outputs)
    table = Table("answer", what, "interval", *(["threshold", "call", "PPV", "sensitivity"] if called else []))
    for said in answer.outputs:
        table.add_row(said.output, _number(answer, said.value), _interval(answer, said), *_call(said.operating, called))
    out.print(table)
    for line in _of_answer(answer):
        out.print(line)


def _of_answer(answer: "Answer") -> Iterator[str]:
    measured = {said.operating.measured for said in answer.outputs if said.operating}
    for how in sorted(measured):
        yield f"PPV and sensitivity were measured {MEASURED[how]}"
    for one in answer.sets:
        yield _set(answer, one)
    if answer.cost is not None:
        cost = answer.cost
        yield (
            f"without {' and '.join(cost.missing)} the {cost.figure.replace('_', ' ')} is usually {cost.given}, "
            f"instead of {cost.whole} with everything"
        )
    if answer.explanation is not None:
        yield from _because(answer, answer.explanation)


def _number(answer: "Answer", value: float) -> str:
    return f"{value:.3g}" if answer.kind == "regression" else f"{value:.1%}"


def _interval(answer: "Answer", said: "OutputEstimate") -> str:
    if said.low is None or said.high is None:
        return "not known"
    span = f"{_number(answer, said.low)} to {_number(answer, said.high)}"
    return f"{span} (range of the networks)" if said.basis == "networks" else span


def _call(operating: "Operating | None", called: bool) -> list[str]:
    if operating is None:
        return [""] * 4 if called else []
    side = "above" if operating.positive else "below"
    return [f"{operating.threshold:.1%}", side, str(operating.ppv), str(operating.sensitivity)]


def _set(answer: "Answer", one: "ConformalSet") -> str:
    if answer.kind == "regression":
        known = one.low is not None and one.high is not None
        held = f"{one.low:.3g} to {one.high:.3g}" if known else "any number"
    else:
        held = "anything" if one.everything else " or ".join(one.answers) or "no answer fits"
    of = f" ({one.output})" if one.output else ""
    on = f"{one.subjects:,} patients {'kept for it' if one.split else 'of development, approximate'}"
    return f"{one.level:.0%} set{of}: {held} ({on})"


def _because(answer: "Answer", explanation: "Explanation") -> Iterator[str]:
    shares = sorted(explanation.modalities, key=lambda one: -abs(one.share))
    told = ", ".join(f"{one.modality} {_signed(answer, one.share)}" for one in shares)
    yield f"{explanation.output}: {_number(answer, explanation.without_inputs)} without any input; {told}"
    features = [f"{one.name} {one.score:+.2f}" for one in explanation.features[:MOST]]
    measurements = [f"{one.code} {one.hours:.0f} h before {one.score:+.2f}" for one in explanation.measurements[:MOST]]
    nonzero_members = sorted(explanation.words, key=lambda word: -abs(word.score))[:MOST]
    words = [f"{word.text}{' (denied)' * word.denied} {word.score:+.2f}" for word in nonzero_members if word.score]
    for what, named in (("features", features), ("measurements", measurements), ("words", words)):
        if named:
            yield f"weightiest {what}, in {answer.scale} of the networks: {', '.join(named)}"
    for picture in explanation.pictures:
        yield f"picture {picture.view}: {len(picture.regions)} regions speak for it"
    if explanation.map is not None:
        yield _dial(explanation.map)
        if explanation.map.method != explanation.method:
            yield _trust("map", explanation.map.trust)
    if explanation.method is not None:
        yield _trust("scores", explanation.trust)


def _trust(what: str, trust: "Trust") -> str:
    told = TRUST[trust.verdict]
    return told.format(what.upper() if trust.verdict == "failed" else what, trust.reason)


def _dial(setting: "MapSetting") -> str:
    name = f"regions: {setting.method}{', smoothed' if setting.smoothing else ''}, at s = {setting.sensitivity:g}"
    if setting.chosen_on is None:
        return f"{name}; no audit has chosen them"
    return (
        f"{name}, chosen on {setting.chosen_on}: finds {setting.recall} of the lesions there with "
        f"{setting.false_regions} false regions per picture"
    )


def _signed(answer: "Answer", share: float) -> str:
    return f"{share:+.3g}" if answer.kind == "regression" else f"{100 * share:+.1f} points"
