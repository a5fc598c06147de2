"""Localisation of known lesions by maps of images.

For each image, the map of every finding present is compared with that finding's boxes; for an image without findings,
the map of the most probable finding, in which every region is false. The operating point is chosen on validation images
(split `tuning`) and measured on others.
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
from polyclinic.explain.audit.samples import chosen, explained_output, mean, samples
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.inputs.image import PixelInput, canvases
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
DEFAULT_SENSITIVITY = 0.5
"""Sensitivity for the overlap of boxes if none was chosen."""
POINTING, RECALL = 0.90, 0.80
"""Goals on the demo cohort."""
ALL_SUBJECTS = 10**9


class Locator(NamedTuple):
    """A method of making maps and their smoothing."""

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


class FindingMaps(NamedTuple):
    """The maps of one finding in one image by every locator, and the finding's boxes."""

    subject: int
    finding: str
    lesions: list[Box]
    maps: Mapping[str, Float[np.ndarray, "side side"]]

    def case(self, locator: str) -> Case:
        """Return the case for a FROC curve."""
        return Case(self.maps[locator], self.lesions, self.subject)


@dataclass(frozen=True)
class LesionMapper:
    """Map the findings of images with known lesions."""

    bundle: Bundle
    cohort: Cohort
    truth: Truth
    task: Task  # whose outputs are findings
    locators: Mapping[str, Locator]
    limit: int  # number of subjects
    seed: int
    progress: Progress = SILENT

    def maps_of(self, split: str | None) -> list[FindingMaps]:
        """Map every finding in the images of some subjects of a split."""
        times = chosen(self.cohort, self.task, split, ALL_SUBJECTS, self.seed)
        found: list[FindingMaps] = []
        subjects = 0
        with self.progress.task(f"known lesions, {split or ALL}", total=min(self.limit, times.height)) as advance:
            for sample in samples(self.bundle, self.cohort, times):
                of_sample = list(self._of(sample)) if "image" in sample.present else []
                found += of_sample
                subjects += bool(of_sample)
                advance(bool(of_sample))
                if subjects == self.limit:
                    break
        return found

    def _of(self, sample: Sample) -> Iterator[FindingMaps]:
        pictures = {blob for subject, blob in self.truth.lesions if subject == sample.subject_id}
        seen = [str(blob) for blob in sample.arrays["image"]["blob"][0] if blob in pictures]
        known = {lesion.finding for blob in seen for lesion in self.truth.lesions[sample.subject_id, blob]}
        usual = usual_of(self.bundle.reference)
        names = sorted(known & set(self.task.outputs))
        outputs = [output_of(self.bundle, self.task.name, name) for name in names]
        for output in outputs or ([explained_output(self.bundle.ensemble, sample, self.task)] if seen else []):
            perturbed = PerturbedSample(self.bundle.ensemble.networks, sample, output, usual)
            input_ = perturbed.function.inputs["image"]
            assert isinstance(input_, PixelInput)
            featurizer = sample.features.featurizers["image"]
            assert isinstance(featurizer, ImageFeaturizer)
            maps = self._maps(perturbed, input_)
            for view, (blob, canvas) in enumerate(
                zip(input_.names, canvases(sample, featurizer, input_.names), strict=True)
            ):
                if blob in seen:
                    boxes = self.truth.boxes(sample.subject_id, blob, output.name, canvas)
                    arrays = {name: map_[view].float().numpy() for name, map_ in maps.items()}
                    yield FindingMaps(sample.subject_id, output.name, boxes, arrays)

    def _maps(self, perturbed: PerturbedSample, input_: PixelInput) -> dict[str, Float[Tensor, "view side side"]]:
        methods = {locator.method for locator in self.locators.values()}
        by_method = {name: METHODS[name](perturbed).maps for name in methods}
        maps = {EDGES: edges(input_.end)}
        for name, (method, smoothing) in self.locators.items():
            found = by_method[method]
            if found is None:  # the encoder has no such map
                found = maps[EDGES].new_zeros(maps[EDGES].shape)
            maps[name] = smoothed(found, smoothing) if smoothing else found.detach()
        return maps


