"""Decision trees as flat arrays, evaluated together.

scikit-learn evaluates trees one by one, with overhead meant for many samples: one patient takes a forest 25 ms, and
boosting more. Here all trees of an ensemble are evaluated at once, level by level, in a fraction of a millisecond per
patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int


class InvalidTreeError(ValueError):
    """The arrays are not those of trees: of other sizes, with indices out of bounds, or with cycles."""


@dataclass(frozen=True, eq=False)
class FlatTrees:
    """The concatenated nodes of all trees of an ensemble; a leaf is its own child."""

    roots: Int[np.ndarray, " tree"]
    column: Int[np.ndarray, " node"]
    threshold: Float[np.ndarray, " node"]
    unknown_left: Bool[np.ndarray, " node"]
    children: Int[np.ndarray, "node 2"]  # right, left; after their parent
    value: Float[np.ndarray, "node output"]
    samples: Int[np.ndarray, " node"]  # number of training samples
    weight: Float[np.ndarray, " node"]  # sum of their weights

    def leaves(self, x: Float[np.ndarray, "sample column"]) -> Int[np.ndarray, "sample tree"]:
        """Return the leaf of each sample in each tree."""
        node = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        sample = np.arange(len(x))[:, None]
        for _ in range(self.depth):
            values = x[sample, self.column[node]]
            left = (values <= self.threshold[node]) | (np.isnan(values) & self.unknown_left[node])
            node = self.children[node, left.astype(np.intp)]
        return node

    def goes_left(self, row: Float[np.ndarray, " column"]) -> Bool[np.ndarray, " node"]:
        """Return for each node whether a row takes its left branch."""
        values = row[self.column]
        left: np.ndarray = (values <= self.threshold) | (np.isnan(values) & self.unknown_left)
        return left

    def values(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample tree output"]:
        """Return the output of each tree for each sample."""
        result: np.ndarray = self.value[self.leaves(x)]
        return result

    @cached_property
    def is_leaf(self) -> Bool[np.ndarray, " node"]:
        """Whether each node is a leaf."""
        leaf: np.ndarray = self.children[:, 0] == np.arange(len(self.children))
        return leaf

    @cached_property
    def depth(self) -> int:
        """The number of levels below the roots."""
        level, depth = self.roots, 0
        while len(inner := level[~self.is_leaf[level]]):
            level, depth = np.unique(self.children[inner]), depth + 1
        return depth

    def check(self, columns: int, outputs: int) -> None:
        """Check that all nodes exist and come after their parent, which excludes cycles, and that columns exist.

        Raises:
            InvalidTreeError: something does not.
        """
        nodes = len(self.column)
        sizes = {len(self.threshold), len(self.unknown_left), len(self.samples), len(self.weight), nodes}
        if sizes != {nodes} or self.children.shape != (nodes, 2) or self.value.shape != (nodes, outputs):
            raise InvalidTreeError("the arrays of the trees have different sizes")
        own = np.arange(nodes)[:, None]
        leaf = (self.children == own).all(axis=1)
        after = (self.children > own).all(axis=1) & (self.children < nodes).all(axis=1)
        roots, columns_exist = self.roots, (self.column >= 0) & (self.column < columns)
        if not len(roots) or not ((roots >= 0) & (roots < nodes)).all() or not (after | leaf).all():
            raise InvalidTreeError("a tree's node indices are out of bounds")
        if not columns_exist[~leaf].all() or not (self.column[leaf] == 0).all():
            raise InvalidTreeError("a tree's column indices are out of bounds")
        if not np.isfinite(self.value).all() or not (self.weight > 0).all():
            raise InvalidTreeError("a tree's nodes have no value or no weight")


def concatenated(trees: list[FlatTrees]) -> FlatTrees:
    """Return several trees as one."""
    sizes = np.array([len(tree.column) for tree in trees])
    starts = np.cumsum(sizes) - sizes
    moved = zip(trees, starts, strict=True)
    roots, children = zip(*((tree.roots + start, tree.children + start) for tree, start in moved), strict=True)
    return FlatTrees(
        np.concatenate(roots),
        np.concatenate([tree.column for tree in trees]),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate([tree.unknown_left for tree in trees]),
        np.concatenate(children),
        np.concatenate([tree.value for tree in trees]),
        np.concatenate([tree.samples for tree in trees]),
        np.concatenate([tree.weight for tree in trees]),
    )
