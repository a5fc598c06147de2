"""The page of an assessment: its frame, and one section per answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polyclinic.assess import Answer, Assessment
from polyclinic.exchange.html.answer_section import answer_section, title
from polyclinic.exchange.html.evidence import Evidence
from polyclinic.exchange.html.formatting import output_name, probability
from polyclinic.exchange.html.image_section import shared_image
from polyclinic.explain.display.labels import number
from polyclinic.files import write_text
from polyclinic.html import content_hash, render_page, resource

NO_EVIDENCE: Mapping[str, Evidence] = {}


def write_assessment_page(assessment: Assessment, path: Path, evidence: Mapping[str, Evidence] = NO_EVIDENCE) -> None:
    """Write the page of an assessment to `path`, atomically; `evidence` is by task (see `evidence_of`)."""
    write_text(path, assessment_page(assessment, evidence))


def assessment_page(assessment: Assessment, evidence: Mapping[str, Evidence] = NO_EVIDENCE) -> str:
    """Return the HTML page of an assessment, a function of its arguments alone."""
    contents = {blob: content for found in evidence.values() for blob, content in found.images.items()}
    ids = {blob: f"image-{place}" for place, blob in enumerate(contents)}
    script = resource("exchange/html/page.js")
    return render_page(
        "exchange/html/page.html",
        title=f"Assessment of subject {assessment.subject_id}",
        subject_id=assessment.subject_id,
        images=[shared_image(content, ids[blob]) for blob, content in contents.items()],
        links=[(title(answer), _short(answer)) for answer in assessment.answers],
        sections=[
            answer_section(assessment, answer, evidence.get(answer.task), place, ids)
            for place, answer in enumerate(assessment.answers)
        ],
        fingerprints=assessment.fingerprints,
        script=script,
        script_hash=content_hash(script),
    )


def _short(answer: Answer) -> str:
    """Format the answer in a few words, for the navigation."""
    if answer.abstains or not answer.outputs:
        return "abstains"
    if answer.kind == "regression":
        return f"{number(answer.outputs[0].value)} {answer.unit or ''}".strip()
    best = max(answer.outputs, key=lambda estimate: estimate.value)
    named = "" if len(answer.outputs) == 1 else f"{output_name(best.output)} "
    return named + probability(best.value)
