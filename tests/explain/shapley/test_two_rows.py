"""Shapley values of trees between two rows agree with the definition, and with those of the library `shap`."""

from itertools import chain, combinations
from math import factorial

import numpy as np
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.explain.shapley.two_rows import shapley_between
from polyclinic.models.classical.from_estimators import arrays_of
from tests.explain.shapley.trees import COLUMNS, ESTIMATORS, fitted_trees, score_count


@pytest.fixture(scope="module")
def fitted():
    return fitted_trees()


def by_definition(trees, row, baseline, scores):
    def value(known):
        x = np.where(np.isin(np.arange(COLUMNS), known), row, baseline)[None]
        outputs = trees.values(x)[0]
        return outputs.reshape(-1, scores).sum(axis=0) if scores > 1 else outputs.sum(axis=0)

    found = []
    for column in range(COLUMNS):
        others = [other for other in range(COLUMNS) if other != column]
        subsets = chain.from_iterable(combinations(others, size) for size in range(COLUMNS))
        found.append(
            sum(
                factorial(len(one)) * factorial(COLUMNS - len(one) - 1) / factorial(COLUMNS)
                * (value([*one, column]) - value(one))
                for one in map(list, subsets)
            )
        )  # fmt: skip
    return np.array(found)


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=25, deadline=None)
@given(rows=st.tuples(st.integers(0, 199), st.integers(0, 199)))
def test_values_are_those_of_the_definition(fitted, name, rows):
    estimator, x = fitted[name]
    trees, scores = arrays_of(estimator).trees, score_count(name)
    row, baseline = x[rows[0]], x[rows[1]]
    found = shapley_between(trees, row, baseline, scores)
    np.testing.assert_allclose(found, by_definition(trees, row, baseline, scores), atol=1e-9)
    same = (row == baseline) | (np.isnan(row) & np.isnan(baseline))
    assert (found[same] == 0).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_values_are_those_of_shap(fitted, name):
    estimator, x = fitted[name]
    trees, boosted = arrays_of(estimator).trees, name.startswith("boost")
    largest = 0.0
    for row, baseline in np.random.default_rng(1).choice(x, (20, 2)):
        found = shapley_between(trees, row, baseline, score_count(name))
        found = found if boosted else found / len(trees.roots)
        explainer = shap.TreeExplainer(estimator, baseline[None], feature_perturbation="interventional")
        theirs = np.asarray(explainer.shap_values(row[None]))[0]
        np.testing.assert_allclose(found, theirs.reshape(found.shape), rtol=0, atol=1e-6)
        largest = max(largest, float(np.abs(theirs).max()))
    assert largest > 0.1
