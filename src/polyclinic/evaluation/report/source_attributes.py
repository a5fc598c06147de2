"""The 31 source attributes of a predictive decision support intervention: 45 CFR 170.315(b)(11)(iv)(B), HTI-1.

Each is a statement of people, a fact that the program has, or null: nothing is invented.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel


class Attribute(BaseModel, frozen=True, extra="forbid"):
    """The text of an attribute, and who says so: people (`stated`), the program (`computed`), or both."""

    text: str
    source: Literal["stated", "computed", "stated and computed"]


Known = Attribute | None
"""None: neither stated nor computed."""


class Group(BaseModel, frozen=True, extra="forbid"):
    """A group of attributes."""


class Details(Group):
    """(1) Details and output."""

    developer_and_contact: Known
    funding: Known
    output_value: Known
    output_type: Known


class Purpose(Group):
    """(2) Purpose."""

    intended_use: Known
    intended_population: Known
    intended_users: Known
    decision_making_role: Known


class OutOfScope(Group):
    """(3) Cautioned out-of-scope use."""

    tasks_situations_populations: Known
    risks_and_limitations: Known


class DevelopmentDetails(Group):
    """(4) Development details and input features."""

    inclusion_and_exclusion: Known
    demographic_inputs: Known
    representativeness: Known
    relevance_to_setting: Known


class Fairness(Group):
    """(5) Process used to ensure fairness."""

    approach: Known
    bias_management: Known


class ExternalValidation(Group):
    """(6) External validation process."""

    data_source_and_setting: Known
    party: Known
    representativeness: Known
    process: Known


class Performance(Group):
    """(7) Quantitative measures of performance."""

    validity_same_source: Known
    fairness_same_source: Known
    validity_external: Known
    fairness_external: Known
    outcome_references: Known


class Maintenance(Group):
    """(8) Ongoing maintenance."""

    validity_monitoring: Known
    validity_local: Known
    fairness_monitoring: Known
    fairness_local: Known


class Updates(Group):
    """(9) Update and continued validation or fairness assessment schedule."""

    update_process: Known
    correction_frequency: Known


class SourceAttributes(BaseModel, frozen=True, extra="forbid"):
    """The nine groups."""

    details: Details
    purpose: Purpose
    out_of_scope: OutOfScope
    development: DevelopmentDetails
    fairness: Fairness
    external_validation: ExternalValidation
    performance: Performance
    maintenance: Maintenance
    updates: Updates

    def items(self) -> Iterator[tuple[str, str, Known]]:
        """Yield the heading of the group, the name and the value of each attribute."""
        for group in type(self).model_fields:
            own: Group = getattr(self, group)
            for name in type(own).model_fields:
                yield (type(own).__doc__ or group).rstrip("."), name, getattr(own, name)


KEYS = {
    "developer_and_contact": "developer, contact",
    "intended_population": "population",
    "decision_making_role": "decision_role",
    "tasks_situations_populations": "out_of_scope",
    "risks_and_limitations": "known_risks",
    "relevance_to_setting": "relevance",
    "approach": "fairness_approach",
    "data_source_and_setting": "external_data",
    "party": "external_party",
    "process": "external_process",
    "update_process": "update_plan",
    "correction_frequency": "correction_schedule",
}
"""Keys of `About` to fill, where they have another name than the attribute."""
COMPUTED_LATER = {
    "output_value": "polyclinic train",
    "output_type": "polyclinic train",
    "inclusion_and_exclusion": "polyclinic train",
    "demographic_inputs": "polyclinic train",
    "validity_same_source": "polyclinic train",
    "fairness_same_source": "polyclinic train",
    "validity_external": "polyclinic evaluate on another cohort",
    "fairness_external": "polyclinic evaluate on another cohort",
}
"""The command that computes an attribute that people have not stated."""


def remedy(group: str, name: str) -> str:
    """Return what to do about an attribute that is null."""
    if name in COMPUTED_LATER:
        groups = ", in groups of 5 or more with the outcome" if name.startswith("fairness") else ""
        return f"not computed (by {COMPUTED_LATER[name]}{groups})"
    external = name == "representativeness" and group.startswith("(6)")
    return f"not stated (key: {'external_representativeness' if external else KEYS.get(name, name)})"
