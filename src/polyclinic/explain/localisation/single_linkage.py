"""Exact single linkage of the kept pixels of a map, without a distance matrix.

Single linkage cut at a distance t joins two pixels if a chain of kept pixels connects them with no step longer than t;
this is DBSCAN with `eps` = t and `min_samples` = 1 (Ester et al. 1996). As for DBSCAN (Gunawan 2013; Gan & Tao 2015),
the grid is divided into cells so small that any two pixels of one cell are linked:

1. each cell with a kept pixel is one unit, and only cells within reach are compared;
2. near cells are joined, nearest first, if their outermost pixels are within t. This resolves nearly all pairs;
3. the remaining pairs are compared pixel by pixel. Only pixels on the rim of a cell can be nearest (from any other, a
   step towards the other cell stays inside), and only those within t of the other cell's bounding box.

Time and memory grow with the number of cells, not with the square of the pixels. Nothing is rounded: distances are
square roots of sums of squares of whole pixels times the spacing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Array = np.ndarray
Pairs = tuple[Int[Array, " pair"], Int[Array, " pair"]]
"""Pairs of cells, by number."""

_MOST_AT_ONCE = 1 << 20  # pairs of pixels, to bound memory


def linked(mask: Bool[Array, "*grid"], distance: float, spacing: Sequence[float] | None = None) -> Int[Array, "*grid"]:
    """Label the single-linkage clusters of a mask's pixels 1, 2, … in the order of their first pixels; 0 is outside.

    Single pixels are clusters. The labels equal SciPy's `fcluster(linkage(pixels, "single"), distance, "distance")` up
    to their order.

    Args:
        mask: in any number of dimensions.
        distance: the longest step, at least 0, in the unit of `spacing`.
        spacing: of neighbouring pixels along each axis; 1 if not given.

    Raises:
        ValueError: the distance or a spacing is invalid, or there is not one spacing per axis.
    """
    steps = steps_of(mask.shape, spacing)
    if not (distance >= 0 and np.isfinite(distance)):
        raise ValueError(f"a linking distance of {distance:g}: give a finite number of at least 0")
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32)
    cells = _Cells.cut(mask, distance, steps)
    return cells.spread(_in_order(_joined(cells, distance), cells.first_pixels()), mask)


def steps_of(shape: tuple[int, ...], spacing: Sequence[float] | None) -> Float[Array, " axis"]:
    """Return the checked spacing along each axis; raises `ValueError`."""
    steps = np.ones(len(shape)) if spacing is None else np.asarray(spacing, dtype=np.float64)
    if steps.shape != (len(shape),) or not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"the spacing must be {len(shape)} finite numbers above 0, one per axis of the map")
    return steps


def length(differences: Int[Array, "axis ..."], steps: Float[Array, " axis"]) -> Float[Array, "..."]:
    """Return the distances for differences in pixels along each axis."""
    total: Array = (differences[0] * steps[0]) ** 2
    for apart, step in zip(differences[1:], steps[1:], strict=True):
        total = total + (apart * step) ** 2
    distances: Array = np.sqrt(total)
    return distances


@dataclass(frozen=True)
class _Cells:
    """The cells with a kept pixel, in raster order."""

    number: Int[Array, "*cells"]  # of each cell of the grid; −1: no kept pixel
    blocks: Bool[Array, "cell ..."]  # which of its pixels are kept
    origin: Int[Array, "axis cell"]  # the first pixel of each
    steps: Float[Array, " axis"]
    shape: tuple[int, ...]  # of the map

    @classmethod
    def cut(cls, mask: Array, distance: float, steps: Array) -> "_Cells":
        size = _cell_size(mask.shape, distance, steps)
        counts = [-(-whole // part) for whole, part in zip(mask.shape, size, strict=True)]
        ends = [(0, n * part - whole) for n, part, whole in zip(counts, size, mask.shape, strict=True)]
        split = np.pad(mask, ends).reshape([number for both in zip(counts, size, strict=True) for number in both])
        axes = mask.ndim
        occupied = split.any(axis=tuple(range(1, 2 * axes, 2)))
        tiles = split.transpose(*range(0, 2 * axes, 2), *range(1, 2 * axes, 2))
        number = np.full(counts, -1)
        number[occupied] = np.arange(occupied.sum())
        origin = np.stack(np.nonzero(occupied)) * np.array(size)[:, None]
        return cls(number, tiles[occupied], origin, steps, mask.shape)

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels of a cell along each axis."""
        return self.blocks.shape[1:]

    def first_pixels(self) -> Int[Array, " cell"]:
        """Return the raster position of the first kept pixel of each cell."""
        within = np.unravel_index(self.blocks.reshape(len(self.blocks), -1).argmax(axis=1), self.size)
        first: Array = np.ravel_multi_index(tuple(self.origin + np.stack(within)), self.shape)
        return first

    def offsets(self, distance: float) -> list[tuple[int, ...]]:
        """Return the offsets of cells that may have a pixel within `distance`, one per direction, nearest first."""
        reach = [min(int(distance / step) // part + 1, n) for step, part, n in
                 zip(self.steps, self.size, self.number.shape, strict=True)]  # fmt: skip
        found = [o for o in product(*(range(-most, most + 1) for most in reach)) if o > (0,) * len(o)]
        gaps = np.array([[max((abs(k) - 1) * c + 1, 0) if k else 0 for k, c in zip(o, self.size, strict=True)]
                         for o in found]).reshape(len(found), len(self.size))  # fmt: skip
        apart = length(gaps.T, self.steps)
        return [found[place] for place in np.argsort(apart, kind="stable") if apart[place] <= distance]

    def pairs(self, offset: tuple[int, ...]) -> Pairs:
        """Return the pairs of cells at `offset` from each other."""
        here = tuple(slice(max(-k, 0), n - max(k, 0)) for k, n in zip(offset, self.number.shape, strict=True))
        there = tuple(slice(max(k, 0), n - max(-k, 0)) for k, n in zip(offset, self.number.shape, strict=True))
        one, other = self.number[here].ravel(), self.number[there].ravel()
        both = (one >= 0) & (other >= 0)
        return one[both], other[both]

    def outermost(self) -> Int[Array, "axis pixel cell"]:
        """Return a pixel with the smallest and one with the largest coordinate of each cell along each axis."""
        found = []
        rows = np.arange(len(self.blocks))
        for axis, size in enumerate(self.size):
            slabs: Array = np.moveaxis(self.blocks, axis + 1, 1).reshape(len(self.blocks), size, -1)
            kept = np.asarray(slabs.any(axis=2))
            others = self.size[:axis] + self.size[axis + 1 :]
            for slab in (kept.argmax(axis=1), size - 1 - kept[:, ::-1].argmax(axis=1)):
                within = [*np.unravel_index(slabs[rows, slab].argmax(axis=1), others)] if others else []
                found.append(self.origin + np.stack([*within[:axis], slab, *within[axis:]]))
        return np.stack(found, axis=1)

    def rims(self, wanted: Int[Array, " some"]) -> tuple[Int[Array, "axis point"], Int[Array, " some"]]:
        """Return the pixels of some cells without a kept neighbour on one side, by cell, and their counts."""
        blocks: Array = self.blocks[wanted]
        axes = range(1, blocks.ndim)
        padded = np.pad(blocks, [(0, 0), *((1, 1) for _ in axes)])
        core = (slice(None), *(slice(1, -1) for _ in axes))
        inner = np.all([np.roll(padded, side, axis)[core] for axis in axes for side in (-1, 1)], axis=0)
        cell, *within = np.nonzero(blocks & ~inner)
        return self.origin[:, wanted[cell]] + np.stack(within), np.bincount(cell, minlength=len(wanted))

    def spread(self, cluster: Int[Array, " cell"], mask: Bool[Array, "*grid"]) -> Int[Array, "*grid"]:
        """Return the cluster of each kept pixel's cell."""
        labels = np.append(cluster, 0).astype(np.int32)[self.number]  # −1 is the last
        for axis, size in enumerate(self.size):
            labels = labels.repeat(size, axis=axis)
        spread: Array = labels[tuple(slice(n) for n in self.shape)] * mask
        return spread


def _cell_size(shape: tuple[int, ...], distance: float, steps: Array) -> list[int]:
    """Return the pixels of a cell along each axis, such that its corners are within `distance`."""
    size = [min(1 + int(distance / np.sqrt(len(shape)) / step), n) for step, n in zip(steps, shape, strict=True)]
    while length(np.array(size) - 1, steps) > distance:  # by a rounding error
        size = [max(n - 1, 1) for n in size]
    return size


def _joined(cells: _Cells, distance: float) -> Int[Array, " cell"]:
    """Return the cluster of each cell, in arbitrary order."""
    cluster = np.arange(len(cells.blocks))
    offsets, outermost = cells.offsets(distance), cells.outermost()
    for offset in offsets:
        if not cluster.any():
            return cluster
        one, other = _apart(cells.pairs(offset), cluster)
        if len(one):
            between = outermost[:, :, None, one] - outermost[:, None, :, other]
            near = (length(between, cells.steps) <= distance).any(axis=(0, 1))
            cluster = _merged(cluster, (one[near], other[near]))
    low, high = outermost.min(axis=1), outermost.max(axis=1)
    for offset in offsets:
        one, other = _apart(cells.pairs(offset), cluster)
        gap = np.maximum(np.maximum(low[:, one] - high[:, other], low[:, other] - high[:, one]), 0)
        near = length(gap, cells.steps) <= distance
        if near.any():
            touching = _touching(cells, (one[near], other[near]), (low, high), distance)
            cluster = _merged(cluster, (one[near][touching], other[near][touching]))
    return cluster


def _apart(pairs: Pairs, cluster: Int[Array, " cell"]) -> Pairs:
    one, other = pairs
    apart = cluster[one] != cluster[other]
    return one[apart], other[apart]


def _merged(cluster: Int[Array, " cell"], pairs: Pairs) -> Int[Array, " cell"]:
    """Merge the clusters of pairs of cells."""
    one, other = cluster[pairs[0]], cluster[pairs[1]]
    if not len(one):
        return cluster
    count = int(cluster.max()) + 1
    _, new = connected_components(coo_matrix((np.ones(len(one), dtype=bool), (one, other)), (count, count)), False)
    merged: Array = new[cluster]
    return merged


def _touching(cells: _Cells, pairs: Pairs, boxes: tuple[Array, Array], distance: float) -> Bool[Array, " pair"]:
    """Return whether pairs of cells have pixels within `distance` of each other."""
    wanted, places = np.unique(np.stack(pairs), return_inverse=True)
    points, counts = cells.rims(wanted)
    starts = np.cumsum(counts) - counts
    sides = []
    for place, facing in zip(places.reshape(2, -1), pairs[::-1], strict=True):
        pair = np.repeat(np.arange(len(place)), counts[place])
        point = _ranges(starts[place], counts[place])
        low, high = (box[:, facing[pair]] for box in boxes)
        beyond = np.maximum(np.maximum(low - points[:, point], points[:, point] - high), 0)
        near = length(beyond, cells.steps) <= distance
        sides.append((pair[near], point[near]))
    touching = np.zeros(len(pairs[0]), dtype=bool)
    for pair, one, other in _crossed(sides[0], sides[1], len(touching)):
        near = length(points[:, one] - points[:, other], cells.steps) <= distance
        touching[pair[near]] = True
    return touching


def _crossed(
    ours: tuple[Array, Array], theirs: tuple[Array, Array], pairs: int
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield all pairs of pixels of two cells as (pair, pixel, pixel), in batches."""
    (pair, point), (_, others) = ours, theirs
    counts = np.bincount(theirs[0], minlength=pairs)
    starts = np.cumsum(counts) - counts
    work = np.cumsum(counts[pair])
    bounds = np.searchsorted(work, np.arange(0, work[-1] if len(work) else 0, _MOST_AT_ONCE), side="right")
    for begin, end in pairwise([*bounds, len(pair)]):
        mine = pair[begin:end]
        repeats = counts[mine]
        yield np.repeat(mine, repeats), np.repeat(point[begin:end], repeats), others[_ranges(starts[mine], repeats)]


def _ranges(starts: Int[Array, " range"], counts: Int[Array, " range"]) -> Int[Array, " number"]:
    """Concatenate start, start + 1, … of each range."""
    ends = np.cumsum(counts)
    ranges: Array = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return ranges


def _in_order(cluster: Int[Array, " cell"], first: Int[Array, " cell"]) -> Int[Array, " cell"]:
    """Renumber clusters from 1 in the order of their first pixels."""
    earliest = np.full(int(cluster.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, cluster, first)
    rank = np.empty_like(earliest)
    rank[np.argsort(earliest, kind="stable")] = np.arange(1, len(earliest) + 1)
    ordered: Array = rank[cluster]
    return ordered
