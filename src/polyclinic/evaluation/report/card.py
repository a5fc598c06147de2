"""The model card (Mitchell et al. 2019): what the model is for, how it was measured, and where not to trust it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from polyclinic.evaluation.estimate import decimal, percent
from polyclinic.evaluation.record import Record
from polyclinic.evaluation.report.caveats import caveats
from polyclinic.evaluation.report.document import (
    Block,
    Bullets,
    Cell,
    Heading,
    Paragraph,
    Picture,
    Table,
    to_markdown,
)
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.tables import comparison_table, figures_table, rows_table, subsets_table
from polyclinic.evaluation.results import Comparison, Evaluation

RESEARCH = "Research, and the comparison of models on cohorts like the one described here."
NOT_FOR = (
    "Deciding about a patient without the judgement of a clinician.",
    "Other hospitals, devices or populations, before it has been validated there.",
)


@dataclass(frozen=True)
class Card(Record):
    """All that a card, or a page, tells of one model on one task. Tables and pictures come from the measurements."""

    model: str
    task: str
    question: str  # in a sentence
    evaluation: Evaluation
    inputs: tuple[str, ...] = ()
    data: dict[str, str | int] = field(default_factory=dict)  # facts of the cohort, in order
    splits: dict[str, int] = field(default_factory=dict)  # subjects by split
    comparison: Comparison | None = None
    subsets: Comparison | None = None
    operating: str = ""  # at which threshold samples were called positive, and why, in a sentence
    intended_use: tuple[str, ...] = (RESEARCH,)
    not_for: tuple[str, ...] = NOT_FOR
    limits: tuple[str, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)  # versions, seed, fingerprints
    calibration_plot: str | None = None  # where the picture lies, seen from the card
    synthetic: bool = False

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the figures themselves warn of."""
        return caveats(self.evaluation, self.comparison, self.subsets, self.model, self.synthetic)


def model_card(card: Card) -> str:
    """Write the card as Markdown."""
    return to_markdown(list(card_blocks(card)))


def card_blocks(card: Card) -> Iterator[Block]:
    """Give the card block by block."""
    yield Heading(f"{card.task}: {card.model}", 1)
    yield Paragraph(card.question)
    yield Bullets(tuple(summary_lines(card)))
    yield Heading("Cautions")
    yield Bullets(card.caveats or ("The checks of numbers, calibration, groups and rivals found nothing to warn of.",))
    yield from use_blocks(card)
    yield from data_blocks(card)
    yield Heading("Performance")
    yield Paragraph(how_measured(card))
    yield figures_table(card.evaluation)
    if card.evaluation.classes:
        yield rows_table(card.evaluation.classes)
    if card.calibration_plot:
        yield Heading("Calibration")
        yield Picture(card.calibration_plot, "Observed rate over predicted risk")
    yield from _tables(card)
    yield from provenance_blocks(card)


def summary_lines(card: Card) -> Iterator[str]:
    """Say in a few lines who was measured and what came out."""
    evaluation = card.evaluation
    counted = f"{evaluation.n:,} samples of {evaluation.subjects:,} subjects"
    if evaluation.cases is not None and evaluation.n:
        counted += f", {evaluation.cases:,} with the outcome ({percent(evaluation.cases / evaluation.n, 1)})"
    yield f"Measured on {counted}."
    if evaluation.unobserved:
        yield f"{evaluation.unobserved:,} samples with an unknown answer were left out."
    for name in evaluation.headline:
        if name in evaluation.figures:
            yield f"{term(name).label}: {evaluation.figures[name]}."
    if card.inputs:
        yield f"Inputs: {', '.join(card.inputs)}; any of them may be absent."


def how_measured(card: Card) -> str:
    """Say in a paragraph what an interval here means, and who was called positive."""
    text = "Every figure carries a 95 % interval whose unit is the subject, with all the samples of that subject."
    threshold = card.evaluation.threshold
    if card.operating:
        return f"{text} {card.operating}"
    return text if threshold is None else f"{text} Everyone at or above {decimal(threshold)} was called positive."


def use_blocks(card: Card) -> Iterator[Block]:
    """Say what the model is for, what not, and what else limits it."""
    for title, items in (("Intended use", card.intended_use), ("Not for", card.not_for), ("Limits", card.limits)):
        if items:
            yield Heading(title)
            yield Bullets(items)


def data_blocks(card: Card) -> Iterator[Block]:
    """Describe the cohort and how it was split."""
    if not card.data and not card.splits:
        return
    yield Heading("Data")
    facts: list[tuple[Cell, ...]] = list(card.data.items())
    facts += [(f"Subjects: {split}", count) for split, count in card.splits.items()]
    yield Table(("Cohort", ""), tuple(facts), words=frozenset({0, 1}))


def _tables(card: Card) -> Iterator[Block]:
    if card.comparison is not None:
        yield Heading("Comparison with other models")
        yield Paragraph(f"On the same subjects; differences are paired, against {card.comparison.reference}.")
        yield comparison_table(card.comparison, card.model)
    if card.evaluation.groups:
        yield Heading("Groups")
        yield rows_table(card.evaluation.groups)
    if card.subsets is not None:
        yield Heading("When modalities are missing")
        yield Paragraph(
            f"The same model on the same subjects, given only some of its inputs; {card.subsets.n:,} samples."
        )
        yield subsets_table(card.subsets)


def provenance_blocks(card: Card) -> Iterator[Block]:
    """Say what made the model, so that it can be made again."""
    if card.provenance:
        yield Heading("Provenance")
        yield Table(("Made with", ""), tuple(card.provenance.items()), words=frozenset({0, 1}))
