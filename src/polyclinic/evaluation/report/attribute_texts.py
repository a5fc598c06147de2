"""Fill the source attributes from a card: its facts, its figures, and people's statements."""

from __future__ import annotations

from collections.abc import Iterable

from polyclinic.evaluation.report.contents import Card
from polyclinic.evaluation.report.description import Description, DevelopmentFacts, MeasuredFacts
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.shown_counts import shown_figures, shown_rows
from polyclinic.evaluation.report.source_attributes import (
    Attribute,
    Details,
    DevelopmentDetails,
    ExternalValidation,
    Fairness,
    Known,
    Maintenance,
    OutOfScope,
    Performance,
    Purpose,
    SourceAttributes,
    Updates,
)
from polyclinic.evaluation.small_counts import count_text

DEMOGRAPHIC = ("demographic", "social", "meds_birth")
"""Kinds of codes that describe the person, in lower case."""


def known(stated: str | None, computed: str | None = None) -> Known:
    """Return an attribute from a statement, a fact, or both; None without either."""
    if stated and computed:
        return Attribute(text=f"{stated} {computed}", source="stated and computed")
    if stated:
        return Attribute(text=stated, source="stated")
    return Attribute(text=computed, source="computed") if computed else None


def source_attributes(card: Card) -> SourceAttributes:
    """Return the 31 source attributes of a card."""
    described = card.description or Description()
    about, development = described.about, described.development
    return SourceAttributes(
        details=Details(
            developer_and_contact=known(_joined((about.developer, about.contact), "; ")),
            funding=known(about.funding),
            output_value=known(None, development.task.output if development else None),
            output_type=known(None, development.task.output_type if development else None),
        ),
        purpose=Purpose(
            intended_use=known(about.intended_use),
            intended_population=known(about.population),
            intended_users=known(about.intended_users),
            decision_making_role=known(about.decision_role),
        ),
        out_of_scope=OutOfScope(
            tasks_situations_populations=known(about.out_of_scope),
            risks_and_limitations=known(about.known_risks, _joined(card.caveats, " ")),
        ),
        development=DevelopmentDetails(
            inclusion_and_exclusion=known(None, development.task.eligibility if development else None),
            demographic_inputs=known(None, demographic_inputs(described)),
            representativeness=known(about.representativeness, demographics(development)),
            relevance_to_setting=known(about.relevance),
        ),
        fairness=Fairness(
            approach=known(about.fairness_approach, _groupings(card)), bias_management=known(about.bias_management)
        ),
        external_validation=_external(described),
        performance=_performance(card, described),
        maintenance=Maintenance(
            validity_monitoring=known(about.validity_monitoring),
            validity_local=known(about.validity_local),
            fairness_monitoring=known(about.fairness_monitoring),
            fairness_local=known(about.fairness_local),
        ),
        updates=Updates(update_process=known(about.update_plan), correction_frequency=known(about.correction_schedule)),
    )


def _external(described: Description) -> ExternalValidation:
    about, measured = described.about, described.measured if described.external else None
    data = process = people = None
    if measured is not None:
        sources = ", ".join(source.name for source in measured.cohort.sources) or measured.cohort.fingerprint
        data = f"Cohort of {measured.cohort.subjects:,} subjects ({sources}); {measured.cohort.dates}."
        process = f"Measured on {measured.how}, without refitting; intervals of 95 %, by subject."
        people = demographics(measured)
    return ExternalValidation(
        data_source_and_setting=known(about.external_data, data),
        party=known(about.external_party),
        representativeness=known(about.external_representativeness, people),
        process=known(about.external_process, process),
    )


def _performance(card: Card, described: Description) -> Performance:
    measured, groups = figures_text(card), groups_text(card)
    internal = described.measured is not None and not described.external
    return Performance(
        validity_same_source=known(None, measured if internal else _out_of_fold(described)),
        fairness_same_source=known(None, groups if internal else None),
        validity_external=known(None, measured if described.external else None),
        fairness_external=known(None, groups if described.external else None),
        outcome_references=known(described.about.outcome_references),
    )


def _joined(texts: Iterable[str | None], separator: str) -> str | None:
    return separator.join(text for text in texts if text) or None


def figures_text(card: Card) -> str | None:
    """Return the measured figures in one line; None if nothing was measured."""
    evaluation = card.evaluation
    figures = shown_figures(evaluation)
    named = [name for name in (*evaluation.headline, *CALIBRATION) if name in figures]
    texts = [f"{term(name).label} {figures[name]}" for name in dict.fromkeys(named)]
    return f"{'; '.join(texts)} ({evaluation.n:,} samples)." if texts and evaluation.n else None


CALIBRATION = ("calibration_slope", "calibration_intercept")


def _out_of_fold(described: Description) -> str | None:
    development = described.development
    if development is None or not development.out_of_fold:
        return None
    texts = [f"{term(name).label} {figure}" for name, figure in development.out_of_fold.items()]
    return f"Out of fold, on development: {'; '.join(texts)}."


def groups_text(card: Card) -> str | None:
    """Return the first figure of every group in one line; None without groups."""
    headline = next(iter(card.evaluation.headline), None)
    if headline is None:
        return None
    rows = [
        f"{own.row.table} {own.row.level} {own.figures[headline]}"
        for own in shown_rows(card.evaluation.groups)
        if own.is_whole and headline in own.figures
    ]
    return f"{term(headline).label} by group: {'; '.join(rows)}." if rows else None


def _groupings(card: Card) -> str | None:
    names = list(dict.fromkeys(row.table for row in card.evaluation.groups))
    return f"Performance and calibration were measured by {', '.join(names)}." if names else None


def demographic_inputs(described: Description) -> str | None:
    """Return which demographic codes are inputs, as a sentence; None if the predictors are not known."""
    if described.development is None:
        return None
    codes = {code for own in described.development.predictors.values() for code in own}
    found = sorted(code for code in codes if code.split("//", 1)[0].lower() in DEMOGRAPHIC)
    return f"Inputs that describe the person: {', '.join(found)}." if found else "None among the inputs."


def demographics(facts: DevelopmentFacts | MeasuredFacts | None) -> str | None:
    """Describe age and sex in one line; None if neither is recorded."""
    if facts is None:
        return None
    baseline = facts.baseline
    texts = []
    for variable in baseline.variables:
        if variable.name in ("age", "sex"):
            cells = [row[0] for row in variable.rows]
            levels = variable.levels or ("median [quartiles], years:",)
            texts.append(f"{variable.name} " + ", ".join(f"{a} {b}" for a, b in zip(levels, cells, strict=True)))
    samples = baseline.columns[0].n if baseline.columns else None
    return f"{'; '.join(texts)} (of {count_text(samples)} samples)." if texts else None
