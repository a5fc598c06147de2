"""Do maps of pictures find known lesions?

Of each picture, the map of every finding that it has is held against that finding's boxes; of a picture without any,
the map of the finding that the bundle thinks most probable, in which every region is false. The dial is chosen on
validation pictures (split `tuning`), and what it is worth is read off the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polyclinic.cohort import Cohort
from polyclinic.evaluation import Estimate
from polyclinic.explain.audit.froc import Case, Froc, froc, localisation_iou, pointing_game
from polyclinic.explain.audit.ground_truth import Truth
from polyclinic.explain.audit.record import Audit, Goal, Known, Located
from polyclinic.explain.audit.samples import chosen, mean, samples, spoken
from polyclinic.explain.inputs.aggregation import canvases
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.inputs.image import PixelInput
from polyclinic.explain.localisation.operating_point import OperatingPoint
from polyclinic.explain.localisation.regions import Box
from polyclinic.explain.methods.grad_cam import GRAD_CAM
from polyclinic.explain.methods.integrated_gradients import METHOD as INTEGRATED
from polyclinic.explain.methods.unit_scores import METHODS, SMOOTHING, edges, smoothed
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.sample import Sample, output_of
from polyclinic.features import ImageFeaturizer
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.progress import SILENT, Progress
from polyclinic.tasks import Task

VALIDATION = "tuning"
MOST_FALSE = 1.0
STOPS = tuple(stop / 50 for stop in range(51))
UNCHOSEN = 0.5
"""Where the dial stands for the overlap of boxes if it could not be chosen."""
POINTING, RECALL = 0.90, 0.80
"""What is to be reached on the demo cohort."""
EVERYONE = 10**9


class Locator(NamedTuple):
    """A way to a map: by a method, and blurred."""

    method: str
    smoothing: float = 0.0


LOCATORS: Mapping[str, Locator] = {
    INTEGRATED: Locator(INTEGRATED),
    f"{INTEGRATED}, smoothed": Locator(INTEGRATED, SMOOTHING),
    "map_gradients": Locator("map_gradients"),
    "map_gradients, smoothed": Locator("map_gradients", SMOOTHING),
    GRAD_CAM: Locator(GRAD_CAM),
}
EDGES = "edges"
ALL = "all"


class Mapped(NamedTuple):
    """One finding asked of one picture: the maps of every locator, and the finding's boxes."""

    subject: int
    finding: str
    lesions: list[Box]
    heats: Mapping[str, Float[np.ndarray, "side side"]]

    def case(self, locator: str) -> Case:
        """Give what a FROC curve asks for."""
        return Case(self.heats[locator], self.lesions, self.subject)


@dataclass(frozen=True)
class LesionHunt:
    """Maps the findings of pictures whose lesions are known."""

    bundle: Bundle
    cohort: Cohort
    truth: Truth
    task: Task  # whose outputs are findings
    locators: Mapping[str, Locator]
    limit: int  # subjects
    seed: int
    progress: Progress = SILENT

    def mapped(self, split: str | None) -> list[Mapped]:
        """Map every finding of the pictures of some subjects of a split."""
        pictured = chosen(self.cohort, self.task, split, EVERYONE, self.seed)
        found: list[Mapped] = []
        subjects = 0
        with self.progress.task(f"known lesions, {split or ALL}", total=min(self.limit, pictured.height)) as advance:
            for sample in samples(self.bundle, self.cohort, pictured):
                of_sample = list(self._of(sample)) if "image" in sample.present else []
                found += of_sample
                subjects += bool(of_sample)
                advance(bool(of_sample))
                if subjects == self.limit:
                    break
        return found

    def _of(self, sample: Sample) -> Iterator[Mapped]:
        pictures = {blob for subject, blob in self.truth.lesions if subject == sample.subject_id}
        seen = [str(blob) for blob in sample.arrays["image"]["blob"][0] if blob in pictures]
        known = {lesion.finding for blob in seen for lesion in self.truth.lesions[sample.subject_id, blob]}
        usual = usual_of(self.bundle.reference)
        names = sorted(known & set(self.task.outputs))
        asked = [output_of(self.bundle, self.task.name, name) for name in names]
        for output in asked or ([spoken(self.bundle.ensemble, sample, self.task)] if seen else []):
            perturbed = PerturbedSample(self.bundle.ensemble.networks, sample, output, usual)
            input_ = perturbed.function.inputs["image"]
            assert isinstance(input_, PixelInput)
            featurizer = sample.features.featurizers["image"]
            assert isinstance(featurizer, ImageFeaturizer)
            heats = self._heats(perturbed, input_)
            for view, (blob, canvas) in enumerate(
                zip(input_.names, canvases(sample, featurizer, input_.names), strict=True)
            ):
                if blob in seen:
                    boxes = self.truth.boxes(sample.subject_id, blob, output.name, canvas)
                    maps = {name: heat[view].float().numpy() for name, heat in heats.items()}
                    yield Mapped(sample.subject_id, output.name, boxes, maps)

    def _heats(self, perturbed: PerturbedSample, input_: PixelInput) -> dict[str, Float[Tensor, "view side side"]]:
        told = {name: METHODS[name](perturbed).maps for name in {one.method for one in self.locators.values()}}
        heats = {EDGES: edges(input_.end)}
        for name, (method, smoothing) in self.locators.items():
            heat = told[method]
            if heat is None:  # the encoder has no such map
                heat = heats[EDGES].new_zeros(heats[EDGES].shape)
            heats[name] = smoothed(heat, smoothing) if smoothing else heat.detach()
        return heats


