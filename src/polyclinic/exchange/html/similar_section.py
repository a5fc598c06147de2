"""Patients of development who are like this one, and what became of them."""

from collections.abc import Sequence

from polyclinic.assess import InCommon, Similar
from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.markup import at, section
from polyclinic.explain.display.labels import feature_in_words, number

LEAD = "Patients that the model learnt from and places near this one. Near does not mean that the same will happen."
HEADS = ("Patient", "Likeness", "What happened", "Unusual in both")


def similar_section(patients: Sequence[Similar], task: str) -> str:
    """Give the section, or nothing where there is nobody."""
    if not patients:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in HEADS)
    rows = "".join(_row(one, task) for one in patients)
    table = f'<table class="similar"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return section("alike", "Similar patients", f'<div class="scroll">{table}</div>', LEAD)


def _row(one: Similar, task: str) -> str:
    outcome = next((each.value for each in one.outcomes if each.task == task), None)
    told = "not known" if outcome is None else outcome if isinstance(outcome, str) else number(outcome)
    shared = "; ".join(_shared(each) for each in one.shares) or "nothing"
    bar = '<svg class="likeness" height="8" width="64" aria-hidden="true"><rect class="track" width="100%" height="8"/>'
    bar += f'<rect class="like" width="{at(max(one.likeness, 0.0))}" height="8"/></svg>'
    return (
        f'<tr><th scope="row">{one.subject_id}</th><td class="like">{bar} {one.likeness:.2f}</td>'
        f"<td>{escape(told)}</td><td>{escape(shared)}</td></tr>"
    )


def _shared(one: InCommon) -> str:
    worded = feature_in_words(one.name, one.mine)
    return f"{worded.label}: {worded.value}"
