"""Model card (Mitchell et al. 2019): intended use, performance, and limits of a model."""

from collections.abc import Iterator

from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.report.contents import NOT_FOR, RESEARCH, Card
from polyclinic.evaluation.report.description_blocks import description_blocks
from polyclinic.evaluation.report.document import (
    Block,
    Bullets,
    Cell,
    Heading,
    Image,
    Paragraph,
    Table,
    to_markdown,
)
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.shown_counts import outcome_text, shown_figures
from polyclinic.evaluation.report.tables import comparison_table, figures_table, rows_table, sets_table, subsets_table

__all__ = ["NOT_FOR", "RESEARCH", "Card", "model_card"]

SETS = (
    "A set holds the answer that the model gives and every answer that cannot be excluded at 90 % confidence. It "
    "should hold the truth in at least 90 % of the subjects of each true answer; in groups this is only measured."
)


def model_card(card: Card) -> str:
    """Return the card as Markdown."""
    return to_markdown(list(card_blocks(card)))


def card_blocks(card: Card) -> Iterator[Block]:
    """Yield the blocks of the card."""
    yield Heading(f"{card.task}: {card.model}", 1)
    yield Paragraph(card.question)
    yield Bullets(tuple(summary_lines(card)))
    yield Heading("Cautions")
    yield Bullets(card.caveats or ("No check of sample size, calibration, groups or other models raised a caution.",))
    yield from use_blocks(card)
    yield from data_blocks(card)
    yield Heading("Performance")
    yield Paragraph(how_measured(card))
    yield figures_table(card.evaluation)
    if card.evaluation.classes:
        yield rows_table(card.evaluation.classes)
    if card.calibration_plot:
        yield Heading("Calibration")
        yield Image(card.calibration_plot, "Observed rate over predicted risk")
    yield from _tables(card)
    yield from description_blocks(card)
    yield from provenance_blocks(card)


def summary_lines(card: Card) -> Iterator[str]:
    """Yield the sample sizes, headline figures and inputs, a line each."""
    evaluation = card.evaluation
    counted = f"{evaluation.n:,} samples of {evaluation.subjects:,} subjects"
    outcome = outcome_text(evaluation)
    yield f"Measured on {counted}{f', {outcome}' if outcome else ''}."
    if evaluation.unobserved:
        yield f"{evaluation.unobserved:,} samples with an unknown answer were excluded."
    figures = shown_figures(evaluation)
    for name in evaluation.headline:
        if name in figures:
            yield f"{term(name).label}: {figures[name]}."
    if card.inputs:
        yield f"Inputs: {', '.join(card.inputs)}; any of them may be absent."


def how_measured(card: Card) -> str:
    """Describe the intervals and the threshold."""
    text = "Every figure has a 95 % interval, with the subject (and all its samples) as the unit."
    threshold = card.evaluation.threshold
    if card.operating:
        return f"{text} {card.operating}"
    return text if threshold is None else f"{text} Samples at or above {decimal(threshold)} were called positive."


def use_blocks(card: Card) -> Iterator[Block]:
    """Yield intended use, uses out of scope, and limits."""
    for title, items in (("Intended use", card.intended_use), ("Not for", card.not_for), ("Limits", card.limits)):
        if items:
            yield Heading(title)
            yield Bullets(items)


def data_blocks(card: Card) -> Iterator[Block]:
    """Yield the cohort and its splits."""
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
    if card.evaluation.sets:
        yield Heading("Sets of answers")
        yield Paragraph(SETS)
        yield sets_table(card.evaluation.sets)
    if card.subsets is not None:
        yield Heading("When modalities are missing")
        yield Paragraph(
            f"The same model on the same subjects, given only some of its inputs; {card.subsets.n:,} samples."
        )
        yield subsets_table(card.subsets)


def provenance_blocks(card: Card) -> Iterator[Block]:
    """Yield what is needed to reproduce the model."""
    if card.provenance:
        yield Heading("Provenance")
        yield Table(("Made with", ""), tuple(card.provenance.items()), words=frozenset({0, 1}))