def with_lesions(
    told: Audit,
    bundle: Bundle,
    cohort: Cohort,
    truth: Truth,
    methods: Sequence[str],
    limit: int,
    progress: Progress = SILENT,
) -> Audit:
    """Add pointing game, overlap and FROC, and choose the dial; or say why not."""
    task = task_of_findings(bundle.tasks, truth) if "image" in bundle.inputs else None
    locators = {name: one for name, one in LOCATORS.items() if one.method in methods}
    if task is None or not locators:
        why = "the bundle reads no pictures, or answers no task whose outputs are findings with boxes: no pointing game"
        return replace(told, skipped=(*told.skipped, why))
    hunt = LesionHunt(bundle, cohort, truth, task, locators, limit, told.seed, progress)
    split = None if told.split == ALL else told.split
    unseen = hunt.mapped(split)
    if not unseen:
        return replace(told, skipped=(*told.skipped, "the truth names no picture of these subjects: no pointing game"))
    operating_point = choose_operating_point(
        told, [] if split == VALIDATION else hunt.mapped(VALIDATION), locators, progress
    )
    names = (*locators, EDGES)
    curves = {name: froc([one.case(name) for one in unseen], stops=STOPS) for name in names}
    located = tuple(_located(unseen, names, UNCHOSEN if operating_point is None else operating_point.sensitivity))
    chance = _chance(unseen)
    pointing = {one.method: one.pointing for one in located if one.finding == ALL}
    known = tuple(Known("pointing game", name, figure, chance) for name, figure in pointing.items())
    missing = (
        ()
        if operating_point
        else ("no validation picture has known lesions, or no method passed: the dial was not chosen",)
    )
    return replace(
        told,
        located=located,
        froc=curves,
        operating_point=operating_point,
        known=(*told.known, *known),
        goals=(*told.goals, *(_goals(operating_point, curves, pointing) if operating_point else ())),
        skipped=(*told.skipped, *missing),
    )


def task_of_findings(tasks: Sequence[Task], truth: Truth) -> Task | None:
    """Give the task with most outputs that are findings of which boxes are known."""
    asked = max(tasks, key=lambda task: len(truth.findings & set(task.outputs)))
    return asked if truth.findings & set(asked.outputs) else None


def choose_operating_point(
    told: Audit, validation: list[Mapped], locators: Mapping[str, Locator], progress: Progress = SILENT
) -> OperatingPoint | None:
    """Choose the map and the setting that find most lesions at no more than `MOST_FALSE` false regions per picture.

    A method that failed the check of random weights is never chosen.
    """
    passed = [name for name, locator in locators.items() if locator.method not in told.failed]
    if not passed or not any(one.lesions for one in validation):
        return None
    points = {}
    with progress.task("choosing the dial", total=len(passed)) as advance:
        for name in passed:
            points[name] = froc([one.case(name) for one in validation], stops=STOPS).choose(MOST_FALSE)
            advance(1)
    best = max(points, key=lambda name: points[name].recall.value or 0)
    point = points[best]
    return OperatingPoint(
        told.bundle, *locators[best], point.sensitivity, MOST_FALSE, point.recall, point.false_regions, VALIDATION
    )


def shown_locator(operating_point: OperatingPoint) -> str:
    """Give the name of the locator that the dial was chosen for."""
    return next(
        name for name, locator in LOCATORS.items() if locator == (operating_point.method, operating_point.smoothing)
    )


def goal(text: str, target: float, figure: Estimate, met: Callable[[float, float], bool] = float.__ge__) -> Goal:
    """Hold a figure against what was to be reached; what could not be measured was not."""
    return Goal(text, target, figure, figure.value is not None and met(figure.value, target))


def _goals(
    operating_point: OperatingPoint, curves: Mapping[str, Froc], pointing: Mapping[str, Estimate]
) -> Iterator[Goal]:
    shown = shown_locator(operating_point)
    at = curves[shown].at(operating_point.sensitivity)
    yield goal(f"pointing game of {shown}", POINTING, pointing[shown])
    yield goal(f"share of lesions found by {shown} at s = {operating_point.sensitivity:g}", RECALL, at.recall)
    yield goal("false regions per picture there, at most", MOST_FALSE, at.false_regions, float.__le__)


def _located(unseen: list[Mapped], names: Sequence[str], sensitivity: float) -> Iterator[Located]:
    findings = sorted({one.finding for one in unseen if one.lesions})
    for name in names:
        for finding in (ALL, *findings):
            cases = [one.case(name) for one in unseen if finding in (ALL, one.finding)]
            yield Located(name, finding, pointing_game(cases), localisation_iou(cases, sensitivity))


def _chance(unseen: list[Mapped]) -> Estimate:
    """Give how often a pixel drawn from the canvas would hit."""
    shares = []
    for one in unseen:
        if one.lesions:
            side = len(one.heats[EDGES])
            hit = np.zeros((side, side), dtype=bool)
            for box in one.lesions:
                (top, left), (bottom, right) = ((round(max(at, 0)) for at in ends) for ends in (box.start, box.stop))
                hit[top:bottom, left:right] = True
            shares.append((one.subject, float(hit.mean())))
    return mean("pointing_game", shares)
