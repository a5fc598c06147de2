"""FROC curves: lesion recall against false regions by sensitivity, on images with known lesions.

A free-response ROC curve (Bunch et al. 1978; Chakraborty 2013, Acad Radiol 20:915) plots the share of lesions found
against the number of false marks per image. It assumes rated marks: a stricter threshold gives a subset of the marks,
so both numbers decrease together.

**Regions of a heat map are not rated marks.** As the sensitivity s increases, regions grow and merge. Counted at each
stop, their number is not monotone; at s = 1 one region may cover the image, hit every lesion and count as no false
region. Therefore regions are counted cumulatively from 0 to s:

- A region **appears** at a stop if it contains no region of the previous stop. Since kept pixels are nested, every
  later region contains one that appeared: it has grown from it, or merged from several.
- A **false region** has its highest attribution outside all lesions when it appears, even if it later merges with a
  true one.
- A **lesion is found** at s if at s or a lower stop a region hit it, by one of `RULES`.

Both counts are over sets that grow with s, so both are monotone in s for any map, rule and stops. They also bound what
is shown at s: every shown region that touches no lesion contains at least one that appeared outside all lesions, and no
two contain the same, so no more such regions are shown than counted. With the rule `peak` (without margin) a found
lesion has a region on it at s, since its pixels stay. These properties are tested.

A region hits a lesion if

- `peak` (default): its highest attribution lies in the lesion's box, as in the pointing game (Zhang et al. 2018, IJCV
  126:1084), optionally within a margin;
- `centre`: the centre of its circle does;
- `iou`: the IoU of its box and the lesion's is at least `least_iou` (Wang et al. 2017, ChestX-ray8, whose lowest
  threshold is .1).

Intervals are from a bootstrap over subjects, with all their images and lesions.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.evaluation.arrays import Weights, ratio, subject_codes
from polyclinic.evaluation.bootstrap import METHOD, Bootstrap, percentiles
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.record import Record
from polyclinic.explain.localisation.localisation import Clusters, Heat, Spacing, clusters, kept, positive_share
from polyclinic.explain.localisation.regions import Box, box_iou

Array = np.ndarray
RECALL, FALSE_REGIONS = "lesion_recall", "false_regions_per_picture"

STOPS = tuple(stop / 100 for stop in range(101))
"""Sensitivities, ascending."""


class Case(NamedTuple):
    """An image or volume whose lesions are all known."""

    heat: Heat
    lesions: Sequence[Box]  # in pixels of the map (see `box_on_map`); empty if there are none
    subject: Hashable
    spacing: Spacing = None


@dataclass(frozen=True)
class Hit(Record):
    """The rule by which a region hits a lesion. `margin`, in map pixels, widens the lesion for `peak` and `centre`.

    A region is false if its peak lies outside all lesions, widened by `margin`, for every rule.
    """

    rule: Literal["peak", "centre", "iou"] = "peak"
    margin: float = 0.0
    least_iou: float = 0.1

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"unknown rule {self.rule!r}: choose from {', '.join(RULES)}")
        if not (self.margin >= 0 and 0 < self.least_iou <= 1):
            raise ValueError("a margin is at least 0, and least_iou above 0 and at most 1")


def _points_in(
    points: Float[Array, "axis shown"], lesions: Sequence[Box], margin: float
) -> Bool[Array, "shown lesion"]:
    columns = [[lesion.holds(point, margin) for lesion in lesions] for point in points.T.tolist()]
    return np.array(columns, dtype=bool).reshape(points.shape[1], len(lesions))


def _by_peak(found: Clusters, lesions: Sequence[Box], hit: Hit) -> Bool[Array, "shown lesion"]:
    return _points_in(found.peak, lesions, hit.margin)


def _by_centre(found: Clusters, lesions: Sequence[Box], hit: Hit) -> Bool[Array, "shown lesion"]:
    return _points_in(found.centre, lesions, hit.margin)


def _by_iou(found: Clusters, lesions: Sequence[Box], hit: Hit) -> Bool[Array, "shown lesion"]:
    return _ious(found, lesions) >= hit.least_iou


RULES: Mapping[str, Callable[[Clusters, Sequence[Box], Hit], Bool[Array, "shown lesion"]]] = {
    "peak": _by_peak,
    "centre": _by_centre,
    "iou": _by_iou,
}


@dataclass(frozen=True)
class Sweep:
    """Cumulative counts of each image by stop."""

    stops: tuple[float, ...]
    hit: Hit
    found: Int[Array, "picture stop"]  # lesions
    false: Int[Array, "picture stop"]  # regions
    lesions: Int[Array, " picture"]
    subjects: tuple[Hashable, ...]  # of each image


@dataclass(frozen=True)
class FrocPoint(Record):
    """One point of the curve."""

    sensitivity: float
    recall: Estimate
    false_regions: Estimate


@dataclass(frozen=True)
class Froc(Record):
    """The curve: lesion recall and false regions per image by sensitivity."""

    hit: Hit
    points: tuple[FrocPoint, ...]
    pictures: int
    lesions: int
    subjects: int

    def at(self, sensitivity: float) -> FrocPoint:
        """Return the point of the last stop at or below a sensitivity; raises `ValueError` below the first."""
        passed = [point for point in self.points if point.sensitivity <= sensitivity]
        if not passed:
            raise ValueError(f"the curve starts at a sensitivity of {self.points[0].sensitivity:g}: give a higher one")
        return passed[-1]

    def choose(self, most_false: float = 1.0) -> FrocPoint:
        """Return the stop with the highest recall at no more than `most_false` false regions per image.

        Of several with equal recall, the lowest. Call it on the curve of validation images, and measure performance on
        others.

        Raises:
            ValueError: there are no lesions, or every stop has more false regions.
        """
        if not self.lesions:
            raise ValueError("no lesion is known in these pictures: choose the sensitivity on pictures that have some")
        allowed = [point for point in self.points if _value(point.false_regions) <= most_false]
        if not allowed:
            raise ValueError(
                f"every sensitivity gives more than {most_false:g} false regions per picture: allow more of them"
            )
        return max(allowed, key=lambda point: (_value(point.recall), -point.sensitivity))

    @classmethod
    def of(cls, swept: Sweep, bootstrap: Bootstrap | None = None) -> Self:
        """Compute the curve of a sweep, with intervals."""
        n, lesions = len(swept.lesions), int(swept.lesions.sum())

        def statistic(weights: Weights) -> Array:
            recall = ratio(weights @ swept.found, (weights @ swept.lesions)[..., None])
            return np.stack([recall, ratio(weights @ swept.false, weights.sum(axis=-1)[..., None])], axis=-2)

        recall, false = statistic(np.ones(n))
        draws = _draws(statistic, swept, bootstrap)
        points = tuple(
            FrocPoint(
                stop,
                _figure(RECALL, recall[place], draws[:, 0, place], lesions, "no lesion is known in these pictures"),
                _figure(FALSE_REGIONS, false[place], draws[:, 1, place], n, "no pictures"),
            )
            for place, stop in enumerate(swept.stops)
        )
        return cls(swept.hit, points, n, lesions, len(set(swept.subjects)))


def sweep(cases: Iterable[Case], hit: Hit | None = None, stops: Sequence[float] = STOPS) -> Sweep:
    """Count lesions found and false regions of every image at each stop.

    Args:
        cases: with and without lesions; consumed one by one, so a generator saves memory.
        hit: the rule by which a region hits a lesion.
        stops: ascending, within 0..1.

    Raises:
        ValueError: there are no images, the stops do not ascend, or a lesion has other axes than its map.
    """
    hit = hit or Hit()
    if not len(stops) or any(later <= stop for stop, later in pairwise(stops)):
        raise ValueError("the stops are sensitivities in ascending order: sort them")
    counted = [(*_count(case, hit, stops), len(case.lesions), case.subject) for case in cases]
    if not counted:
        raise ValueError("there are no images: give at least one case")
    found, false, lesions, subjects = zip(*counted, strict=True)
    return Sweep(tuple(stops), hit, np.array(found), np.array(false), np.array(lesions), subjects)


def froc(
    cases: Iterable[Case],
    hit: Hit | None = None,
    stops: Sequence[float] = STOPS,
    bootstrap: Bootstrap | None = None,
) -> Froc:
    """Measure lesion recall and false regions per image by sensitivity; raises `ValueError` as `sweep` does."""
    return Froc.of(sweep(cases, hit, stops), bootstrap)


def pointing_game(cases: Iterable[Case], margin: float = 0.0, bootstrap: Bootstrap | None = None) -> Estimate:
    """Measure how often an image's highest attribution lies in one of its lesions (Zhang et al. 2018).

    Images without lesions are left out; a map without positive attribution is a miss. Of several pixels with the
    highest attribution the first counts.
    """
    name, reason = "pointing_game", "no picture has a known lesion"
    rows = [(_points_at(case, margin), 1.0, case.subject) for case in cases if _checked(case).lesions]
    return _mean_figure(name, rows, bootstrap, reason)


def localisation_iou(cases: Iterable[Case], sensitivity: float, bootstrap: Bootstrap | None = None) -> Estimate:
    """Measure the mean over lesions of the largest IoU of a region's box with the lesion's."""
    rows = []
    for case in cases:
        if _checked(case).lesions:
            strength = positive_share(case.heat)
            ious = _ious(clusters(strength, kept(strength, sensitivity), case.spacing), case.lesions)
            rows.append((float(ious.max(axis=0, initial=0).sum()), float(len(case.lesions)), case.subject))
    return _mean_figure("localisation_iou", rows, bootstrap, "no picture has a known lesion")


def _count(case: Case, hit: Hit, stops: Sequence[float]) -> tuple[list[int], list[int]]:
    """Return the cumulative numbers of lesions found and false regions at each stop."""
    strength, lesions = positive_share(_checked(case).heat), case.lesions
    found, false = np.zeros(len(lesions), dtype=bool), 0
    before, pixels = np.zeros(strength.shape, dtype=np.int32), 0
    counts: list[tuple[int, int]] = []
    for stop in stops:
        mask = kept(strength, stop)
        if mask.sum() > pixels:
            pixels = int(mask.sum())
            now = clusters(strength, mask, case.spacing)
            places = now.places()
            appeared = np.ones(len(now) + 1, dtype=bool)
            appeared[places[before > 0]] = False
            found |= RULES[hit.rule](now, lesions, hit).any(axis=0)
            outside = ~_points_in(now.peak, lesions, hit.margin).any(axis=1)
            false += int((appeared[1:] & outside).sum())
            before = places
        counts.append((int(found.sum()), false))
    return [count for count, _ in counts], [count for _, count in counts]


def _checked(case: Case) -> Case:
    axes = np.ndim(case.heat)
    if any(len(lesion.start) != axes for lesion in case.lesions):
        raise ValueError(f"a lesion's box has another number of axes than its map, which has {axes}")
    return case


def _ious(found: Clusters, lesions: Sequence[Box]) -> Float[Array, "shown lesion"]:
    corners = zip(found.start.T.astype(float).tolist(), found.stop.T.astype(float).tolist(), strict=True)
    boxes = [Box(tuple(start), tuple(stop)) for start, stop in corners]
    values = [[box_iou(box, lesion) for lesion in lesions] for box in boxes]
    return np.array(values, dtype=np.float64).reshape(len(boxes), len(lesions))


def _points_at(case: Case, margin: float) -> float:
    strength = positive_share(case.heat)
    peak = [at + 0.5 for at in np.unravel_index(int(strength.argmax()), strength.shape)]
    return float(strength.any() and any(lesion.holds(peak, margin) for lesion in case.lesions))


def _mean_figure(
    name: str, rows: list[tuple[float, float, Hashable]], bootstrap: Bootstrap | None, reason: str
) -> Estimate:
    """Return the ratio of the sums of the first and second, with an interval by subject."""
    if not rows:
        return Estimate.missing(name, 0, reason)
    above, below, subjects = (
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        [r[2] for r in rows],
    )
    draws = (bootstrap or Bootstrap()).draws(lambda w: ratio(w @ above, w @ below), len(rows), _codes(subjects))
    return _figure(name, above.sum() / below.sum(), draws, int(below.sum()), reason)


def _draws(
    statistic: Callable[[Weights], Array], swept: Sweep, bootstrap: Bootstrap | None
) -> Float[Array, "resample figure stop"]:
    n = len(swept.lesions)
    draws = (bootstrap or Bootstrap()).draws(statistic, n, _codes(swept.subjects))
    return draws if draws.ndim == 3 else np.empty((0, 2, len(swept.stops)))


def _codes(subjects: Sequence[Hashable]) -> Int[Array, " picture"]:
    """Return integer codes of subjects."""
    number = {subject: place for place, subject in enumerate(dict.fromkeys(subjects))}
    return subject_codes([number[subject] for subject in subjects], len(subjects))[0]


def _figure(name: str, value: float, draws: Float[Array, " resample"], n: int, missing: str) -> Estimate:
    low, high, reason = percentiles(draws)
    return Estimate.of(name, value, (low, high), n, METHOD, reason if np.isfinite(value) else missing)


def _value(figure: Estimate) -> float:
    return np.nan if figure.value is None else figure.value
