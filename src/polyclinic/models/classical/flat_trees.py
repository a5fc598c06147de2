"""The trees of a fitted estimator as flat arrays that are walked together.

scikit-learn asks one tree after the other, through layers of checks and threads made for many samples: one patient
costs a forest 25 ms, and boosting more. All trees of an ensemble are walked here at once, one level at a time, which
costs a patient a fraction of a millisecond. scikit-learn also follows node numbers without looking, so that a crafted
file could read beyond its arrays; here each is checked first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int


class UnsoundTreeError(ValueError):
    """A tree's nodes lead out of it, or back to where they came from."""


@dataclass(frozen=True)
class FlatTrees:
    """The nodes of all trees of an ensemble, one tree after the other; a leaf is its own child."""

    roots: Int[np.ndarray, " tree"]
    depth: int
    column: Int[np.ndarray, " node"]
    threshold: Float[np.ndarray, " node"]
    unknown_left: Bool[np.ndarray, " node"]
    children: Int[np.ndarray, "node 2"]  # right, left
    value: Float[np.ndarray, "node output"]

    def leaves(self, x: Float[np.ndarray, "sample column"]) -> Int[np.ndarray, "sample tree"]:
        """Give the leaf that each sample reaches in each tree."""
        node = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        sample = np.arange(len(x))[:, None]
        for _ in range(self.depth):
            seen = x[sample, self.column[node]]
            left = (seen <= self.threshold[node]) | (np.isnan(seen) & self.unknown_left[node])
            node = self.children[node, left.astype(np.intp)]
        return node

    def values(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample tree output"]:
        """Give what each tree says of each sample."""
        result: np.ndarray = self.value[self.leaves(x)]
        return result


def read_trees(estimator: Any, columns: int) -> FlatTrees | None:
    """Flatten the trees of an estimator; None if it has none.

    Raises UnsoundTreeError if a node leads out of its tree, back, or to a column that does not exist.
    """
    parts = [_of_tree(one.tree_) for one in getattr(estimator, "estimators_", [estimator]) if hasattr(one, "tree_")]
    parts += [_of_predictor(one.nodes) for stage in getattr(estimator, "_predictors", []) for one in stage]
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
    return _one(leaf, children, tree.feature, tree.threshold, tree.missing_go_to_left, tree.value[:, 0, :])


def _of_predictor(nodes: np.ndarray) -> FlatTrees:
    if nodes["is_categorical"].any():
        raise UnsoundTreeError("a tree asks for categories, which our matrices do not have")
    leaf = nodes["is_leaf"].astype(bool)
    children = np.stack([nodes["right"], nodes["left"]], axis=1)
    unknown_left, value = nodes["missing_go_to_left"], nodes["value"][:, None]
    return _one(leaf, children, nodes["feature_idx"], nodes["num_threshold"], unknown_left, value)


def _one(
    leaf: np.ndarray,
    children: np.ndarray,
    column: np.ndarray,
    threshold: np.ndarray,
    unknown_left: np.ndarray,
    value: np.ndarray,
) -> FlatTrees:
    itself = np.arange(len(leaf))[:, None]
    return FlatTrees(
        roots=np.zeros(1, dtype=np.int64),
        depth=0,
        column=np.where(leaf, 0, column).astype(np.int64),
        threshold=np.where(leaf, np.nan, threshold),
        unknown_left=unknown_left.astype(bool),
        children=np.where(leaf[:, None], itself, children.astype(np.int64)),
        value=value.astype(np.float64),
    )


def _check(tree: FlatTrees, columns: int) -> None:
    """See that every child exists and comes after its parent, so that no path is endless, and that columns exist."""
    nodes = np.arange(len(tree.column))
    inner = tree.children[:, 0] != nodes
    children, asked = tree.children[inner], tree.column[inner]
    inside = len(nodes) and (children < len(nodes)).all() and (children > nodes[inner, None]).all()
    if not inside or not ((asked >= 0) & (asked < columns)).all():
        raise UnsoundTreeError("a tree's nodes lead out of it")


def _depth(roots: np.ndarray, children: np.ndarray) -> int:
    """Count the levels below the roots."""
    level, depth = roots, 0
    while True:
        inner = level[children[level, 0] != level]
        if not len(inner):
            return depth
        level, depth = np.unique(children[inner]), depth + 1
