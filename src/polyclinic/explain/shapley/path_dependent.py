"""Exact path-dependent Shapley values of trees at one row of a matrix.

The value of a set of columns is the expected prediction if only they are known: at a split on another column both
branches are followed, in proportion to the training samples (Lundberg 2020, doi 10.1038/s42256-019-0138-9). Of the
splits on column j on the path to a leaf, let zⱼ be the product of the shares of the training samples, and oⱼ be 1 if
the row follows all of them, otherwise 0. Of the leaf's value, column i receives

    (oᵢ − zᵢ) ∫₀¹ Πⱼ≠ᵢ (zⱼ (1 − u) + oⱼ u) du

The integral is the mean over all orders of the columns, since ∫ uᵏ (1 − u)ⁿ⁻ᵏ du = k! (n − k)! / (n + 1)!. Its
integrand is a polynomial, which Gauss–Legendre quadrature integrates exactly with half as many points as factors. The
nodes of one level of all trees are followed together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.models.classical.flat_trees import FlatTrees

NEUTRAL = -1
"""Column of a factor that is 1, and to which nothing is contributed."""


class PathDependentValues(NamedTuple):
    """The Shapley values of the sum of all trees, and its expectation over the training samples."""

    columns: Float[np.ndarray, "column output"]
    expected: Float[np.ndarray, " output"]


class _Paths(NamedTuple):
    """The paths from the roots to some nodes of one level: one factor per level, neutral where a column is repeated."""

    node: Int[np.ndarray, " path"]
    tree: Int[np.ndarray, " path"]
    column: Int[np.ndarray, "path factor"]
    share: Float[np.ndarray, "path factor"]  # z
    follows: Bool[np.ndarray, "path factor"]  # o

    def select(self, rows: Bool[np.ndarray, " path"]) -> _Paths:
        """Select some paths."""
        return _Paths(*(part[rows] for part in self))


def path_dependent_shapley(trees: FlatTrees, row: Float[np.ndarray, " column"], scores: int = 1) -> PathDependentValues:
    """Return the Shapley values of the sum of all trees.

    With several `scores`, the trees belong to the scores in turn, as in boosting of several classes, and have one
    output each.
    """
    outputs = trees.value.shape[1] if scores == 1 else scores
    found, expected, left = np.zeros((len(row), outputs)), np.zeros(outputs), trees.goes_left(row)
    count = len(trees.roots)
    nothing = np.zeros((count, 0))
    paths = _Paths(trees.roots, np.arange(count), nothing.astype(np.intp), nothing, nothing.astype(bool))
    while len(paths.node):
        ended = trees.is_leaf[paths.node]
        leaves = paths.select(ended)
        values = _values(trees, leaves, scores)
        np.add.at(found, leaves.column, _contributions(leaves)[..., None] * values[:, None])
        expected += leaves.share.prod(axis=1) @ values
        paths = _next_level(trees, paths.select(~ended), left)
    return PathDependentValues(found, expected)


def _next_level(trees: FlatTrees, paths: _Paths, left: Bool[np.ndarray, " node"]) -> _Paths:
    """Follow both branches of each path."""
    sides = [_branch(trees, paths, side, left[paths.node] == side) for side in (0, 1)]
    return _Paths(*(np.concatenate(parts) for parts in zip(*sides, strict=True)))


def _branch(trees: FlatTrees, paths: _Paths, side: int, taken: Bool[np.ndarray, " path"]) -> _Paths:
    """Follow the right (0) or left (1) branch of each path; `taken` are those of the row."""
    child, split = trees.children[paths.node, side], trees.column[paths.node]
    share = trees.weight[child] / trees.weight[paths.node]
    same = paths.column == split[:, None]
    repeated = same.any(axis=1)
    return _Paths(
        child,
        paths.tree,
        np.column_stack([paths.column, np.where(repeated, NEUTRAL, split)]),
        np.column_stack([np.where(same, paths.share * share[:, None], paths.share), np.where(repeated, 1.0, share)]),
        np.column_stack([paths.follows & (taken[:, None] | ~same), taken | repeated]),
    )


def _contributions(leaves: _Paths) -> Float[np.ndarray, "path factor"]:
    """Return the share of the leaf's value that each column receives."""
    points, weights = np.polynomial.legendre.leggauss(leaves.column.shape[1] // 2 + 1)
    u = (points + 1) / 2
    factors = leaves.share[..., None] * (1 - u) + leaves.follows[..., None] * u
    integral = (factors.prod(axis=1, keepdims=True) / factors) @ (weights / 2)
    contributions: np.ndarray = (leaves.follows - leaves.share) * integral
    return contributions


def _values(trees: FlatTrees, leaves: _Paths, scores: int) -> Float[np.ndarray, "path output"]:
    values: np.ndarray = trees.value[leaves.node]
    if scores > 1:
        values = values * (leaves.tree[:, None] % scores == np.arange(scores))
    return values
