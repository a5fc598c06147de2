"""Section of one answer: prediction, cautions, completeness and explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from polyclinic.assess import Answer, Assessment, Explanation
from polyclinic.exchange.html.evidence import Evidence, kept_evidence
from polyclinic.exchange.html.formatting import output_name, percentage_points, probability
from polyclinic.exchange.html.image_section import image_section
from polyclinic.exchange.html.note_section import note_section
from polyclinic.exchange.html.series_section import series_section
from polyclinic.exchange.html.similar_section import similar_section
from polyclinic.exchange.html.verdict import MODALITIES, cautions, completeness, verdict
from polyclinic.exchange.html.waterfall import Write, waterfall
from polyclinic.explain.attribution import StructuredAttribution
from polyclinic.explain.display.labels import number, signed, writer
from polyclinic.explain.display.summaries import modality_steps, structured_steps
from polyclinic.html import Markup, render

METHODS = {"integrated_gradients": "Integrated gradients"}
BASELINES = {
    "zero": "an empty input",
    "usual": "the usual image and note",
    "blurred": "a blurred image",
    "mean": "the average patient",
}
TRUST = {
    "passed": "✓ {}, which passed the audit of this model{}.",
    "failed": "✕ {}, which failed the audit of this model{}: do not rely on them.",
    "not_audited": "? {}, which has not been audited on this model{}.",
}
"""Texts on the audit of the attribution method; their fields are the method and the reason."""
COMPLETE = 0.02
"""Completeness gap above which a caution is shown."""


class WaterfallSection(NamedTuple):
    """A titled waterfall; `name` is its CSS class."""

    name: str
    title: str
    lead: str
    table: Markup


def answer_section(
    assessment: Assessment, answer: Answer, evidence: Evidence | None, place: int, images: Mapping[str, str]
) -> Markup:
    """Return the section of an answer.

    Args:
        assessment: that contains the answer.
        answer: of one task.
        evidence: beyond what the assessment keeps.
        place: of the answer on the page.
        images: ids of the images' copies on the page, by blob.
    """
    record = assessment.record_of(answer)
    question, _, details = answer.question.partition("? ")
    given = evidence or (kept_evidence(assessment, answer) if answer.explanation else None)
    return render(
        "exchange/html/answer_section.html",
        answer=answer,
        place=place,
        title=title(answer),
        question=question + ("?" if details else ""),
        details=details,
        verdict=verdict(answer),
        cautions=cautions(answer, record, (*_inexact(answer.explanation), *assessment.lacks)),
        completeness=completeness(record) if record else "",
        explained_output=_explained_output(answer.explanation) if answer.explanation else "",
        trust=_trust(answer.explanation) if answer.explanation else "",
        modalities=_modalities(answer, answer.explanation) if answer.explanation else None,
        evidence_sections=list(_evidence_sections(answer, given, place, images)),
        structured=_structured(answer, given),
        similar=similar_section(record.similar, answer.task) if record else "",
        exactness=_exactness(answer, answer.explanation, evidence) if answer.explanation else "",
    )


def title(answer: Answer) -> str:
    """Return the name of an answer's task."""
    return answer.task.replace("_", " ").capitalize()


def _method(explanation: Explanation) -> str:
    return METHODS.get(explanation.method or "", explanation.method or "")


def _inexact(explanation: Explanation | None) -> Iterator[str]:
    if explanation is None or explanation.method is None:
        return
    if explanation.trust.verdict == "failed":
        yield (
            f"The contributions below come from {_method(explanation).lower()}, which failed the audit of this "
            f"model's explanations ({explanation.trust.reason}): do not rely on them."
        )
    if explanation.gap is None:
        yield "Whether the contributions below are complete is not known: read them as a rough guide."
    elif explanation.gap > COMPLETE:
        yield f"The contributions below miss {100 * explanation.gap:.0f} % of the change: read them as a rough guide."


def _explained_output(explanation: Explanation) -> str:
    return "" if explanation.output in ("yes", "value") else output_name(explanation.output)


