"""Path-dependent Shapley values agree with the definition, and with those of the library `shap`."""

from itertools import chain, combinations
from math import factorial

import numpy as np
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.explain.shapley.path_dependent import path_dependent_shapley
from polyclinic.models.classical.from_estimators import arrays_of
from tests.explain.shapley.trees import COLUMNS, ESTIMATORS, fitted_trees, score_count


@pytest.fixture(scope="module")
def fitted():
    return fitted_trees()


def expected(trees, row, known, node):
    """Expected prediction of a tree with some columns known; others follow both branches, weighted by samples."""
    if trees.is_leaf[node]:
        return trees.value[node]
    children = trees.children[node]
    if (column := trees.column[node]) in known:
        left = trees.unknown_left[node] if np.isnan(row[column]) else row[column] <= trees.threshold[node]
        return expected(trees, row, known, children[int(left)])
    return sum(trees.weight[child] / trees.weight[node] * expected(trees, row, known, child) for child in children)


def by_definition(trees, row, scores):
    def value(known):
        outputs = np.array([expected(trees, row, known, root) for root in trees.roots])
        return outputs.reshape(-1, scores).sum(axis=0) if scores > 1 else outputs.sum(axis=0)

    found = []
    for column in range(COLUMNS):
        others = [other for other in range(COLUMNS) if other != column]
        subsets = chain.from_iterable(combinations(others, size) for size in range(COLUMNS))
        weights = {
            known: factorial(len(known)) * factorial(COLUMNS - len(known) - 1) / factorial(COLUMNS) for known in subsets
        }
        found.append(sum(w * (value((*known, column)) - value(known)) for known, w in weights.items()))
    return np.array(found), value(())


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=10, deadline=None)
@given(number=st.integers(0, 199))
def test_values_are_those_of_the_definition(fitted, name, number):
    estimator, x = fitted[name]
    trees, scores = arrays_of(estimator).trees, score_count(name)
    found = path_dependent_shapley(trees, x[number], scores)
    columns, nothing = by_definition(trees, x[number], scores)
    np.testing.assert_allclose(found.columns, columns, atol=1e-10)
    np.testing.assert_allclose(found.expected, nothing, atol=1e-10)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_values_are_those_of_shap(fitted, name):
    estimator, x = fitted[name]
    kept = arrays_of(estimator)
    explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    largest = 0.0
    for row in np.random.default_rng(1).choice(x, 20):
        found = path_dependent_shapley(kept.trees, row, score_count(name)).columns
        found = found if name.startswith("boost") else found / len(kept.trees.roots)
        theirs = np.asarray(explainer.shap_values(row[None], check_additivity=False))[0]
        np.testing.assert_allclose(found, theirs.reshape(found.shape), rtol=0, atol=1e-6)
        largest = max(largest, float(np.abs(theirs).max()))
    assert largest > 0.1


def test_deep_trees_are_explained_exactly():
    """A path of 40 splits on two columns and another, where the quadrature has many points and factors are repeated."""
    from sklearn.tree import DecisionTreeRegressor

    x = np.random.default_rng(0).normal(size=(400, 3))
    kept = arrays_of(DecisionTreeRegressor(random_state=0).fit(x, np.sin(20 * x[:, 0]) + x[:, 1] + x[:, 2] ** 2))
    assert kept.trees.depth > 12
    for row in x[:20]:
        found = path_dependent_shapley(kept.trees, row)
        assert found.columns.sum() + found.expected == pytest.approx(kept(row[None])[0], abs=1e-12)
