"""The cards of a model as one JSON document, validated; counts that could identify a patient are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.attribute_texts import source_attributes
from polyclinic.evaluation.report.card import Card
from polyclinic.evaluation.report.chai import AppliedModelCard, applied_model_card
from polyclinic.evaluation.report.description import Description, DevelopmentFacts, MeasuredFacts
from polyclinic.evaluation.report.development_shift import Difference, development_shift
from polyclinic.evaluation.report.shown_counts import ShownRow, hides_outcome, shown_figures, shown_rows
from polyclinic.evaluation.report.source_attributes import SourceAttributes

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class GroupFigures(BaseModel, frozen=True, extra="forbid"):
    """The figures of a group; counts below 5, or from which one follows, are null: the group then has no figures."""

    grouping: str
    level: str
    samples: int | None
    cases: int | None
    figures: dict[str, Estimate]


class TaskCard(BaseModel, frozen=True, extra="forbid"):
    """The card of one task."""

    task: str
    model: str
    question: str
    synthetic: bool
    inputs: tuple[str, ...]
    samples: int
    subjects: int
    cases: int | None
    threshold: float | None
    figures: dict[str, Estimate]
    groups: tuple[GroupFigures, ...]
    cautions: tuple[str, ...]
    provenance: dict[str, str]
    development: DevelopmentFacts | None
    measured: MeasuredFacts | None
    shift: tuple[Difference, ...]
    source_attributes: SourceAttributes
    applied_model_card: AppliedModelCard


class CardDocument(BaseModel, frozen=True, extra="forbid"):
    """`card.json`."""

    format: Literal[1] = 1
    about: About
    tasks: tuple[TaskCard, ...]


def card_document(cards: Sequence[Card]) -> CardDocument:
    """Return the document of some cards of one model."""
    described = [card.description or Description() for card in cards]
    return CardDocument(
        about=described[0].about if described else About(),
        tasks=tuple(_task(card, own) for card, own in zip(cards, described, strict=True)),
    )


def card_json(cards: Sequence[Card]) -> dict[str, Any]:
    """Return the document as JSON values, validated as a reader would."""
    plain: dict[str, Any] = card_document(cards).model_dump(mode="json")
    CardDocument.model_validate(plain)
    return plain


def card_schema() -> dict[str, Any]:
    """Return the JSON schema of the document."""
    return {"$schema": SCHEMA, **CardDocument.model_json_schema(mode="serialization")}


def _task(card: Card, described: Description) -> TaskCard:
    evaluation = card.evaluation
    return TaskCard(
        task=card.task,
        model=card.model,
        question=card.question,
        synthetic=card.synthetic,
        inputs=card.inputs,
        samples=evaluation.n,
        subjects=evaluation.subjects,
        cases=None if hides_outcome(evaluation) else evaluation.cases,
        threshold=evaluation.threshold,
        figures=shown_figures(evaluation),
        groups=tuple(_group(own) for own in shown_rows(evaluation.groups)),
        cautions=card.caveats,
        provenance=card.provenance,
        development=described.development,
        measured=described.measured,
        shift=_shift(described),
        source_attributes=source_attributes(card),
        applied_model_card=applied_model_card(card),
    )


def _shift(described: Description) -> tuple[Difference, ...]:
    if described.development is None or described.measured is None:
        return ()
    return development_shift(described.development, described.measured)


def _group(own: ShownRow) -> GroupFigures:
    return GroupFigures(
        grouping=own.row.table,
        level=own.row.level,
        samples=own.n,
        cases=own.cases,
        figures=own.row.figures if own.is_whole else {},
    )
