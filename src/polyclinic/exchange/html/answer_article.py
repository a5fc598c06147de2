"""One answer on the page: what is said, whether to rely on it, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from polyclinic.assess import Answer, Assessment, Explanation, Record
from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.evidence import Evidence, kept_evidence
from polyclinic.exchange.html.image_section import image_section
from polyclinic.exchange.html.markup import chance, outcome, points, section
from polyclinic.exchange.html.note_section import note_section
from polyclinic.exchange.html.series_section import series_section
from polyclinic.exchange.html.similar_section import similar_section
from polyclinic.exchange.html.verdict import MODALITIES, cautions, completeness, verdict
from polyclinic.exchange.html.waterfall import Write, waterfall
from polyclinic.explain.attribution import StructuredAttribution
from polyclinic.explain.display.labels import number, signed, writer
from polyclinic.explain.display.summaries import modality_steps, structured_steps

METHODS = {"integrated_gradients": "Integrated gradients"}
BASELINES = {
    "zero": "nothing at all",
    "usual": "what pictures and notes usually show, and nothing else",
    "blurred": "a blurred picture",
    "mean": "the average patient",
}
TRUSTED = {
    "passed": "✓ {}, which passed the audit of this model{}.",
    "failed": "✕ {}, which failed the audit of this model{}: do not rely on them.",
    "not_audited": "? {}, which nobody has audited on this model{}.",
}
"""Whether the method of the scores is to be trusted: the method is put in, and the reason."""
COMPLETE = 0.02
"""Of the gap: what is more is told as a caution."""
CAUSES = (
    "Contributions say what the model used. They do not say what causes what, and a model may be right for a wrong "
    "reason."
)


def answer_section(
    assessment: Assessment, answer: Answer, evidence: Evidence | None, place: int, films: Mapping[str, str]
) -> str:
    """Give the article of an answer.

    Args:
        assessment: which the answer is of.
        answer: to one task.
        evidence: beyond what the assessment keeps.
        place: of the answer on the page.
        films: by blob, the ids of the pictures' copies on the page.
    """
    record = assessment.record_of(answer)
    asked = f"Asked at {answer.prediction_time:%Y-%m-%d %H:%M}" if answer.prediction_time else "Not asked"
    question, _, details = answer.question.partition("? ")
    parts = [
        f'<article id="answer-{place}">',
        f'<p class="eyebrow">{escape(title(answer))} · {asked}</p>',
        f"<h2>{escape(question + ('?' if details else ''))}</h2>",
        _put(details),
        verdict(answer),
        cautions(answer, record, (*_inexact(answer.explanation), *assessment.lacks)),
        completeness(record) if record else "",
        *_explained(assessment, answer, evidence, place, films),
        _similar(record, answer),
        _exactness(answer, answer.explanation, evidence) if answer.explanation else "",
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def title(answer: Answer) -> str:
    """Give the name of an answer's task."""
    return answer.task.replace("_", " ").capitalize()


def _put(details: str) -> str:
    if not details:
        return ""
    return f'<details class="question"><summary>How the question is put</summary><p>{escape(details)}</p></details>'


def _inexact(explanation: Explanation | None) -> Iterator[str]:
    if explanation is None or explanation.method is None:
        return
    if explanation.trust.verdict == "failed":
        name = METHODS.get(explanation.method, explanation.method).lower()
        yield (
            f"The contributions below come from {name}, which failed the audit of this model's explanations "
            f"({explanation.trust.reason}): do not rely on them."
        )
    if explanation.gap is None:
        yield "Whether the contributions below are complete is not known: read them as a rough guide."
    elif explanation.gap > COMPLETE:
        missed = f"{100 * explanation.gap:.0f} %"
        yield f"The contributions below miss {missed} of what they are to explain: read them as a rough guide."


def _explained(
    assessment: Assessment, answer: Answer, given: Evidence | None, place: int, films: Mapping[str, str]
) -> Iterator[str]:
    if answer.explanation is None:
        return
    yield _key(answer.explanation)
    yield _modalities(answer, answer.explanation)
    evidence = given or kept_evidence(assessment, answer)
    if evidence is None:
        return
    attribution, scale = evidence.attribution, answer.scale
    scores = {one.blob: one.score for one in answer.explanation.pictures}
    for rank, picture in enumerate(attribution.pictures):
        if picture.blob in evidence.films:
            key, content = f"{place}-{rank}", evidence.films[picture.blob]
            setting = answer.explanation.map
            yield image_section(picture, content, films[picture.blob], key, setting, scores.get(picture.blob), scale)
    if attribution.get("note"):
        yield note_section(attribution["note"], evidence.notes, scale)
    if attribution.get("series"):
        yield series_section(attribution["series"], scale, evidence.whole)
    if attribution.get("structured"):
        yield _structured(attribution["structured"], scale, evidence.whole)


