"""What only people know about a model: who made it, for whom, where it is to be used; read from a user's YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from polyclinic.yaml_errors import describe, parse


class AboutError(ValueError):
    """A file about a model is invalid; the message names file, line and remedy."""


def _text(value: str | None) -> str | None:
    """Return the text without spaces around it; None if nothing is left."""
    return (value or "").strip() or None


def _stated(description: str) -> Any:
    return Field(None, description=description)


Stated = Annotated[str | None, AfterValidator(_text)]
"""A text that the user gives; None: not stated."""


class About(BaseModel, frozen=True, extra="forbid"):
    """Statements about a model, each a text; what is not stated is None, and never filled in by the program.

    Example:
        >>> About.from_yaml("developer: Clinic for Example Medicine").developer
        'Clinic for Example Medicine'

    Raises:
        AboutError: from `load` and `from_yaml`; the message names file, line and choices.
    """

    name: Stated = _stated("Name of the model.")
    summary: Stated = _stated("The model in a few sentences.")
    keywords: Stated = _stated("Keywords, separated by commas.")
    developer: Stated = _stated("Person or organisation that developed it.")
    contact: Stated = _stated("How to reach the developer.")
    funding: Stated = _stated("Who paid for the development.")
    version: Stated = _stated("Version of the release.")
    release_stage: Stated = _stated("Such as research, pilot, in use.")
    release_date: Stated = _stated("Date of the release.")
    availability: Stated = _stated("Countries and sites where it is available.")
    regulatory_status: Stated = _stated("Clearance or approval, and by whom.")
    setting: Stated = _stated("Where the data come from: kind and number of hospitals, wards, countries.")
    intended_use: Stated = _stated("What it is for, and at which step of the work.")
    intended_users: Stated = _stated("Who reads the answer.")
    how_to_use: Stated = _stated("What users are to do with the answer.")
    population: Stated = _stated("Patients for whom it is meant.")
    decision_role: Stated = _stated("Whether it informs, augments or replaces a decision of a clinician.")
    out_of_scope: Stated = _stated("Tasks, situations and populations for which it must not be used.")
    known_risks: Stated = _stated("Known risks, inaccuracies and limits.")
    known_biases: Stated = _stated("Known biases and ethical considerations.")
    clinical_risk: Stated = _stated("Level of clinical risk, and the scale.")
    representativeness: Stated = _stated("How the development data represent the intended population.")
    relevance: Stated = _stated("How the development data suit the setting of use.")
    fairness_approach: Stated = _stated("How fairness was considered in development.")
    bias_management: Stated = _stated("How bias is managed, reduced or removed.")
    external_data: Stated = _stated("Data and setting of a validation elsewhere.")
    external_party: Stated = _stated("Who carried out the validation elsewhere.")
    external_representativeness: Stated = _stated("Demographic representativeness of the data of that validation.")
    external_process: Stated = _stated("How the validation elsewhere was done.")
    outcome_references: Stated = _stated("Publications on outcomes of its use.")
    validity_monitoring: Stated = _stated("How validity is monitored over time.")
    validity_local: Stated = _stated("Validity found in local data over time.")
    fairness_monitoring: Stated = _stated("How fairness is monitored over time.")
    fairness_local: Stated = _stated("Fairness found in local data over time.")
    update_plan: Stated = _stated("How, and how often, it is updated.")
    correction_schedule: Stated = _stated("How often performance is corrected when risks are found.")
    security: Stated = _stated("Security, and compliance with rules.")
    transparency: Stated = _stated("How users can understand and question an answer.")
    third_parties: Stated = _stated("Third parties, and what they contributed.")
    stakeholders: Stated = _stated("Who was consulted: clinicians, patients, others.")
    clinical_trial: Stated = _stated("Registered trial.")
    publications: Stated = _stated("Peer-reviewed publications.")
    reimbursement: Stated = _stated("Status of reimbursement.")
    consent: Stated = _stated("Consent of patients, or what they are told.")
    bibliography: Stated = _stated("References, in BibTeX.")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a YAML file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AboutError(f"{path} cannot be read: give the path of a YAML file, in UTF-8") from error
        return cls.from_yaml(text, str(path))

    @classmethod
    def from_yaml(cls, text: str, where: str = "about") -> Self:
        """Read YAML; `where` names the source in errors."""
        value, lines = parse(text, where, AboutError)
        if value is None:
            return cls()
        if not isinstance(value, dict):
            raise AboutError(f"{where} line 1: give keys with texts, such as developer: and intended_use:")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise AboutError(describe(error, cls, lines, where)) from None

    def updated(self, other: About | None) -> About:
        """Return the statements with those of `other` instead, where it has any."""
        stated = {} if other is None else other.model_dump(exclude_none=True)
        return self.model_copy(update=stated)
