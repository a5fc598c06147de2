"""From a heat map to regions at a sensitivity s between 0 and 1.

After Aydin et al. 2019 (arXiv 1902.08888): keep the pixels with high attribution, join them by single linkage at 10
pixels of a 224-pixel grid, drop single pixels, and draw one circle per cluster, around its mean with a margin of 5
pixels beyond its farthest pixel. Both lengths scale with the map.

**Sensitivity.** Only positive attribution counts, as a share of the map's maximum: v = max(a, 0) / max(a). At
sensitivity s the pixels with v ≥ 1 − s (and v > 0) are kept: s = 0 keeps only the peak, s = 0.3 all pixels at least
70 % as strong, s = 1 all positive ones. Kept pixels are nested: those kept at s are kept at every higher s, so a region
only grows or merges with others. Pixels that oppose the answer are never shown.

The original method scaled signed attributions by minimum and maximum and kept those above .70. There zero is mapped to
a value that depends on the strongest negative attribution, so the same .70 keeps only the peak in one map and pixels
that oppose the answer in another. `localise_signed` implements it for comparison.

Maps are images [height, width] or volumes [depth, height, width]; with voxel spacing in millimetres all distances are
in millimetres. Pixels that touch, even at a corner, are always joined, however coarse the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.evaluation.arrays import finite
from polyclinic.explain.localisation.regions import Box, Circle, Mask, Region, scaled
from polyclinic.explain.localisation.single_linkage import length, linked, steps_of

Array = np.ndarray
Heat = Float[Array, "*depth height width"]
Spacing = Sequence[float] | None

GRID = 224
"""Pixels along the longer side of the image to which the lengths below refer."""
LINK = 10
"""Longest step between linked pixels, in pixels of that grid."""
MARGIN = 5
"""Margin of the circle around a region, in pixels of that grid."""
LEAST_PIXELS = 2
"""Minimum size of a region."""
SIGNED_THRESHOLD = 0.70
_ROUNDING = 1 + 1e-9  # so that a step of exactly the distance also links in millimetres


@dataclass(frozen=True)
class Clusters:
    """The clusters kept, in the order of their first pixels; coordinates as in `regions`, lengths by the spacing."""

    labels: Int[Array, "*grid"]  # of every kept pixel, before small clusters were dropped; 0 elsewhere
    shown: Int[Array, " shown"]  # the labels that are left
    centre: Float[Array, "axis shown"]
    radius: Float[Array, " shown"]  # with the margin
    start: Int[Array, "axis shown"]
    stop: Int[Array, "axis shown"]
    peak: Float[Array, "axis shown"]
    strength: Float[Array, " shown"]
    share: Float[Array, " shown"]
    run_start: Int[Array, " run"]  # raster positions of the runs along the last axis, cluster by cluster
    run_stop: Int[Array, " run"]
    first_run: Int[Array, " shown"]  # of each cluster

    def __len__(self) -> int:
        return len(self.shown)

    def places(self) -> Int[Array, "*grid"]:
        """Return for every pixel the number of its cluster among those kept, from 1; 0 for none."""
        place = np.zeros(int(self.labels.max()) + 1, dtype=np.int32)
        place[self.shown] = np.arange(1, len(self) + 1)
        places: Array = place[self.labels]
        return places


class _Runs(NamedTuple):
    """Consecutive pixels of one cluster along the last axis."""

    start: Int[Array, " run"]  # raster positions
    stop: Int[Array, " run"]
    owner: Int[Array, " run"]
    highest: Float[Array, " run"]  # of the values in it
    total: Float[Array, " run"]

    def chosen(self, which: Array) -> "_Runs":
        return _Runs(*(column[which] for column in self))


def localise(heat: Heat, sensitivity: float, spacing: Spacing = None) -> tuple[Region, ...]:
    """Find the regions of a heat map at a sensitivity, strongest first; none if no value is positive.

    Args:
        heat: signed attributions of an image or a volume.
        sensitivity: from 0 (only the peak) to 1 (all positive pixels).
        spacing: of voxels along each axis, in mm; without it all lengths are in pixels.

    Raises:
        ValueError: the map holds NaN or infinity, has no pixels or not 2 or 3 axes; the sensitivity is not within 0..1.
    """
    strength = positive_share(heat)
    return regions_of(strength, kept(strength, sensitivity), spacing)


def localise_signed(heat: Heat, threshold: float = SIGNED_THRESHOLD, spacing: Spacing = None) -> tuple[Region, ...]:
    """Find regions by the original method: signed attributions scaled from minimum to maximum, above a threshold.

    For comparison with `localise` only. A constant map has none. Raises `ValueError` as `localise` does.
    """
    scaled = signed_min_max(heat)
    return regions_of(scaled, scaled >= threshold, spacing) if scaled.any() else ()


def positive_share(heat: Heat) -> Heat:
    """Scale a map to max(a, 0) / max(a); all 0 if nothing is positive. Idempotent.

    Raises `ValueError` for NaN or infinity, no pixels, or not 2 or 3 axes.
    """
    positive = np.maximum(_checked(heat), 0)
    highest = positive.max()
    scaled: Array = positive / highest if highest > 0 else positive
    return scaled


def signed_min_max(heat: Heat) -> Heat:
    """Scale a signed map from 0 at its minimum to 1 at its maximum; a constant map is all 0."""
    checked = _checked(heat)
    above: Array = checked / 2 - checked.min() / 2  # halved, so that the span of the largest numbers does not overflow
    return above / above.max() if above.max() > 0 else above


def kept(strength: Heat, sensitivity: float) -> Bool[Array, "*depth height width"]:
    """Return which pixels of a map scaled by `positive_share` are kept: v ≥ 1 − s and v > 0."""
    if not 0 <= sensitivity <= 1:
        raise ValueError(f"a sensitivity of {sensitivity:g}: give one from 0 (the peak) to 1 (all that is positive)")
    mask: Array = (strength >= 1 - sensitivity) & (strength > 0)
    return mask


def regions_of(strength: Heat, mask: Bool[Array, "*depth height width"], spacing: Spacing = None) -> tuple[Region, ...]:
    """Cluster the kept pixels of a map and describe each cluster, by descending strength, then share."""
    found = clusters(strength, mask, spacing)
    order = np.lexsort((-found.share, -found.strength))
    return tuple(_region(found, place, spacing) for place in order.tolist())


def link_distance(shape: tuple[int, ...], spacing: Spacing = None) -> float:
    """Return the longest step within a region, in the unit of the spacing."""
    steps = steps_of(shape, spacing)
    longest = max(LINK * _longer_side(shape, steps) / GRID, float(length(np.ones(len(shape)), steps)))
    return longest if spacing is None else longest * _ROUNDING


def clusters(strength: Heat, mask: Bool[Array, "*depth height width"], spacing: Spacing = None) -> Clusters:
    """Cluster the kept pixels of a map, drop clusters of a single pixel, and measure the others."""
    steps = steps_of(mask.shape, spacing)
    labels = linked(mask, link_distance(mask.shape, spacing), spacing)
    runs = _runs(labels, strength)
    pixels = np.bincount(runs.owner, weights=runs.stop - runs.start)
    shown = np.flatnonzero(pixels >= LEAST_PIXELS)
    runs = runs.chosen(pixels[runs.owner] >= LEAST_PIXELS)
    runs = runs.chosen(np.argsort(runs.owner, kind="stable"))
    begin = np.searchsorted(runs.owner, shown)
    lengths = runs.stop - runs.start
    first = np.stack(np.unravel_index(runs.start, mask.shape))
    last = np.concatenate([first[:-1], first[-1:] + lengths - 1])
    centre = _reduced(np.add, (first + last + 1) / 2 * lengths, begin) / pixels[shown]
    strongest = _reduced(np.maximum, runs.highest, begin)
    return Clusters(
        labels=labels,
        shown=shown,
        centre=centre,
        radius=_farthest((first, last), centre, begin, steps) + MARGIN * _longer_side(mask.shape, steps) / GRID,
        start=_reduced(np.minimum, first, begin),
        stop=_reduced(np.maximum, last, begin) + 1,
        peak=_peaks(strength, runs, np.repeat(strongest, _counts(begin, len(runs.start)))),
        strength=strongest,
        share=_reduced(np.add, runs.total, begin) / max(float(strength.sum()), np.finfo(float).tiny),
        run_start=runs.start,
        run_stop=runs.stop,
        first_run=begin,
    )


def _checked(heat: Heat) -> Heat:
    values = np.asarray(heat, dtype=np.float64)
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(
            f"a heat map of shape {values.shape}: give one of [height, width] or [depth, height, width] with pixels"
        )
    return finite(values, "attributions of the heat map")


def _longer_side(shape: tuple[int, ...], steps: Float[Array, " axis"]) -> float:
    """Return the longer side of the image, or of a volume's slices."""
    return float(np.max(np.array(shape[-2:]) * steps[-2:]))