def _key(explanation: Explanation) -> str:
    """Say how to read the marks, and whether the method is to be trusted."""
    output = explanation.output
    what = "it" if output in ("yes", "value") else f"“{outcome(output)}”"
    return (
        '<section class="key"><h3>What the answer rests on</h3><ul>'
        '<li><svg width="34" height="14" aria-hidden="true"><rect class="for" width="34" height="14"/></svg>'
        f"<span><b>+</b> speaks for {escape(what)}</span></li>"
        '<li><svg width="34" height="14" aria-hidden="true"><rect class="against" width="34" height="14"/></svg>'
        "<span><b>−</b> speaks against</span></li>"
        '<li><span class="word for level-4">word</span><span>for: a solid line, thicker the more</span></li>'
        '<li><span class="word against level-4">word</span><span>against: a dashed line</span></li>'
        '<li><span class="word negation">no</span><span>a negation</span></li>'
        '<li><span class="word denied">effusion</span><span>denied</span></li></ul>'
        f'{_trust(explanation)}<p class="lead">{CAUSES}</p></section>'
    )


def _trust(explanation: Explanation) -> str:
    if explanation.method is None:
        return ""
    trust, name = explanation.trust, METHODS.get(explanation.method, explanation.method).lower()
    made = f"Maps, underlined words and contributions are made by {name}"
    reason = f" ({trust.reason})" if trust.reason else ""
    return f'<p class="trust {trust.verdict}">{escape(TRUSTED[trust.verdict].format(made, reason))}</p>'


def _modalities(answer: Answer, explanation: Explanation) -> str:
    shares = {MODALITIES.get(one.modality, one.modality): one.share for one in explanation.modalities}
    steps = modality_steps(explanation.without_inputs, shares)
    if not steps:
        return ""
    lead = "Exact Shapley values: the answer is asked for every subset of the inputs."
    writers: tuple[Write, Write] = (points, chance)
    adds, threshold = "Adds, points", _threshold(answer, explanation.output)
    if answer.kind == "regression":
        writers, adds, threshold = (signed, number), f"Adds, {answer.unit}" if answer.unit else "Adds", None
    lead += " The dashed line is the threshold." if threshold is not None else ""
    table = waterfall(steps, ("Without any input", "With all of it"), ("Input", "", adds), writers, threshold)
    return section("modalities", "What each kind of input adds", table, lead)


def _threshold(answer: Answer, output: str) -> float | None:
    if answer.abstains:
        return None
    found = next((said.operating for said in answer.outputs if said.output == output), None)
    return found.threshold if found and found.threshold <= 1 else None


def _structured(structured: StructuredAttribution, scale: str, whole: bool) -> str:
    steps = structured_steps(structured)
    if not steps:
        return ""
    known = int((structured.scores != 0).sum())
    ends = ("Nothing known", "The structured record" if whole else "With these")
    heads = ("Feature", "Recorded", f"Adds, {scale}")
    lead = f"The weightiest of {known} features that are known, and all others as one bar."
    write = writer(step.score for step in steps)
    table = waterfall(steps, ends, heads, (write, write))
    return section("structured", "The structured record", table, lead if whole else "The weightiest features.")


def _similar(record: Record | None, answer: Answer) -> str:
    return similar_section(record.similar, answer.task) if record else ""


def _exactness(answer: Answer, explanation: Explanation, evidence: Evidence | None) -> str:
    if explanation.method is None:
        return ""
    told = [METHODS.get(explanation.method, explanation.method)]
    if explanation.baseline:
        told.append(f"against {BASELINES.get(explanation.baseline, explanation.baseline)}")
    text = ", ".join(told) + "."
    complete = evidence.attribution.completeness if evidence else None
    if complete is not None:
        write = writer([complete.difference])
        text += (
            f" The contributions add up to {write(complete.total)}; the networks' answer, in {answer.scale}, moved by "
            f"{write(complete.difference)}, from {write(complete.reference)} to {write(complete.value)}, after "
            f"{complete.steps} gradients."
        )
    if explanation.gap is not None:
        text += f" {100 * explanation.gap:.1f} % is left unexplained."
    text += " They explain the networks; classical models and the calibration come after."
    return f'<section class="exact"><h3>How exact this is</h3><p>{escape(text)}</p></section>'
