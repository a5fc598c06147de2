"""From a heat map to regions, by a dial: the sensitivity s between 0 and 1.

After Aydin et al. 2019 (arXiv 1902.08888): keep the pixels with high attribution, join them by single linkage at 10
pixels of a 224-pixel grid, drop pixels that stay alone, and draw one circle per cluster, around its mean and 5 pixels
larger than its farthest pixel. Both lengths scale with the map.

**What s means here.** Only attribution that speaks *for* the answer counts, as a share of the map's highest: v =
max(a, 0) / max(a). At sensitivity s the pixels with v ≥ 1 − s are kept (and v > 0). So s = 0 shows the peak alone,
s = 0.3 all that is at least 70 % as strong, s = 1 all that speaks for the answer at all. Turning the dial up can only
add pixels: what is kept at s is kept at every higher s, and a region only grows, or merges with others. It can never
show what speaks against the answer.

The earlier method scaled signed attributions by their minimum and maximum and kept those above .70. There a zero lies
anywhere between 0 and 1, wherever the strongest evidence *against* puts it, so the same .70 keeps the peak alone in one
map and pixels that speak against the answer in another. `localise_signed` does it, for comparison.

Maps are pictures [height, width] or volumes [depth, height, width]; with the spacing of their voxels in millimetres all
distances are measured in these. Pixels that touch, if only at a corner, are always joined, however coarse the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.evaluation.arrays import finite
from polyclinic.explain.localisation.regions import Box, Circle, Mask, Region
from polyclinic.explain.localisation.single_linkage import length, linked, steps_of

Array = np.ndarray
Heat = Float[Array, "*depth height width"]
Spacing = Sequence[float] | None

GRID = 224
"""Pixels along the longer side of the picture for which the lengths below hold."""
LINK = 10
"""Pixels of that grid that a step from pixel to pixel of a region may be long."""
MARGIN = 5
"""Pixels of that grid by which a circle is larger than its region."""
LEAST_PIXELS = 2
"""Of a region: a pixel by itself is none."""
SIGNED_THRESHOLD = 0.70
_ROUNDING = 1 + 1e-9  # so that a step of just the distance is one in millimetres, too


@dataclass(frozen=True)
class Clusters:
    """The clusters shown, in the order of their first pixels; coordinates as in `regions`, lengths by the spacing."""

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
        """Give for every pixel the place of its cluster among those shown, counted from 1; 0 where there is none."""
        place = np.zeros(int(self.labels.max()) + 1, dtype=np.int32)
        place[self.shown] = np.arange(1, len(self) + 1)
        places: Array = place[self.labels]
        return places


class _Runs(NamedTuple):
    """Pixels of one cluster that follow one another along the last axis."""

    start: Int[Array, " run"]  # raster positions
    stop: Int[Array, " run"]
    owner: Int[Array, " run"]
    highest: Float[Array, " run"]  # of the values in it
    total: Float[Array, " run"]

    def chosen(self, which: Array) -> "_Runs":
        return _Runs(*(column[which] for column in self))


def localise(heat: Heat, sensitivity: float, spacing: Spacing = None) -> tuple[Region, ...]:
    """Find the regions of a heat map at a sensitivity, the strongest first.

    A map on which nothing speaks for the answer (all 0, or negative) has none.

    Args:
        heat: signed attributions, of a picture or a volume.
        sensitivity: the dial, from 0 (the peak alone) to 1 (all that is positive).
        spacing: of voxels along each axis, in mm; without it all lengths are in pixels.

    Raises:
        ValueError: the map holds NaN or infinity, has no pixels or not 2 or 3 axes; the sensitivity is not within 0..1.
    """
    strength = positive_share(heat)
    return regions_of(strength, kept(strength, sensitivity), spacing)


def localise_signed(heat: Heat, threshold: float = SIGNED_THRESHOLD, spacing: Spacing = None) -> tuple[Region, ...]:
    """Find regions as the earlier method did: signed attributions from minimum to maximum, all above a threshold.

    To compare with `localise`, not to use. A constant map has none. Raises `ValueError` as `localise` does.
    """
    scaled = signed_min_max(heat)
    return regions_of(scaled, scaled >= threshold, spacing) if scaled.any() else ()


def positive_share(heat: Heat) -> Heat:
    """Scale a map to max(a, 0) / max(a); all 0 where nothing is positive. Doing it twice changes nothing.

    Raises `ValueError` for NaN or infinity, no pixels, or not 2 or 3 axes.
    """
    positive = np.maximum(_checked(heat), 0)
    highest = positive.max()
    scaled: Array = positive / highest if highest > 0 else positive
    return scaled


def signed_min_max(heat: Heat) -> Heat:
    """Scale a signed map from its minimum, which becomes 0, to its maximum, 1; a constant map is all 0."""
    checked = _checked(heat)
    above: Array = checked / 2 - checked.min() / 2  # halved, as the span of the largest numbers is none
    return above / above.max() if above.max() > 0 else above


def kept(strength: Heat, sensitivity: float) -> Bool[Array, "*depth height width"]:
    """Say which pixels of a map scaled by `positive_share` are kept at a sensitivity: v ≥ 1 − s, and v > 0."""
    if not 0 <= sensitivity <= 1:
        raise ValueError(f"a sensitivity of {sensitivity:g}: give one from 0 (the peak) to 1 (all that is positive)")
    mask: Array = (strength >= 1 - sensitivity) & (strength > 0)
    return mask


def regions_of(strength: Heat, mask: Bool[Array, "*depth height width"], spacing: Spacing = None) -> tuple[Region, ...]:
    """Cluster the kept pixels of a map and describe each cluster, the strongest first, then the largest share."""
    found = clusters(strength, mask, spacing)
    order = np.lexsort((-found.share, -found.strength))
    return tuple(_region(found, place, spacing) for place in order.tolist())


def link_distance(shape: tuple[int, ...], spacing: Spacing = None) -> float:
    """Give the longest step within a region, in the unit of the spacing."""
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
    """Give the longer side of the picture, or of a volume's slices."""
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
    """Combine the values of each segment along the last axis; no segment is empty."""
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
    """Give how far the centre of a pixel lies from its cluster's; the farthest is always an end of a run."""
    middle = np.repeat(centre, _counts(begin, ends[0].shape[1]), axis=1)
    away = [length(end + 0.5 - middle, steps) for end in ends]
    return _reduced(np.maximum, np.maximum(*away), begin)


def _peaks(strength: Heat, runs: _Runs, strongest: Float[Array, " run"]) -> Float[Array, "axis shown"]:
    """Give the centre of the first pixel of each cluster that has its highest value."""
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
        circle_mm=Circle(_scaled(centre, steps), radius) if in_mm else None,
        box_mm=Box(_scaled(start, steps), _scaled(stop, steps)) if in_mm else None,
    )


def _point(coordinates: Array) -> tuple[float, ...]:
    return tuple(coordinates.astype(float).tolist())


def _scaled(point: Sequence[float], steps: Sequence[float]) -> tuple[float, ...]:
    return tuple(at * step for at, step in zip(point, steps, strict=True))
