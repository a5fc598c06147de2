"""Exact Shapley values of trees between two rows of a matrix: a sample, and a baseline.

The value of a set of columns is the prediction with those columns of the sample and the others of the baseline
(interventional Shapley values with a single reference: Lundberg 2020, doi 10.1038/s42256-019-0138-9). A leaf is reached
by the sets that hold the columns A in which its path follows the sample, and none of the columns B in which it follows
the baseline: of its value, each column of A receives (|A| − 1)! |B|! / (|A| + |B|)!, and each of B the negative of
|A|! (|B| − 1)! / (|A| + |B|)!. Why they are not those of `shap`:
`docs/adr/0033-own-shapley-values-between-two-rows.md`.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from jaxtyping import Float

from polyclinic.models.classical.flat_trees import FlatTrees

Columns = tuple[int, ...]


def shapley_between(
    trees: FlatTrees,
    row: Float[np.ndarray, " column"],
    baseline: Float[np.ndarray, " column"],
    scores: int = 1,
) -> Float[np.ndarray, "column output"]:
    """Return the Shapley values of the sum of all trees.

    With several `scores`, the trees belong to the scores in turn, as in boosting of several classes, and have one
    output each.
    """
    outputs = trees.value.shape[1] if scores == 1 else scores
    found = np.zeros((len(row), outputs))
    left = [trees.goes_left(row).tolist(), trees.goes_left(baseline).tolist()]
    column, children = trees.column.tolist(), trees.children.tolist()
    for number, root in enumerate(trees.roots.tolist()):
        own = slice(None) if scores == 1 else slice(number % scores, number % scores + 1)
        open_nodes: list[tuple[int, Columns, Columns]] = [(root, (), ())]
        while open_nodes:
            node, of_row, of_baseline = open_nodes.pop()
            if children[node][0] == node:
                _add(found[:, own], of_row, of_baseline, trees.value[node])
                continue
            ours, theirs, split = left[0][node], left[1][node], column[node]
            if ours == theirs or split in of_row:
                open_nodes.append((children[node][ours], of_row, of_baseline))
            elif split in of_baseline:
                open_nodes.append((children[node][theirs], of_row, of_baseline))
            else:
                open_nodes.append((children[node][ours], (*of_row, split), of_baseline))
                open_nodes.append((children[node][theirs], of_row, (*of_baseline, split)))
    return found


def _add(found: np.ndarray, of_row: Columns, of_baseline: Columns, value: np.ndarray) -> None:
    first, second = len(of_row), len(of_baseline)
    every = factorial(first + second)
    for column in of_row:
        found[column] += factorial(first - 1) * factorial(second) / every * value
    for column in of_baseline:
        found[column] -= factorial(first) * factorial(second - 1) / every * value
