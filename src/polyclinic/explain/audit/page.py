"""One page that says whether the explanations of a bundle are true, in a single file without scripts."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure as Canvas

from polyclinic.evaluation.estimate import Estimate, decimal
from polyclinic.evaluation.report.document import Cell, Table, escape, html_cell, to_html
from polyclinic.evaluation.report.page import fold, shell, tile
from polyclinic.evaluation.report.plot_style import svg
from polyclinic.explain.audit import plots as audit_plots
from polyclinic.explain.audit.faithfulness import KINDS, STAGES
from polyclinic.explain.audit.lesions import POINTING, shown_locator
from polyclinic.explain.audit.record import Alike, Audit, DeletionCurve

FOOTER = (
    "Brackets hold 95 % intervals, by drawing subjects. Gains are paired: on the same answers, less those of a random "
    "order. Logits are of the networks, before combination and calibration."
)
METHODS_TOLD = "Integrated gradients are what is shown to people; the other methods are there to compare with"


def audit_page(told: Audit, title: str) -> str:
    """Give the page."""
    lead = (
        f"{told.subjects} subjects of {told.split}, {', '.join(told.tasks)}. An explanation is true of the model if "
        "what it scores high moves the answer, and if it changes with the weights; right, if it finds what is known."
    )
    sections = "\n".join(part for part in _parts(told) if part)
    return shell(title, lead, "", f'<section class="task">\n{sections}\n</section>', FOOTER)


def _parts(told: Audit) -> Iterator[str]:
    yield _tiles(told)
    yield _cautions(told)
    yield "<h3>Goals</h3>"
    yield to_html([goals_table(told)])
    yield from _truth(told)
    yield from _curves(told)
    yield "<h3>With random weights</h3>"
    yield (
        '<p class="note">Weights are drawn anew, of heads and fusion first, then of the encoders, too. An explanation '
        "that hardly changes does not explain the model.</p>"
    )
    yield _wide(audit_plots.sanity(told.sanity, STAGES), "random weights")
    yield to_html([verdict_table(told)])
    yield fold("Stability under noise", [_alike_table(told.stability, "method")])
    yield fold("Agreement between methods", [_alike_table(told.agreement, "methods")])
    yield fold("All deletion and insertion curves", [deletion_curves_table(told.courses)])
    yield fold("All figures of random weights", [_sanity_table(told)])


def _tiles(told: Audit) -> str:
    tiles = [tile("Goals reached", _big(f"{sum(one.met for one in told.goals)} of {len(told.goals)}"))]
    passed = sum(one.passed for one in told.verdicts)
    tiles.append(tile("Methods that pass the check", _big(f"{passed} of {len(told.verdicts)}")))
    if told.operating_point is not None:
        shown = shown_locator(told.operating_point)
        at = told.froc[shown].at(told.operating_point.sensitivity)
        point = next(one.pointing for one in told.located if (one.method, one.finding) == (shown, "all"))
        tiles += [tile("Pointing game", html_cell(point)), tile("Lesions found", html_cell(at.recall)),
                  tile("False regions per picture", html_cell(at.false_regions))]  # fmt: skip
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _big(text: str) -> str:
    return f'<span class="value">{escape(text)}</span>'


def _cautions(told: Audit) -> str:
    failed = [f"{one.method.replace('_', ' ')} fails: it {one.reason}" for one in told.verdicts if not one.passed]
    items = "".join(f"<li>{escape(item)}</li>" for item in (*failed, *told.skipped))
    head = "<h3>Before trusting explanations</h3>"
    return f'<div class="cautions">{head}<ul>{items}</ul></div>' if items else ""


def _truth(told: Audit) -> Iterator[str]:
    if told.froc:
        yield "<h3>Known lesions</h3>"
        colours = {name: number for number, name in enumerate(told.froc)}
        shown = shown_locator(told.operating_point) if told.operating_point else next(iter(told.froc))
        rows = [one for one in told.located if one.finding == "all" or one.method == shown]
        drawn = [("FROC", audit_plots.froc_curves(told.froc, colours, told.operating_point, shown)),
                 ("pointing game", audit_plots.pointing(rows, POINTING))]  # fmt: skip
        yield f'<div class="plots">{"".join(_picture(figure, name) for name, figure in drawn)}</div>'
        yield to_html([located_table(told)])
    if told.known:
        yield "<h3>Known words and causes</h3>"
        yield to_html([known_table(told)])


def _curves(told: Audit) -> Iterator[str]:
    yield "<h3>What the answer rests on, taken away and put back</h3>"
    yield f'<p class="note">{escape(METHODS_TOLD)}.</p>'
    orders = list(dict.fromkeys(one.order for one in told.courses if one.order not in audit_plots.BASELINES))
    colours = {name: number for number, name in enumerate(orders)}
    for task in told.tasks:
        modalities = dict.fromkeys(one.modality for one in told.courses if one.task == task)
        drawn = []
        for modality in modalities:
            for kind in KINDS:
                rows = [one for one in told.courses if (one.task, one.modality, one.kind) == (task, modality, kind)]
                drawn.append(_picture(audit_plots.follow(rows, colours), f"{task} {modality} {kind}"))
        yield f"<h4>{escape(task)}</h4>"
        yield f'<div class="plots">{"".join(drawn)}</div>'


def goals_table(told: Audit) -> Table:
    """Give each goal, and whether it was reached."""
    rows = tuple(
        (one.text, decimal(one.target, 2), _value(one.figure), "yes" if one.met else "no") for one in told.goals
    )
    missed = frozenset(place for place, one in enumerate(told.goals) if not one.met)
    return Table(("goal", "target", "measured", "reached"), rows, words=frozenset({0, 3}), faint=missed)


def verdict_table(told: Audit) -> Table:
    """Give each method's verdict."""
    rows = tuple((one.method.replace("_", " "), "pass" if one.passed else "FAIL", one.reason) for one in told.verdicts)
    return Table(("method", "verdict", "why"), rows, words=frozenset({0, 1, 2}))


