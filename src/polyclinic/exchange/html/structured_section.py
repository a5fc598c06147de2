"""Section of the structured record: a waterfall of the largest contributions."""

from collections.abc import Iterator

from polyclinic.exchange.html.sections import Context
from polyclinic.exchange.html.waterfall import WaterfallSection, waterfall
from polyclinic.explain.attribution import StructuredAttribution
from polyclinic.explain.display.labels import writer
from polyclinic.explain.display.summaries import structured_steps
from polyclinic.html import Markup, render


def sections(context: Context) -> Iterator[Markup]:
    """Yield one section, or none if no feature contributes."""
    structured, whole = context.evidence.attribution["structured"], context.evidence.whole
    steps = structured_steps(structured)
    if not steps:
        return
    ends = ("No features", "Structured record" if whole else "These features")
    write = writer(step.score for step in steps)
    table = waterfall(steps, ends, ("Feature", "Recorded", f"Adds, {context.answer.scale}"), (write, write))
    section = WaterfallSection("structured", "Structured record", _lead(structured, whole), table)
    yield render("exchange/html/waterfall_section.html", section=section)


def _lead(structured: StructuredAttribution, whole: bool) -> str:
    if not whole:
        return "The features of the largest contributions."
    known = int((structured.scores != 0).sum())
    return f"The largest of {known} known features; one bar sums the others."
