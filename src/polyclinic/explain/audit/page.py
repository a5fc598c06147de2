"""Page of an audit: whether the explanations of a bundle are faithful, in a single file without scripts."""

from __future__ import annotations

from collections.abc import Iterator

from polyclinic.evaluation.estimate import Estimate, decimal
from polyclinic.evaluation.report.document import Cell, Table
from polyclinic.evaluation.report.html_blocks import Tile, cell_spans, to_html
from polyclinic.evaluation.report.page import Plot, report_page
from polyclinic.evaluation.report.plot_style import svg
from polyclinic.explain.audit import plots
from polyclinic.explain.audit.faithfulness import KINDS, STAGES
from polyclinic.explain.audit.lesions import POINTING, shown_locator
from polyclinic.explain.audit.record import Alike, Audit, DeletionCurve
from polyclinic.html import render

FOOTER = (
    "Brackets: 95 % intervals, by resampling subjects. Gains are paired differences from a random order on the same "
    "samples. Logits are the networks', before combination and calibration."
)


def audit_page(audit: Audit, title: str) -> str:
    """Return the HTML page of an audit."""
    lead = (
        f"{audit.subjects} subjects of {audit.split}, {', '.join(audit.tasks)}. An explanation is faithful if "
        "removing what it scores high changes the prediction and if it changes with the weights; it is right if "
        "it finds what is known."
    )
    section = render(
        "explain/audit/section.html",
        audit=audit,
        tiles=_tiles(audit),
        cautions=[*_failures(audit), *audit.skipped],
        goals=to_html([goals_table(audit)]),
        lesion_plots=list(_lesion_plots(audit)),
        located=to_html([located_table(audit)]) if audit.froc else "",
        known=to_html([known_table(audit)]) if audit.known else "",
        curves={task: list(_curves(audit, task)) for task in audit.tasks},
        sanity=Plot(svg(plots.sanity(audit.sanity, STAGES), "random weights"), wide=True),
        verdicts=to_html([verdict_table(audit)]),
        stability=to_html([_alike_table(audit.stability, "method")]),
        agreement=to_html([_alike_table(audit.agreement, "methods")]),
        all_curves=to_html([deletion_curves_table(audit.courses)]),
        all_sanity=to_html([_sanity_table(audit)]),
    )
    return report_page(title, lead, [section], FOOTER)


def _tiles(audit: Audit) -> Iterator[Tile]:
    yield _count("Goals reached", [goal.met for goal in audit.goals])
    yield _count("Methods that pass the check", [verdict.passed for verdict in audit.verdicts])
    if audit.operating_point is not None:
        shown = shown_locator(audit.operating_point)
        at = audit.froc[shown].at(audit.operating_point.sensitivity)
        point = next(row.pointing for row in audit.located if (row.method, row.finding) == (shown, "all"))
        yield Tile("Pointing game", cell_spans(point))
        yield Tile("Lesions found", cell_spans(at.recall))
        yield Tile("False regions per image", cell_spans(at.false_regions))


def _count(name: str, passed: list[bool]) -> Tile:
    return Tile(name, (("value", f"{sum(passed)} of {len(passed)}"),))


def _failures(audit: Audit) -> Iterator[str]:
    for verdict in audit.verdicts:
        if not verdict.passed:
            yield f"{_spaced(verdict.method)} fails: it {verdict.reason}"


def _lesion_plots(audit: Audit) -> Iterator[Plot]:
    if audit.froc:
        colours = {name: number for number, name in enumerate(audit.froc)}
        shown = shown_locator(audit.operating_point) if audit.operating_point else next(iter(audit.froc))
        rows = [row for row in audit.located if row.finding == "all" or row.method == shown]
        yield Plot(svg(plots.froc_curves(audit.froc, colours, audit.operating_point, shown), "FROC"))
        yield Plot(svg(plots.pointing(rows, POINTING), "pointing game"))


def _curves(audit: Audit, task: str) -> Iterator[Plot]:
    """Yield the deletion and insertion curves of a task, by modality."""
    orders = dict.fromkeys(curve.order for curve in audit.courses if curve.order not in plots.BASELINES)
    colours = {name: number for number, name in enumerate(orders)}
    of_task = [curve for curve in audit.courses if curve.task == task]
    for modality in dict.fromkeys(curve.modality for curve in of_task):
        for kind in KINDS:
            curves = [curve for curve in of_task if (curve.modality, curve.kind) == (modality, kind)]
            yield Plot(svg(plots.follow(curves, colours), f"{task} {modality} {kind}"))


def goals_table(audit: Audit) -> Table:
    """Return each goal, and whether it was reached."""
    rows = tuple(
        (one.text, decimal(one.target, 2), _value(one.figure), "yes" if one.met else "no") for one in audit.goals
    )
    missed = frozenset(place for place, one in enumerate(audit.goals) if not one.met)
    return Table(("goal", "target", "measured", "reached"), rows, words=frozenset({0, 3}), faint=missed)


def verdict_table(audit: Audit) -> Table:
    """Return each method's verdict."""
    rows = tuple((one.method.replace("_", " "), "pass" if one.passed else "FAIL", one.reason) for one in audit.verdicts)
    return Table(("method", "verdict", "why"), rows, words=frozenset({0, 1, 2}))


def deletion_curves_table(courses: tuple[DeletionCurve, ...]) -> Table:
    """Return the areas under all curves, and their gains on a random order."""
    rows: list[tuple[Cell, ...]] = []
    for one in courses:
        errors = "" if one.standard_errors is None else decimal(one.standard_errors, 1, sign=True)
        rows.append((f"{one.task}, {one.modality}", one.kind, one.order.replace("_", " "), one.area, one.gain, errors))
    header = ("of", "kind", "order", "area", "gain on random", "in standard errors")
    return Table(header, tuple(rows), words=frozenset({0, 1, 2}))


def located_table(audit: Audit) -> Table:
    """Return pointing game and overlap by method, and the methods' FROC at one false region per picture."""
    rows: list[tuple[Cell, ...]] = []
    for one in audit.located:
        if one.finding == "all":
            allowed = [at for at in audit.froc[one.method].points if (at.false_regions.value or 0) <= 1]
            best = max(allowed, key=lambda at: at.recall.value or 0).recall if allowed else None
            rows.append((one.method.replace("_", " "), one.pointing, one.iou, best))
    return Table(("map", "pointing game", "IoU", "lesions found at one false region"), tuple(rows))


def known_table(audit: Audit) -> Table:
    """Return the comparisons with the ground truth."""
    rows = tuple((one.name, one.method.replace("_", " "), one.figure, one.chance) for one in audit.known)
    return Table(("known", "method", "measured", "by chance"), rows, words=frozenset({0, 1}))


def _alike_table(rows: tuple[Alike, ...], head: str) -> Table:
    body = tuple((one.of.replace("_", " "), one.modality, one.shown, one.absolute) for one in rows)
    return Table((head, "of", "rank correlation", "of absolute scores"), body, words=frozenset({0, 1}))


def _sanity_table(audit: Audit) -> Table:
    rows = tuple(
        (one.method.replace("_", " "), one.modality, one.stage, one.shown, one.absolute) for one in audit.sanity
    )
    return Table(("method", "of", "drawn anew", "shown", "of absolute scores"), rows, words=frozenset({0, 1, 2}))


def _value(figure: Estimate) -> Cell:
    if figure.low is None and figure.value is not None:
        return decimal(figure.value, 2)
    return figure


def _spaced(name: str) -> str:
    return name.replace("_", " ")