def _runs(labels: Int[Array, "*grid"], strength: Heat) -> _Runs:
    rows = labels.reshape(-1, labels.shape[-1])
    begins = np.ones(rows.shape, dtype=bool)
    np.not_equal(rows[:, 1:], rows[:, :-1], out=begins[:, 1:])
    ends = np.ones(rows.shape, dtype=bool)
    ends[:, :-1] = begins[:, 1:]
    some = rows > 0
    start, stop = np.flatnonzero(begins & some), np.flatnonzero(ends & some) + 1
    values = strength.reshape(rows.shape)[some]
    offsets = np.cumsum(stop - start) - (stop - start)
    highest, total = _reduced(np.maximum, values, offsets), _reduced(np.add, values, offsets)
    return _Runs(start, stop, rows.ravel()[start], highest, total)


def _reduced(combine: np.ufunc, values: Array, begin: Int[Array, " segment"]) -> Array:
    """Reduce the values of each non-empty segment along the last axis."""
    if not len(begin):
        return np.zeros((*values.shape[:-1], 0), dtype=values.dtype)
    reduced: Array = combine.reduceat(values, begin, axis=-1)
    return reduced


def _counts(begin: Int[Array, " segment"], whole: int) -> Int[Array, " segment"]:
    counts: Array = np.diff(begin, append=whole)
    return counts


