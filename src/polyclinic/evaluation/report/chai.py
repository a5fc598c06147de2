"""The fields of the Applied Model Card of the Coalition for Health AI (CHAI), schema v0.2, as JSON.

Names follow https://mc.chai.org/v0.2/schema.xsd. What is neither stated nor computed is null.
"""

from __future__ import annotations

from pydantic import BaseModel

from polyclinic.evaluation.report.attribute_texts import demographics, figures_text, groups_text
from polyclinic.evaluation.report.contents import Card
from polyclinic.evaluation.report.description import Description
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.shown_counts import shown_figures

SAFETY = ("sensitivity", "specificity", "ppv", "npv", "calibration_slope", "calibration_intercept")


class Section(BaseModel, frozen=True, extra="forbid"):
    """A section of the card."""


class BasicInfo(Section):
    """Who made it."""

    model_name: str | None
    model_developer: str | None
    developer_contact: str | None


class ReleaseInfo(Section):
    """The release."""

    release_stage: str | None
    release_date: str | None
    release_version: str | None
    global_availability: str | None
    regulatory_approval: str | None


class ModelSummary(Section):
    """Summary and keywords."""

    summary: str | None
    keywords: tuple[str, ...]


class UsesAndDirections(Section):
    """Use."""

    intended_use_and_workflow: str | None
    primary_intended_users: str | None
    how_to_use: str | None
    targeted_patient_population: str | None
    cautioned_out_of_scope_settings: str | None


class Warnings(Section):
    """Risks."""

    known_risks_and_limitations: str | None
    known_biases_or_ethical_considerations: str | None
    clinical_risk_level: str | None


class AISystemFacts(Section):
    """The system."""

    outcomes_and_outputs: str | None
    model_type: str | None
    foundation_models: str | None
    input_data_source: str | None
    output_and_input_data_types: str | None
    development_data_characterization: str | None
    bias_mitigation_approaches: str | None
    ongoing_maintenance: str | None
    security: str | None
    transparency: str | None


class TransparencyInformation(Section):
    """Funding, third parties, stakeholders."""

    funding_source: str | None
    third_party_information: str | None
    stakeholders_consulted: str | None


class MetricResult(Section):
    """A figure with its interval."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int


class KeyMetric(Section):
    """Results for one aim."""

    metric_goal: str | None
    results: tuple[MetricResult, ...]
    interpretation: str | None
    test_type: str | None
    testing_data_description: str | None
    validation_process_and_justification: str | None


class KeyMetrics(Section):
    """Results by aim."""

    usefulness_usability_efficacy: KeyMetric
    fairness_equity: KeyMetric
    safety_reliability: KeyMetric


class Resources(Section):
    """References."""

    evaluation_references: str | None
    clinical_trial: str | None
    peer_reviewed_publications: str | None
    reimbursement_status: str | None
    patient_consent_or_disclosure: str | None


class AppliedModelCard(Section):
    """The card."""

    basic_info: BasicInfo
    release_info: ReleaseInfo
    model_summary: ModelSummary
    uses_and_directions: UsesAndDirections
    warnings: Warnings
    ai_system_facts: AISystemFacts
    transparency_information: TransparencyInformation
    key_metrics: KeyMetrics
    resources: Resources
    bibliography: str | None


def applied_model_card(card: Card) -> AppliedModelCard:
    """Return the fields of a card."""
    described = card.description or Description()
    about = described.about
    keywords = tuple(word.strip() for word in (about.keywords or "").split(",") if word.strip())
    return AppliedModelCard(
        basic_info=BasicInfo(
            model_name=about.name or card.task, model_developer=about.developer, developer_contact=about.contact
        ),
        release_info=ReleaseInfo(
            release_stage=about.release_stage,
            release_date=about.release_date,
            release_version=about.version,
            global_availability=about.availability,
            regulatory_approval=about.regulatory_status,
        ),
        model_summary=ModelSummary(summary=about.summary or card.question, keywords=keywords),
        uses_and_directions=UsesAndDirections(
            intended_use_and_workflow=about.intended_use,
            primary_intended_users=about.intended_users,
            how_to_use=about.how_to_use,
            targeted_patient_population=about.population,
            cautioned_out_of_scope_settings=about.out_of_scope,
        ),
        warnings=Warnings(
            known_risks_and_limitations=_both(about.known_risks, " ".join(card.caveats)),
            known_biases_or_ethical_considerations=about.known_biases,
            clinical_risk_level=about.clinical_risk,
        ),
        ai_system_facts=_system(card, described),
        transparency_information=TransparencyInformation(
            funding_source=about.funding,
            third_party_information=about.third_parties,
            stakeholders_consulted=about.stakeholders,
        ),
        key_metrics=_key_metrics(card, described),
        resources=Resources(
            evaluation_references=about.outcome_references,
            clinical_trial=about.clinical_trial,
            peer_reviewed_publications=about.publications,
            reimbursement_status=about.reimbursement,
            patient_consent_or_disclosure=about.consent,
        ),
        bibliography=about.bibliography,
    )


def _both(stated: str | None, computed: str | None) -> str | None:
    return " ".join(text for text in (stated, computed) if text) or None


def _system(card: Card, described: Description) -> AISystemFacts:
    about, development = described.about, described.development
    members = ", ".join(member.name for member in development.members) if development else ""
    cohort = development.cohort if development else None
    sources = ", ".join(source.name for source in cohort.sources) if cohort else ""
    numbers = f"{cohort.subjects:,} subjects; {cohort.dates}." if cohort else None
    return AISystemFacts(
        outcomes_and_outputs=f"{development.task.outcome} {development.task.output}" if development else None,
        model_type=f"Weighted combination of {members}." if members else None,
        foundation_models=None,
        input_data_source=_both(about.setting, f"Sources: {sources}." if sources else None),
        output_and_input_data_types=_both(
            development.task.output_type if development else None,
            f"Inputs: {', '.join(card.inputs)}." if card.inputs else None,
        ),
        development_data_characterization=_both(numbers, demographics(development)),
        bias_mitigation_approaches=about.bias_management,
        ongoing_maintenance=_both(about.validity_monitoring, about.update_plan),
        security=about.security,
        transparency=about.transparency,
    )


def _key_metrics(card: Card, described: Description) -> KeyMetrics:
    measured = described.measured
    test = None if measured is None else "external validation" if described.external else "internal validation"
    data = None if measured is None else f"{card.evaluation.n:,} samples of {measured.how}; {measured.cohort.dates}."
    figures = shown_figures(card.evaluation)

    def metric(names: tuple[str, ...], interpretation: str | None) -> KeyMetric:
        results = tuple(
            MetricResult(label=term(name).label, value=own.value, low=own.low, high=own.high, n=own.n)
            for name in names
            if (own := figures.get(name)) is not None
        )
        return KeyMetric(
            metric_goal=None,
            results=results,
            interpretation=interpretation,
            test_type=test,
            testing_data_description=data,
            validation_process_and_justification=described.about.external_process,
        )

    return KeyMetrics(
        usefulness_usability_efficacy=metric(card.evaluation.headline, figures_text(card)),
        fairness_equity=metric((), groups_text(card)),
        safety_reliability=metric(SAFETY, None),
    )
