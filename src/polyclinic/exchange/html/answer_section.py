"""Section of one answer: prediction, cautions, completeness and explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from polyclinic.assess import Answer, Assessment, Explanation
from polyclinic.exchange.html.evidence import Evidence, kept_evidence
from polyclinic.exchange.html.formatting import output_name, percentage_points, probability
from polyclinic.exchange.html.sections import Context, evidence_sections
from polyclinic.exchange.html.similar_section import similar_section
from polyclinic.exchange.html.verdict import cautions, completeness, verdict
from polyclinic.exchange.html.waterfall import WaterfallSection, Write, waterfall
from polyclinic.explain.display.labels import number, signed, writer
from polyclinic.explain.display.summaries import modality_steps
from polyclinic.html import Markup, render
from polyclinic.modalities import noun

METHODS = {"integrated_gradients": "Integrated gradients", "shapley": "Shapley values"}
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
AUDITED = " The audit examined the explanations of the networks alone, not those of the classical models."
ABSENCE = (
    " They compare with the absence of an input, the contributions below with its usual values, on another scale: "
    "the two need not sum to each other."
)
COMPLETE = 0.02
"""Completeness gap above which a caution is shown."""


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
        evidence_sections=_sections(answer, given, place, images),
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
    audited = "" if explanation.trust.verdict == "not_audited" else AUDITED
    return TRUST[explanation.trust.verdict].format(subject, reason) + audited


def _sections(answer: Answer, evidence: Evidence | None, place: int, images: Mapping[str, str]) -> list[Markup]:
    if answer.explanation is None or evidence is None:
        return []
    return list(evidence_sections(Context(answer, evidence, place, images)))


def _modalities(answer: Answer, explanation: Explanation) -> WaterfallSection | None:
    shares = {noun(share.modality): share.share for share in explanation.modalities}
    steps = modality_steps(explanation.without_inputs, shares)
    if not steps:
        return None
    lead = "Exact Shapley values: the prediction is computed for every subset of the inputs."
    writers: tuple[Write, Write] = (percentage_points, probability)
    adds, threshold = "Adds, points", _threshold(answer, explanation.output)
    if answer.kind == "regression":
        writers, adds, threshold = (signed, number), f"Adds, {answer.unit}" if answer.unit else "Adds", None
    lead += " The dashed line is the threshold." if threshold is not None else ""
    lead += ABSENCE if explanation.method else ""
    table = waterfall(steps, ("Without any input", "With all inputs"), ("Input", "", adds), writers, threshold)
    return WaterfallSection("modalities", "Contribution of each kind of input", lead, table)


def _threshold(answer: Answer, output: str) -> float | None:
    if answer.abstains:
        return None
    operating = next((estimate.operating for estimate in answer.outputs if estimate.output == output), None)
    return operating.threshold if operating and operating.threshold <= 1 else None


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
            f" The contributions sum to {write(complete.total)}; the answer ({answer.scale}) changed by "
            f"{write(complete.difference)}, from {write(complete.reference)} to {write(complete.value)}, over "
            f"{complete.steps} gradients."
        )
    if explanation.gap is not None:
        text += f" {100 * explanation.gap:.1f} % is unexplained."
    return text + _members(answer, explanation)


def _members(answer: Answer, explanation: Explanation) -> str:
    """Return what each member adds, and which columns of the classical members have no place elsewhere on the page."""
    text = ""
    if explanation.members:
        write = writer(one.share for one in explanation.members)
        names = [one.member.replace("_", " ").replace(":", " of ") for one in explanation.members]
        parts = (f"{name} {write(one.share)}" for name, one in zip(names, explanation.members, strict=True))
        text += f" All members of the model are explained, with their weights and calibration ({answer.scale}): "
        text += f"{', '.join(parts)}."
    if explanation.columns:
        write = writer(one.score for one in explanation.columns)
        columns = (f"{one.name} ({noun(one.modality)}) {write(one.score)}" for one in explanation.columns)
        text += f" Summaries of an input in the classical members, not in the sections above: {', '.join(columns)}."
    return text
