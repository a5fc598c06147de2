"""Page of evaluation results: tables, plots, cautions and cards, in a single file without scripts.

It needs no network, follows the reader's light or dark theme, and prints.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure as Canvas

from polyclinic.evaluation.estimate import decimal, places
from polyclinic.evaluation.report.card import SETS, Card, data_blocks, how_measured, provenance_blocks, use_blocks
from polyclinic.evaluation.report.card_plots import draw_plots
from polyclinic.evaluation.report.description_blocks import description_blocks
from polyclinic.evaluation.report.html_blocks import Spans, Tile, cell_spans, to_html
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.plot_style import svg
from polyclinic.evaluation.report.shown_counts import outcome_text, shown_figures
from polyclinic.evaluation.report.tables import comparison_table, figures_table, rows_table, sets_table, subsets_table
from polyclinic.files import write_text
from polyclinic.html import Markup, render, render_page
from polyclinic.progress import SILENT, Progress

TILES = ("sensitivity", "ppv", "calibration_slope")
WIDE = ("comparison", "subsets", "groups")
CAPTIONS = {
    "groups": "Band: all subjects. Hollow: too few to trust.",
    "subsets": "Dots: inputs given. Lines: 95 % intervals.",
}
FOOTER = (
    "Brackets: 95 % intervals, with the subject (and all its samples) as the unit. Differences are paired; p values "
    "are adjusted for the number of models (Holm). Samples with an unknown answer are excluded, never counted as "
    "negative."
)
MANY = 2
"""Calibration plots that are shown at once; more are folded away."""


class Plot(NamedTuple):
    """A plot on a page."""

    svg: Markup
    caption: str = ""
    wide: bool = False


def write_page(
    path: Path, cards: Sequence[Card], title: str = "Results", lead: str = "", progress: Progress = SILENT
) -> None:
    """Write the page of these cards to `path`, atomically."""
    write_text(path, page(cards, title, lead, progress))


def page(cards: Sequence[Card], title: str = "Results", lead: str = "", progress: Progress = SILENT) -> str:
    """Return the HTML page of one or more tasks, one card each."""
    links = [(card.task, _headline(card)) for card in cards]
    return report_page(title, lead, list(_sections(cards, progress)), FOOTER, links)


def report_page(
    title: str, lead: str, sections: Sequence[Markup], footer: str, links: Sequence[tuple[str, str]] = ()
) -> str:
    """Return a page of sections; `links` are the names and headline values of the tasks."""
    return render_page(
        "evaluation/report/page.html", title=title, lead=lead, sections=sections, footer=footer, links=links
    )


def _headline(card: Card) -> str:
    name = next(iter(card.evaluation.headline), None)
    figure = shown_figures(card.evaluation).get(name) if name else None
    if name is None or figure is None or figure.value is None:
        return ""
    return f"{term(name).label} {decimal(figure.value, places(figure.value))}"


def _sections(cards: Sequence[Card], progress: Progress) -> Iterator[Markup]:
    with progress.task("page", total=len(cards)) as advance:
        for number, card in enumerate(cards):
            yield _section(card, number)
            advance(1)


def _section(card: Card, number: int) -> Markup:
    evaluation = card.evaluation
    plots = _plots(card)
    calibrations = [name for name in plots if name.startswith("calibration")]
    many = len(calibrations) > MANY
    shown = ["roc", "precision-recall", *([] if many else calibrations), "decision", "confusion"]
    return render(
        "evaluation/report/section.html",
        card=card,
        number=number,
        tiles=_tiles(card),
        comparison=to_html([comparison_table(card.comparison, card.model)]) if card.comparison else "",
        plots={name: plots.get(name) for name in WIDE},
        curves=[plots[name] for name in shown if name in plots],
        calibrations=[plots[name] for name in calibrations] if many else (),
        level_name=evaluation.classes[0].table if evaluation.classes else "horizon",
        classes=to_html([rows_table(evaluation.classes)]) if evaluation.classes else "",
        subsets=to_html([subsets_table(card.subsets)]) if card.subsets else "",
        sets=to_html([sets_table(evaluation.sets)]) if evaluation.sets else "",
        sets_note=SETS,
        groups=to_html([rows_table(evaluation.groups)]) if evaluation.groups else "",
        figures=to_html([figures_table(evaluation)]),
        how_measured=how_measured(card),
        details=to_html([*use_blocks(card), *data_blocks(card), *description_blocks(card), *provenance_blocks(card)]),
    )


def _plots(card: Card) -> Mapping[str, Plot]:
    drawn: Mapping[str, Canvas] = draw_plots(card)
    return {
        name: Plot(svg(figure, f"{card.task}: {name}"), CAPTIONS.get(name, ""), name in WIDE)
        for name, figure in drawn.items()
    }


def _tiles(card: Card) -> list[Tile]:
    figures, headline = shown_figures(card.evaluation), card.evaluation.headline
    shown = [*(name for name in headline if name in figures), *(name for name in TILES if name in figures)]
    return [
        *(Tile(term(name).label, cell_spans(figures[name])) for name in shown),
        Tile("Subjects measured", _counts(card)),
    ]


def _counts(card: Card) -> Spans:
    evaluation = card.evaluation
    subjects = ("value", f"{evaluation.subjects:,}")
    if outcome := outcome_text(evaluation):
        return (subjects, ("interval", outcome))
    if evaluation.n != evaluation.subjects:
        return (subjects, ("interval", f"{evaluation.n:,} samples"))
    return (subjects,)
