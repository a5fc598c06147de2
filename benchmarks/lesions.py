"""Localisation of known lesions: regions by sensitivity, compared with an earlier method on the same maps.

Maps are smoothed integrated gradients of each finding from the usual image, of a trained demo bundle. The sensitivity
is selected on images of the split `tuning`, and measured on `held_out`. The earlier method (arXiv 1902.08888) scaled
the signed map from its minimum to its maximum and kept values above .70. After `make demo`, run it with

    python -m benchmarks lesions --demo runs/demo --limit 40 --plot docs/images/froc.png
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Table, parser, verdict
from polyclinic import Bundle, Cohort
from polyclinic.explain.audit.froc import Case, Froc, FrocPoint, froc, pointing_game
from polyclinic.explain.audit.ground_truth import Truth
from polyclinic.explain.audit.lesions import (
    LOCATORS,
    MOST_FALSE,
    POINTING,
    RECALL,
    STOPS,
    VALIDATION,
    FindingMaps,
    LesionMapper,
    task_of_findings,
)
from polyclinic.explain.localisation.localisation import SIGNED_THRESHOLD, signed_min_max

LOCATOR = "integrated_gradients, smoothed"
EARLIER = round(1 - SIGNED_THRESHOLD, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--demo", type=Path, default=Path("runs/demo"), help="folder of a demo with its bundle")
    options.add_argument("--limit", type=int, default=40, help="subjects of each split")
    options.add_argument("--plot", type=Path, help="file for the curves")
    chosen = options.parse_args(arguments)
    if not (chosen.demo / "bundle").is_dir():
        print(f"skipped: there is no bundle in {chosen.demo}; make one with `make demo`")
        return
    validation, unseen = (_mapped(chosen.demo, split, chosen.limit) for split in (VALIDATION, "held_out"))
    chosen_point = _curve(validation).choose(MOST_FALSE)
    curve, signed = _curve(unseen), _curve(unseen, signed=True)
    title = f"{LOCATOR}, {len({one.subject for one in unseen})} unseen patients, {curve.lesions} lesions"
    table = Table(title, "what", "value", "goal", "", first=48)
    pointing = pointing_game([one.case(LOCATOR) for one in unseen])
    at, earlier = curve.at(chosen_point.sensitivity), signed.at(EARLIER)
    table.row("pointing game", pointing, f"≥ {POINTING}", verdict((pointing.value or 0) >= POINTING))
    table.row(
        f"recall at s = {chosen_point.sensitivity:g}",
        at.recall,
        f"≥ {RECALL}",
        verdict((at.recall.value or 0) >= RECALL),
    )
    few = (at.false_regions.value or 0) <= MOST_FALSE
    table.row("false regions per image there", at.false_regions, f"≤ {MOST_FALSE:g}", verdict(few))
    table.row("earlier method at .70: recall", earlier.recall)
    table.row("earlier method at .70: false regions per image", earlier.false_regions)
    rises = bool((np.diff([_values(point) for point in curve.points], axis=0) >= 0).all())
    table.row("both rise with s at every stop", rises, "yes", verdict(rises))
    if chosen.plot:
        _draw(curve, signed, chosen_point.sensitivity, chosen.plot)


def _mapped(demo: Path, split: str, limit: int) -> list[FindingMaps]:
    bundle, cohort = Bundle.load(demo / "bundle"), Cohort.open(demo / "cohort")
    truth = Truth.read(demo / "truth", cohort)
    task = task_of_findings(bundle.tasks, truth)
    assert task is not None
    return LesionMapper(bundle, cohort, truth, task, {LOCATOR: LOCATORS[LOCATOR]}, limit, 0).maps_of(split)


def _curve(pictures: Sequence[FindingMaps], signed: bool = False) -> Froc:
    cases = [one.case(LOCATOR) for one in pictures]
    return froc([Case(signed_min_max(case.heat), *case[1:]) for case in cases] if signed else cases, stops=STOPS)


def _values(point: FrocPoint) -> tuple[float, float]:
    """Return the false regions and the recall of a point; NaN where they could not be estimated."""
    false, found = (np.nan if one.value is None else one.value for one in (point.false_regions, point.recall))
    return false, found


def _draw(curve: Froc, signed: Froc, sensitivity: float, path: Path) -> None:
    from polyclinic.evaluation.report.plot_style import styled

    with styled():
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        for one, mark, label, line in (
            (curve, sensitivity, "sensitivity: share of the highest positive score", "-"),
            (signed, EARLIER, "the earlier method: from minimum to maximum", "--"),
        ):
            false, found = np.transpose([_values(point) for point in one.points])
            (drawn,) = axes.plot(false, found, line, label=label)
            at = _values(one.at(mark))
            axes.plot(*at, "o", color=drawn.get_color())
            note = f"s = {mark:g}, selected on validation images" if one is curve else "fixed at .70"
            axes.annotate(
                note,
                at,
                (8, 10 if one is curve else -14),
                textcoords="offset points",
            )
        axes.set(xlabel="False regions per image", ylabel="Recall of lesions", ylim=(0, 1.1))
        axes.legend(loc="lower right")
        figure.savefig(path, dpi=150)
        plt.close(figure)


if __name__ == "__main__":
    main()
