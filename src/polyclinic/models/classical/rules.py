"""Decision trees as text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LEAF = -1


def tree_rules(estimator: Any, columns: Sequence[str]) -> str:
    """Format the tree as indented conditions; each leaf has its prediction and number of training samples.

    Unknown values take the branch marked "or unknown".
    """
    if not hasattr(estimator, "tree_"):
        return f"always: class {estimator.classes_[0]}"
    lines: list[str] = []
    _write(estimator, columns, 0, "", lines)
    return "\n".join(lines)


def _write(estimator: Any, columns: Sequence[str], node: int, indent: str, lines: list[str]) -> None:
    tree = estimator.tree_
    left, right = tree.children_left[node], tree.children_right[node]
    if left == LEAF:
        lines.append(f"{indent}→ {_prediction(estimator, node)} ({tree.n_node_samples[node]} samples)")
        return
    name, threshold = columns[tree.feature[node]], tree.threshold[node]
    unknown_left = bool(tree.missing_go_to_left[node])
    for child, sign, unknown in ((left, "≤", unknown_left), (right, ">", not unknown_left)):
        lines.append(f"{indent}{name} {sign} {threshold:.4g}{' or unknown' if unknown else ''}")
        _write(estimator, columns, child, indent + "  ", lines)


def _prediction(estimator: Any, node: int) -> str:
    value = np.atleast_1d(estimator.tree_.value[node, 0])
    if not hasattr(estimator, "classes_"):
        return f"{value[0]:.4g}"
    probabilities = value / value.sum()
    if list(estimator.classes_) == [0, 1]:
        return f"{100 * probabilities[1]:.0f} %"
    return ", ".join(
        f"class {name}: {100 * probability:.0f} %"
        for name, probability in zip(estimator.classes_, probabilities, strict=True)
    )
