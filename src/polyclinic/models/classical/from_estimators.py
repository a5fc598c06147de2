"""Fitted estimators of scikit-learn and LightGBM → their arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from polyclinic.models.classical.fitted import Boosting, Constant, Estimator, Forest, Linear
from polyclinic.models.classical.flat_trees import FlatTrees, concatenated

CATEGORICAL, DEFAULT_LEFT, MISSING_ZERO, MISSING = 1, 2, 4, 12
"""Bits of LightGBM's `decision_type`: the kind of split, where unknown values go, and what counts as unknown."""


def arrays_of(estimator: Any) -> Estimator:
    """Return the arrays of a fitted estimator of one output.

    Raises:
        TypeError: the estimator is of a kind that is not kept.
    """
    classes = getattr(estimator, "classes_", None)
    if hasattr(estimator, "class_prior_"):
        return Constant(estimator.classes_, estimator.class_prior_)
    if hasattr(estimator, "coef_"):
        return Linear(np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_), classes)
    if hasattr(estimator, "booster_"):
        return _of_lightgbm(estimator.booster_, classes)
    members = getattr(estimator, "estimators_", [estimator])
    if not all(hasattr(member, "tree_") for member in members):
        raise TypeError(f"a {type(estimator).__name__} cannot be kept as arrays")
    return Forest(concatenated([_of_tree(member.tree_) for member in members]), classes)


def _of_lightgbm(booster: Any, classes: np.ndarray | None) -> Boosting:
    first, *others = booster.model_to_string().split("\nTree=")
    scores = int(_fields(first)["num_tree_per_iteration"])
    return Boosting(concatenated([_of_text(text) for text in others]), np.zeros(scores), classes)


def _of_text(text: str) -> FlatTrees:
    """Read a tree of LightGBM's text format: inner nodes, each after its parent, and leaves, counted from -1 down."""
    fields = _fields(text)
    leaves = int(fields["num_leaves"])
    inner = leaves - 1

    def numbers(name: str, kind: type, before: int = 0, after: int = 0) -> np.ndarray:
        listed = fields[name].split() if inner or name.startswith("leaf") else []
        return np.concatenate([np.zeros(before, kind), np.array(listed, dtype=kind), np.zeros(after, kind)])

    threshold, decision = numbers("threshold", float, after=leaves), numbers("decision_type", int, after=leaves)
    if (decision & CATEGORICAL).any():
        raise TypeError("trees with categorical splits cannot be kept as arrays")
    missing = decision & MISSING
    if (missing == MISSING_ZERO).any():
        raise TypeError("trees that take 0 for unknown cannot be kept as arrays")
    children = np.stack([numbers(f"{side}_child", int, after=leaves) for side in ("right", "left")], axis=1)
    count = numbers("internal_count", int, after=leaves) + numbers("leaf_count", int, before=inner)
    return _flatten(
        np.arange(inner + leaves) >= inner,
        np.where(children < 0, inner + ~children, children),
        column=numbers("split_feature", int, after=leaves),
        threshold=threshold,
        # Unknown values of a column that had none in training count as 0.
        unknown_left=np.where(missing == 0, threshold >= 0, (decision & DEFAULT_LEFT) > 0),
        value=numbers("leaf_value", float, before=inner)[:, None],
        samples=count,
        weight=np.maximum(count, 1),
    )


def _fields(text: str) -> dict[str, str]:
    """Return the lines `key=value` before the first empty line."""
    lines = text.partition("\n\n")[0].splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def _of_tree(tree: Any) -> FlatTrees:
    return _flatten(
        tree.children_left == -1,
        np.stack([tree.children_right, tree.children_left], axis=1),
        column=tree.feature,
        threshold=tree.threshold,
        unknown_left=tree.missing_go_to_left.astype(bool),
        value=tree.value[:, 0, :],
        samples=tree.n_node_samples,
        weight=tree.weighted_n_node_samples,
    )


def _flatten(
    leaf: np.ndarray,
    children: np.ndarray,
    *,
    column: np.ndarray,
    threshold: np.ndarray,
    unknown_left: np.ndarray,
    value: np.ndarray,
    samples: np.ndarray,
    weight: np.ndarray,
) -> FlatTrees:
    own_index = np.arange(len(leaf))[:, None]
    return FlatTrees(
        roots=np.zeros(1, dtype=np.intp),
        column=np.where(leaf, 0, column).astype(np.intp),
        threshold=np.where(leaf, np.nan, threshold),
        unknown_left=unknown_left,
        children=np.where(leaf[:, None], own_index, children.astype(np.intp)),
        value=value.astype(np.float64),
        samples=samples.astype(np.intp),
        weight=weight.astype(np.float64),
    )
