"""Section of development patients similar to this one, and their outcomes."""

from collections.abc import Sequence

from polyclinic.assess import InCommon, Similar
from polyclinic.exchange.html.formatting import position
from polyclinic.explain.display.labels import feature_in_words, number
from polyclinic.html import Markup, render


def similar_section(patients: Sequence[Similar], task: str) -> Markup:
    """Return the section; empty without patients."""
    rows = [
        {
            "subject_id": patient.subject_id,
            "similarity": f"{patient.likeness:.2f}",
            "width": position(max(patient.likeness, 0.0)),
            "outcome": _outcome(patient, task),
            "shared": "; ".join(_shared(feature) for feature in patient.shares) or "none",
        }
        for patient in patients
    ]
    return render("exchange/html/similar_section.html", rows=rows) if rows else Markup()


def _outcome(patient: Similar, task: str) -> str:
    value = next((outcome.value for outcome in patient.outcomes if outcome.task == task), None)
    if value is None:
        return "not known"
    return value if isinstance(value, str) else number(value)


def _shared(feature: InCommon) -> str:
    worded = feature_in_words(feature.name, feature.mine)
    return f"{worded.label}: {worded.value}"
