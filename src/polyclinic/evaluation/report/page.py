"""One page that shows what was measured: tables, plots, cautions and cards, in a single file without scripts.

It opens from a disk or an attachment with no network, follows the reader's light or dark theme, and prints.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.card import Card, data_blocks, how_measured, provenance_blocks, use_blocks
from polyclinic.evaluation.report.document import Block, escape, html_cell, to_html
from polyclinic.evaluation.report.figures import pictures
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.plot_style import svg
from polyclinic.evaluation.report.tables import comparison_table, figures_table, rows_table, subsets_table
from polyclinic.files import write_text
from polyclinic.progress import SILENT, Progress

TILES = ("sensitivity", "ppv", "calibration_slope")
WIDE = ("comparison", "subsets", "groups")
CAPTIONS = {
    "groups": "Band: everyone. Hollow: too few to trust.",
    "subsets": "Dots: the inputs given. Lines: 95 % intervals.",
}
FOOTER = (
    "Brackets hold 95 % intervals; the subject, with all samples of that subject, is the unit. Differences are paired; "
    "p values are adjusted for the number of models (Holm). Unknown answers are left out, never counted as negative."
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_page(
    path: Path, cards: Sequence[Card], title: str = "Results", lead: str = "", progress: Progress = SILENT
) -> None:
    """Write the page of these cards to `path`, atomically."""
    write_text(path, page(cards, title, lead, progress))


def page(cards: Sequence[Card], title: str = "Results", lead: str = "", progress: Progress = SILENT) -> str:
    """Give the HTML page of one or more tasks, each measured as its card says."""
    return shell(title, lead, _navigation(cards), "\n".join(_sections(cards, progress)), FOOTER)


def shell(title: str, lead: str, navigation: str, sections: str, footer: str) -> str:
    """Give a whole page around sections of HTML; the other texts but the navigation are plain."""
    style = files("polyclinic.evaluation.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{f'<p class="lead">{escape(lead)}</p>' if lead else ""}
{navigation}
</header>
<main>
{sections}
</main>
<footer>
<p>{escape(footer)}</p>
</footer>
</body>
</html>
"""


def _navigation(cards: Sequence[Card]) -> str:
    if len(cards) < 2:
        return ""
    links = "".join(_link(card, number) for number, card in enumerate(cards))
    return f'<nav aria-label="Tasks">{links}</nav>'


def _link(card: Card, number: int) -> str:
    first = next((card.evaluation.figures[name] for name in card.evaluation.headline), None)
    value = "" if first is None or first.value is None else f"<b>{escape(str(first).partition(' ')[0])}</b>"
    return f'<a href="#task-{number}">{escape(card.task)}{value}</a>'


def _sections(cards: Sequence[Card], progress: Progress) -> Iterator[str]:
    with progress.task("page", total=len(cards)) as advance:
        for number, card in enumerate(cards):
            yield _section(card, number)
            advance(1)


def _section(card: Card, number: int) -> str:
    drawn = pictures(card)
    parts = [
        f'<section class="task" id="task-{number}">',
        f'<p class="eyebrow">{escape(card.model)}</p>',
        f"<h2>{escape(card.task)}</h2>",
        f'<p class="question">{escape(card.question)}</p>',
        _tiles(card),
        _cautions(card),
        *_comparison(card, drawn),
        *_curves(card, drawn),
        *_classes(card),
        *_subsets(card, drawn),
        *_groups(card, drawn),
        *_details(card),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _tiles(card: Card) -> str:
    evaluation = card.evaluation
    shown = [*evaluation.headline, *(name for name in TILES if name in evaluation.figures)]
    tiles = [tile(term(name).label, html_cell(evaluation.figures[name])) for name in shown]
    measured = f'<span class="value">{evaluation.subjects:,}</span>'
    if evaluation.cases is not None and evaluation.n:
        share = percent(evaluation.cases / evaluation.n, 1)
        measured += f'<span class="interval">{evaluation.cases:,} with the outcome ({share})</span>'
    elif evaluation.n != evaluation.subjects:
        measured += f'<span class="interval">{evaluation.n:,} samples</span>'
    tiles.append(tile("Subjects measured", measured))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def tile(name: str, content: str) -> str:
    """Give a tile with a name and, as HTML, what it shows."""
    return f'<div class="tile"><span class="name">{escape(name)}</span>{content}</div>'


def _cautions(card: Card) -> str:
    if not card.caveats:
        return ""
    items = "".join(f"<li>{escape(item)}</li>" for item in card.caveats)
    return f'<div class="cautions"><h3>Before trusting these figures</h3><ul>{items}</ul></div>'


def _comparison(card: Card, drawn: Mapping[str, Canvas]) -> Iterator[str]:
    if card.comparison is not None:
        yield "<h3>Compared with other models</h3>"
        yield to_html([comparison_table(card.comparison, card.model)])
        yield _picture(card, drawn, "comparison")


def _curves(card: Card, drawn: Mapping[str, Canvas]) -> Iterator[str]:
    calibrations = [name for name in drawn if name.startswith("calibration")]
    several = len(calibrations) > 2
    shown = ["roc", "precision-recall", *([] if several else calibrations), "decision", "confusion"]
    if any(name in drawn for name in shown):
        yield f'<div class="plots">{"".join(_picture(card, drawn, name) for name in shown)}</div>'
    if several:
        of = escape(card.evaluation.classes[0].table if card.evaluation.classes else "horizon")
        plotted = "".join(_picture(card, drawn, name) for name in calibrations)
        yield f'<details><summary>Calibration of each {of}</summary><div class="plots">{plotted}</div></details>'


def _classes(card: Card) -> Iterator[str]:
    if card.evaluation.classes:
        yield f"<h3>By {escape(card.evaluation.classes[0].table)}</h3>"
        yield to_html([rows_table(card.evaluation.classes)])


def _subsets(card: Card, drawn: Mapping[str, Canvas]) -> Iterator[str]:
    if card.subsets is not None:
        yield "<h3>When modalities are missing</h3>"
        yield '<p class="note">The same model on the same subjects, given only the inputs marked.</p>'
        yield _picture(card, drawn, "subsets")
        yield fold("Figures of every subset", [subsets_table(card.subsets)])


def _groups(card: Card, drawn: Mapping[str, Canvas]) -> Iterator[str]:
    if card.evaluation.groups:
        yield "<h3>By group</h3>"
        yield _picture(card, drawn, "groups")
        yield fold("Figures of every group", [rows_table(card.evaluation.groups)])


def _picture(card: Card, drawn: Mapping[str, Canvas], name: str) -> str:
    if name not in drawn:
        return ""
    told = f"<figcaption>{CAPTIONS[name]}</figcaption>" if name in CAPTIONS else ""
    opening = '<figure class="wide">' if name in WIDE else "<figure>"
    return f"{opening}{svg(drawn[name], f'{card.task}: {name}')}{told}</figure>"


def _details(card: Card) -> Iterator[str]:
    yield fold("All figures", [figures_table(card.evaluation)], note=how_measured(card))
    told = [*use_blocks(card), *data_blocks(card), *provenance_blocks(card)]
    yield fold("Use, data and provenance", told)


def fold(title: str, blocks: Sequence[Block], note: str = "") -> str:
    """Give blocks that open at a click; nothing if there are none."""
    if not blocks:
        return ""
    lead = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<details><summary>{escape(title)}</summary>{lead}{to_html(blocks)}</details>"