def _farthest(
    ends: tuple[Array, Array], centre: Float[Array, "axis shown"], begin: Array, steps: Float[Array, " axis"]
) -> Float[Array, " shown"]:
    """Return the largest distance of a pixel's centre from its cluster's; it is always at the end of a run."""
    middle = np.repeat(centre, _counts(begin, ends[0].shape[1]), axis=1)
    away = [length(end + 0.5 - middle, steps) for end in ends]
    return _reduced(np.maximum, np.maximum(*away), begin)


def _peaks(strength: Heat, runs: _Runs, strongest: Float[Array, " run"]) -> Float[Array, "axis shown"]:
    """Return the centre of the first pixel of each cluster with its highest value."""
    holding = np.flatnonzero(runs.highest == strongest)
    _, first = np.unique(runs.owner[holding], return_index=True)
    flat, holding = strength.ravel(), holding[first]
    within = [int(flat[start:stop].argmax()) for start, stop in
              zip(runs.start[holding], runs.stop[holding], strict=True)]  # fmt: skip
    places = runs.start[holding] + np.array(within, dtype=np.int64)
    return np.stack(np.unravel_index(places, strength.shape)) + 0.5


def _region(found: Clusters, place: int, spacing: Spacing) -> Region:
    axes = found.labels.ndim
    steps = tuple(float(step) for step in spacing) if spacing is not None else (1.0,) * axes
    centre, radius = _point(found.centre[:, place]), float(found.radius[place])
    start, stop = _point(found.start[:, place]), _point(found.stop[:, place])
    runs = slice(*[*found.first_run, len(found.run_start)][place : place + 2])
    in_mm = spacing is not None
    return Region(
        circle=Circle(centre, radius / min(steps)),
        box=Box(start, stop),
        mask=Mask.of_runs(found.labels.shape, found.run_start[runs], found.run_stop[runs]),
        peak=_point(found.peak[:, place]),
        strength=float(found.strength[place]),
        share=float(found.share[place]),
        circle_mm=Circle(scaled(centre, steps), radius) if in_mm else None,
        box_mm=Box(scaled(start, steps), scaled(stop, steps)) if in_mm else None,
    )


def _point(coordinates: Array) -> tuple[float, ...]:
    return tuple(coordinates.astype(float).tolist())
