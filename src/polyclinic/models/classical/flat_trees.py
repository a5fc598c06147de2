"""The trees of a fitted estimator as flat arrays, evaluated together.

scikit-learn evaluates trees one by one, with overhead meant for many samples: one patient takes a forest 25 ms, and
boosting more. Here all trees of an ensemble are evaluated at once, level by level, in a fraction of a millisecond per
patient. scikit-learn also does not validate node indices, so that a crafted file could read beyond its arrays; here
they are checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int


class InvalidTreeError(ValueError):
    """A tree's node indices are out of bounds or cyclic."""


@dataclass(frozen=True)
class FlatTrees:
    """The concatenated nodes of all trees of an ensemble; a leaf is its own child."""

    roots: Int[np.ndarray, " tree"]
    depth: int
    column: Int[np.ndarray, " node"]
    threshold: Float[np.ndarray, " node"]
    unknown_left: Bool[np.ndarray, " node"]
    children: Int[np.ndarray, "node 2"]  # right, left
    value: Float[np.ndarray, "node output"]

    def leaves(self, x: Float[np.ndarray, "sample column"]) -> Int[np.ndarray, "sample tree"]:
        """Return the leaf of each sample in each tree."""
        node = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        sample = np.arange(len(x))[:, None]
        for _ in range(self.depth):
            values = x[sample, self.column[node]]
            left = (values <= self.threshold[node]) | (np.isnan(values) & self.unknown_left[node])
            node = self.children[node, left.astype(np.intp)]
        return node

    def values(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample tree output"]:
        """Return the output of each tree for each sample."""
        result: np.ndarray = self.value[self.leaves(x)]
        return result


def read_trees(estimator: Any, columns: int) -> FlatTrees | None:
    """Flatten the trees of an estimator; None if it has none.

    Raises:
        InvalidTreeError: a child or a column is out of bounds, or the nodes are cyclic.
    """
    members = getattr(estimator, "estimators_", [estimator])
    parts = [_of_tree(member.tree_) for member in members if hasattr(member, "tree_")]
    parts += [_of_predictor(tree.nodes) for stage in getattr(estimator, "_predictors", []) for tree in stage]
    if not parts:
        return None
    for part in parts:
        _check(part, columns)
    sizes = np.array([len(part.column) for part in parts])
    starts = np.cumsum(sizes) - sizes
    children = np.concatenate([part.children + start for part, start in zip(parts, starts, strict=True)])
    return FlatTrees(
        starts,
        _depth(starts, children),
        np.concatenate([part.column for part in parts]),
        np.concatenate([part.threshold for part in parts]),
        np.concatenate([part.unknown_left for part in parts]),
        children,
        np.concatenate([part.value for part in parts]),
    )


def _of_tree(tree: Any) -> FlatTrees:
    leaf = tree.children_left == -1
    children = np.stack([tree.children_right, tree.children_left], axis=1)
    return _flatten(leaf, children, tree.feature, tree.threshold, tree.missing_go_to_left, tree.value[:, 0, :])


def _of_predictor(nodes: np.ndarray) -> FlatTrees:
    if nodes["is_categorical"].any():
        raise InvalidTreeError("a tree has categorical splits, which are not supported")
    leaf = nodes["is_leaf"].astype(bool)
    children = np.stack([nodes["right"], nodes["left"]], axis=1)
    unknown_left, value = nodes["missing_go_to_left"], nodes["value"][:, None]
    return _flatten(leaf, children, nodes["feature_idx"], nodes["num_threshold"], unknown_left, value)


def _flatten(
    leaf: np.ndarray,
    children: np.ndarray,
    column: np.ndarray,
    threshold: np.ndarray,
    unknown_left: np.ndarray,
    value: np.ndarray,
) -> FlatTrees:
    own_index = np.arange(len(leaf))[:, None]
    return FlatTrees(
        roots=np.zeros(1, dtype=np.int64),
        depth=0,
        column=np.where(leaf, 0, column).astype(np.int64),
        threshold=np.where(leaf, np.nan, threshold),
        unknown_left=unknown_left.astype(bool),
        children=np.where(leaf[:, None], own_index, children.astype(np.int64)),
        value=value.astype(np.float64),
    )


def _check(tree: FlatTrees, columns: int) -> None:
    """Check that every child exists and comes after its parent, which excludes cycles, and that columns exist."""
    nodes = np.arange(len(tree.column))
    inner = tree.children[:, 0] != nodes
    children, split_columns = tree.children[inner], tree.column[inner]
    valid = len(nodes) and (children < len(nodes)).all() and (children > nodes[inner, None]).all()
    if not valid or not ((split_columns >= 0) & (split_columns < columns)).all():
        raise InvalidTreeError("a tree's node indices are out of bounds")


def _depth(roots: np.ndarray, children: np.ndarray) -> int:
    """Count the levels below the roots."""
    level, depth = roots, 0
    while True:
        inner = level[children[level, 0] != level]
        if not len(inner):
            return depth
        level, depth = np.unique(children[inner]), depth + 1
