"""Short names of vital signs that are also words for a time: `hr` of the heart rate, `dias` of the blood pressure."""

from collections.abc import Mapping

from polyclinic.ingest.table.column_profile import Profile, folded, matches, without_bound

_RANGE = (20.0, 400.0)  # beats per minute; hours from a start begin below


def vital_signs(columns: Mapping[str, Profile]) -> frozenset[str]:
    """Return the columns called `hr` with numbers of heart rates, and those called `dias` beside one called `sys`."""
    systolic = any(matches(name, "sys", "syst", "systol(?:ic|e)?") for name in columns)
    return frozenset(
        name
        for name, profile in columns.items()
        if (matches(name, "hr") and profile.numeric and profile.most(_may_be_heart_rate))
        or (systolic and folded(name) == "dias")
    )


def _may_be_heart_rate(text: str) -> bool:
    return _RANGE[0] <= float(without_bound(text)) <= _RANGE[1]