def deletion_curves_table(courses: tuple[DeletionCurve, ...]) -> Table:
    """Give the areas under all curves, and their gains on a random order."""
    rows: list[tuple[Cell, ...]] = []
    for one in courses:
        errors = "" if one.standard_errors is None else decimal(one.standard_errors, 1, sign=True)
        rows.append((f"{one.task}, {one.modality}", one.kind, one.order.replace("_", " "), one.area, one.gain, errors))
    header = ("of", "kind", "order", "area", "gain on random", "in standard errors")
    return Table(header, tuple(rows), words=frozenset({0, 1, 2}))


def located_table(told: Audit) -> Table:
    """Give pointing game and overlap by method, and the methods' FROC at one false region per picture."""
    rows: list[tuple[Cell, ...]] = []
    for one in told.located:
        if one.finding == "all":
            allowed = [at for at in told.froc[one.method].points if (at.false_regions.value or 0) <= 1]
            best = max(allowed, key=lambda at: at.recall.value or 0).recall if allowed else None
            rows.append((one.method.replace("_", " "), one.pointing, one.iou, best))
    return Table(("map", "pointing game", "IoU", "lesions found at one false region"), tuple(rows))


def known_table(told: Audit) -> Table:
    """Give what was held against the truth."""
    rows = tuple((one.name, one.method.replace("_", " "), one.figure, one.chance) for one in told.known)
    return Table(("known", "method", "measured", "by chance"), rows, words=frozenset({0, 1}))


def _alike_table(rows: tuple[Alike, ...], head: str) -> Table:
    body = tuple((one.of.replace("_", " "), one.modality, one.shown, one.absolute) for one in rows)
    return Table((head, "of", "rank correlation", "of absolute scores"), body, words=frozenset({0, 1}))


def _sanity_table(told: Audit) -> Table:
    rows = tuple(
        (one.method.replace("_", " "), one.modality, one.stage, one.shown, one.absolute) for one in told.sanity
    )
    return Table(("method", "of", "drawn anew", "shown", "of absolute scores"), rows, words=frozenset({0, 1, 2}))


def _value(figure: Estimate) -> Cell:
    if figure.low is None and figure.value is not None:
        return decimal(figure.value, 2)
    return figure


def _picture(figure: Canvas, name: str) -> str:
    return f"<figure>{svg(figure, name)}</figure>"


def _wide(figure: Canvas, name: str) -> str:
    return f'<figure class="wide">{svg(figure, name)}</figure>'