def _trust(explanation: Explanation) -> str:
    if explanation.method is None:
        return ""
    reason = f" ({explanation.trust.reason})" if explanation.trust.reason else ""
    subject = f"Maps, underlined words and contributions are computed by {_method(explanation).lower()}"
    return TRUST[explanation.trust.verdict].format(subject, reason)


def _evidence_sections(
    answer: Answer, evidence: Evidence | None, place: int, images: Mapping[str, str]
) -> Iterator[Markup]:
    """Yield the sections of images, notes and series."""
    explanation = answer.explanation
    if explanation is None or evidence is None:
        return
    attribution, scale = evidence.attribution, answer.scale
    scores = {picture.blob: picture.score for picture in explanation.pictures}
    for rank, picture in enumerate(attribution.pictures):
        if picture.blob in evidence.images:
            content, shared = evidence.images[picture.blob], images[picture.blob]
            score = scores.get(picture.blob)
            yield image_section(picture, content, shared, f"{place}-{rank}", explanation.map, score, scale)
    if attribution.get("note"):
        yield note_section(attribution["note"], evidence.notes, scale)
    if attribution.get("series"):
        yield series_section(attribution["series"], scale, evidence.whole)


def _modalities(answer: Answer, explanation: Explanation) -> WaterfallSection | None:
    shares = {MODALITIES.get(share.modality, share.modality): share.share for share in explanation.modalities}
    steps = modality_steps(explanation.without_inputs, shares)
    if not steps:
        return None
    lead = "Exact Shapley values: the prediction is computed for every subset of the inputs."
    writers: tuple[Write, Write] = (percentage_points, probability)
    adds, threshold = "Adds, points", _threshold(answer, explanation.output)
    if answer.kind == "regression":
        writers, adds, threshold = (signed, number), f"Adds, {answer.unit}" if answer.unit else "Adds", None
    lead += " The dashed line is the threshold." if threshold is not None else ""
    table = waterfall(steps, ("Without any input", "With all inputs"), ("Input", "", adds), writers, threshold)
    return WaterfallSection("modalities", "Contribution of each kind of input", lead, table)


def _threshold(answer: Answer, output: str) -> float | None:
    if answer.abstains:
        return None
    operating = next((estimate.operating for estimate in answer.outputs if estimate.output == output), None)
    return operating.threshold if operating and operating.threshold <= 1 else None


def _structured(answer: Answer, evidence: Evidence | None) -> WaterfallSection | None:
    structured = evidence.attribution.get("structured") if evidence and answer.explanation else None
    steps = structured_steps(structured) if structured else ()
    if evidence is None or structured is None or not steps:
        return None
    ends = ("No features", "Structured record" if evidence.whole else "These features")
    write = writer(step.score for step in steps)
    table = waterfall(steps, ends, ("Feature", "Recorded", f"Adds, {answer.scale}"), (write, write))
    return WaterfallSection("structured", "Structured record", _structured_lead(structured, evidence.whole), table)


def _structured_lead(structured: StructuredAttribution, whole: bool) -> str:
    if not whole:
        return "The features of the largest contributions."
    known = int((structured.scores != 0).sum())
    return f"The largest of {known} known features; one bar sums the others."


def _exactness(answer: Answer, explanation: Explanation, evidence: Evidence | None) -> str:
    if explanation.method is None:
        return ""
    text = _method(explanation)
    if explanation.baseline:
        text += f", with {BASELINES.get(explanation.baseline, explanation.baseline)} as the baseline"
    text += "."
    complete = evidence.attribution.completeness if evidence else None
    if complete is not None:
        write = writer([complete.difference])
        text += (
            f" The contributions sum to {write(complete.total)}; the networks' output ({answer.scale}) changed by "
            f"{write(complete.difference)}, from {write(complete.reference)} to {write(complete.value)}, over "
            f"{complete.steps} gradients."
        )
    if explanation.gap is not None:
        text += f" {100 * explanation.gap:.1f} % is unexplained."
    return text + " Only the networks are explained; classical models and calibration are not."
