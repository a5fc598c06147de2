"""The page: its frame, its policy, and one article for each answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from polyclinic.assess import Answer, Assessment
from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.answer_article import answer_section, title
from polyclinic.exchange.html.evidence import Evidence
from polyclinic.exchange.html.image_section import shared_image
from polyclinic.exchange.html.markup import PATTERNS, chance, outcome
from polyclinic.explain.display.labels import number
from polyclinic.files import write_text

NOTHING: Mapping[str, Evidence] = {}


def write_assessment_page(assessment: Assessment, path: Path, evidence: Mapping[str, Evidence] = NOTHING) -> None:
    """Write the page of an assessment to `path`, atomically; `evidence` is by task (see `evidence_of`)."""
    write_text(path, assessment_page(assessment, evidence))


def assessment_page(assessment: Assessment, evidence: Mapping[str, Evidence] = NOTHING) -> str:
    """Give the HTML page of an assessment; the same assessment and evidence give the same page."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
    policy += "base-uri 'none'; form-action 'none'"
    contents = {blob: content for one in evidence.values() for blob, content in one.films.items()}
    ids = {blob: f"film-{place}" for place, blob in enumerate(contents)}
    films = "".join(shared_image(content, ids[blob]) for blob, content in contents.items())
    articles = "\n".join(
        answer_section(assessment, answer, evidence.get(answer.task), place, ids)
        for place, answer in enumerate(assessment.answers)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Assessment of subject {assessment.subject_id}</title>
<style>{style}</style>
</head>
<body>
{PATTERNS}{films}
<header>
<p class="eyebrow">Assessment</p>
<h1>Subject {assessment.subject_id}</h1>
{_navigation(assessment)}
</header>
<main>
{articles}
</main>
<footer>
{_provenance(assessment)}
</footer>
<script>{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files("polyclinic.exchange.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _navigation(assessment: Assessment) -> str:
    if len(assessment.answers) < 2:
        return ""
    links = "".join(
        f'<a href="#answer-{place}">{escape(title(answer))}<b>{escape(_short(answer))}</b></a>'
        for place, answer in enumerate(assessment.answers)
    )
    return f'<nav aria-label="Questions">{links}</nav>'


def _short(answer: Answer) -> str:
    if answer.abstains or not answer.outputs:
        return "abstains"
    if answer.kind == "regression":
        return f"{number(answer.outputs[0].value)} {answer.unit or ''}".strip()
    best = max(answer.outputs, key=lambda said: said.value)
    return chance(best.value) if len(answer.outputs) == 1 else f"{outcome(best.output)} {chance(best.value)}"


def _provenance(assessment: Assessment) -> str:
    prints = assessment.fingerprints
    rows = {"Model": prints.bundle, "Cohort": prints.cohort, "Polyclinic": prints.polyclinic}
    told = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    return (
        "<p>An aid to judgement, not a judgement. Nothing later than the time asked was read.</p>"
        f'<dl class="prints">{told}</dl>'
    )
