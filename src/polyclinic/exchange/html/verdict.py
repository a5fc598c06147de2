"""The prediction, its uncertainty, cautions, and how complete the record was."""

from collections.abc import Iterator

from polyclinic.assess import Answer, ConformalSet, OutputEstimate, Record
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.metric_names import term
from polyclinic.exchange.html.formatting import output_name, position, probability
from polyclinic.explain.display.labels import label_of, number
from polyclinic.html import Markup, render
from polyclinic.modalities import noun

BASES = {
    "refits": "95 % interval of this number, over refits on other patients",
    "calibration_and_networks": "95 % interval, over calibrations and networks",
    "calibration": "95 % interval, over calibrations",
    "networks": "range over the networks",
}
MEASURED = {
    "held_out": "on held-out patients",
    "cross_validation": "in cross-validation",
    "out_of_fold": "out of fold, on development patients",
}
LISTED = 8
UNUSUAL = 0.95
"""Quantile of atypicality among development samples from which a caution is shown."""


def verdict(answer: Answer) -> Markup:
    """Return the abstention, if any, and the prediction with its interval, threshold and conformal sets."""
    return render(
        "exchange/html/verdict.html",
        answer=answer,
        estimates=_ordered(answer),
        sets=() if answer.abstains else [_conformal_set(found, answer.unit or "") for found in answer.sets],
        bases=BASES,
        measured=MEASURED,
        interval=_interval,
        scale_label=_scale_label,
        shown_threshold=_shown_threshold,
        number=number,
        output_name=output_name,
        percent=percent,
        position=position,
        probability=probability,
    )


def cautions(answer: Answer, record: Record | None, further: tuple[str, ...]) -> list[str]:
    """Return what limits the answer: missing inputs, an unusual record, and `further` cautions."""
    return [*_cost(answer), *(_unusual(record) if record else ()), *further]


def completeness(record: Record) -> Markup:
    """Return which inputs were present, and which usual ones were missing."""
    return render(
        "exchange/html/completeness.html",
        record=record,
        noun=noun,
        lists=(
            (
                "Usually recorded, missing here",
                [f"{label_of(code.code)} ({percent(code.share)})" for code in record.usually_there],
            ),
            (
                "Recorded, but unknown to the model",
                [f"{label_of(code.code)} ({code.events:,} ×)" for code in record.unknown],
            ),
            ("Recorded, but not usable", record.unusable_blobs),
        ),
        listed=LISTED,
    )


def _ordered(answer: Answer) -> list[OutputEstimate]:
    """Sort classes and labels by decreasing probability; leave times in their order."""
    if answer.kind == "time_to_event":
        return list(answer.outputs)
    return sorted(answer.outputs, key=lambda estimate: -estimate.value)


def _interval(estimate: OutputEstimate) -> str:
    return f"{probability(estimate.low or 0).removesuffix(' %')} to {probability(estimate.high or 0)}"


def _shown_threshold(estimate: OutputEstimate) -> float | None:
    """Return the threshold if it lies on the scale of probabilities."""
    threshold = estimate.operating.threshold if estimate.operating else None
    return threshold if threshold is not None and 0 <= threshold <= 1 else None


def _scale_label(estimate: OutputEstimate) -> str:
    label = f"Probability {probability(estimate.value)}"
    if estimate.low is not None and estimate.high is not None:
        label += f", interval {probability(estimate.low)} to {probability(estimate.high)}"
    threshold = _shown_threshold(estimate)
    return label if threshold is None else f"{label}, threshold {probability(threshold)}"


def _conformal_set(found: ConformalSet, unit: str) -> dict[str, str]:
    if found.low is not None and found.high is not None:
        answers = f"between {number(found.low)} and {number(found.high)} {unit}"
    elif not found.answers:
        answers = "any number"
    else:
        answers = " or ".join(map(output_name, found.answers)) + (" (undecided)" if len(found.answers) > 1 else "")
    few = [output_name(name) for name in found.never_excluded if name in found.answers]
    level = percent(found.level) + " confidence" + ("" if found.split else ", approximately")
    output = output_name(found.output) if found.output else ""
    return {"output": output, "level": level, "answers": answers, "few": " or ".join(few)}


def _cost(answer: Answer) -> Iterator[str]:
    cost = answer.cost
    if cost is not None:
        missing = " and ".join(noun(name) for name in cost.missing)
        yield f"Without {missing}, {term(cost.figure).label} is {cost.given}; with all inputs it is {cost.whole}."


def _unusual(record: Record) -> Iterator[str]:
    typicality = record.typicality
    if typicality is not None and typicality.quantile > UNUSUAL and not typicality.far:
        rank = percent(typicality.quantile, 1)
        yield f"The record is more unusual than {rank} of the {typicality.samples:,} development samples."