def with_lesions(
    record: Audit,
    bundle: Bundle,
    cohort: Cohort,
    truth: Truth,
    methods: Sequence[str],
    limit: int,
    progress: Progress = SILENT,
) -> Audit:
    """Add pointing game, overlap and FROC, and choose the operating point; or add the reason why not."""
    task = task_of_findings(bundle.tasks, truth) if "image" in bundle.inputs else None
    locators = {name: one for name, one in LOCATORS.items() if one.method in methods}
    if task is None or not locators:
        why = "the bundle reads no pictures, or answers no task whose outputs are findings with boxes: no pointing game"
        return replace(record, skipped=(*record.skipped, why))
    mapper = LesionMapper(bundle, cohort, truth, task, locators, limit, record.seed, progress)
    split = None if record.split == ALL else record.split
    unseen = mapper.maps_of(split)
    if not unseen:
        return replace(
            record, skipped=(*record.skipped, "the truth names no picture of these subjects: no pointing game")
        )
    operating_point = choose_operating_point(
        record, [] if split == VALIDATION else mapper.maps_of(VALIDATION), locators, progress
    )
    names = (*locators, EDGES)
    curves = {name: froc([one.case(name) for one in unseen], stops=STOPS) for name in names}
    located = tuple(
        _located(unseen, names, DEFAULT_SENSITIVITY if operating_point is None else operating_point.sensitivity)
    )
    chance = _chance(unseen)
    pointing = {one.method: one.pointing for one in located if one.finding == ALL}
    known = tuple(Known("pointing game", name, figure, chance) for name, figure in pointing.items())
    missing = (
        ()
        if operating_point
        else ("no validation picture has known lesions, or no method passed: no operating point was chosen",)
    )
    return replace(
        record,
        located=located,
        froc=curves,
        operating_point=operating_point,
        known=(*record.known, *known),
        goals=(*record.goals, *(_goals(operating_point, curves, pointing) if operating_point else ())),
        skipped=(*record.skipped, *missing),
    )


def task_of_findings(tasks: Sequence[Task], truth: Truth) -> Task | None:
    """Return the task with the most outputs that are findings with boxes; None if no task has any."""
    task = max(tasks, key=lambda one: len(truth.findings & set(one.outputs)))
    return task if truth.findings & set(task.outputs) else None


def choose_operating_point(
    record: Audit, validation: list[FindingMaps], locators: Mapping[str, Locator], progress: Progress = SILENT
) -> OperatingPoint | None:
    """Choose the map and sensitivity with the highest recall at no more than `MOST_FALSE` false regions per image.

    A method that failed the randomisation check is never chosen.
    """
    passed = [name for name, locator in locators.items() if locator.method not in record.failed]
    if not passed or not any(one.lesions for one in validation):
        return None
    points = {}
    with progress.task("choosing the operating point", total=len(passed)) as advance:
        for name in passed:
            points[name] = froc([one.case(name) for one in validation], stops=STOPS).choose(MOST_FALSE)
            advance(1)
    best = max(points, key=lambda name: points[name].recall.value or 0)
    point = points[best]
    return OperatingPoint(
        record.bundle, *locators[best], point.sensitivity, MOST_FALSE, point.recall, point.false_regions, VALIDATION
    )


def shown_locator(operating_point: OperatingPoint) -> str:
    """Return the name of the locator of an operating point."""
    return next(
        name for name, locator in LOCATORS.items() if locator == (operating_point.method, operating_point.smoothing)
    )


def goal(text: str, target: float, figure: Estimate, met: Callable[[float, float], bool] = float.__ge__) -> Goal:
    """Compare a figure with its goal; not met if it could not be measured."""
    return Goal(text, target, figure, figure.value is not None and met(figure.value, target))


def _goals(
    operating_point: OperatingPoint, curves: Mapping[str, Froc], pointing: Mapping[str, Estimate]
) -> Iterator[Goal]:
    shown = shown_locator(operating_point)
    at = curves[shown].at(operating_point.sensitivity)
    yield goal(f"pointing game of {shown}", POINTING, pointing[shown])
    yield goal(f"share of lesions found by {shown} at s = {operating_point.sensitivity:g}", RECALL, at.recall)
    yield goal("false regions per picture there, at most", MOST_FALSE, at.false_regions, float.__le__)


def _located(unseen: list[FindingMaps], names: Sequence[str], sensitivity: float) -> Iterator[Located]:
    findings = sorted({one.finding for one in unseen if one.lesions})
    for name in names:
        for finding in (ALL, *findings):
            cases = [one.case(name) for one in unseen if finding in (ALL, one.finding)]
            yield Located(name, finding, pointing_game(cases), localisation_iou(cases, sensitivity))


def _chance(unseen: list[FindingMaps]) -> Estimate:
    """Return how often a random pixel of the canvas would hit."""
    shares = []
    for one in unseen:
        if one.lesions:
            side = len(one.maps[EDGES])
            hit = np.zeros((side, side), dtype=bool)
            for box in one.lesions:
                (top, left), (bottom, right) = ((round(max(at, 0)) for at in ends) for ends in (box.start, box.stop))
                hit[top:bottom, left:right] = True
            shares.append((one.subject, float(hit.mean())))
    return mean("pointing_game", shares)
