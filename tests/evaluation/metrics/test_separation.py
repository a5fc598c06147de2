"""Ranks of many columns at once, against scikit-learn and SciPy column by column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom, mannwhitneyu, spearmanr
from sklearn.metrics import roc_auc_score

from polyclinic.evaluation.metrics.separation import CHUNK, chance_of_one_class, separation, separations, spearman


def drawn(seed, samples, columns):
    """Return columns with ties and unknown values, and an outcome."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(samples, columns)).round(rng.integers(0, 3))
    values[rng.random(values.shape) < rng.choice([0, 0.3, 0.9])] = np.nan
    return values, rng.random(samples) < rng.choice([0.1, 0.5]), rng.normal(size=samples).round(1)


@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 5))
def test_as_column_by_column(seed, samples, columns):
    values, truth, numbers = drawn(seed, samples, columns)
    measured = separation(values, truth)
    rho, count = spearman(values, numbers)
    assert len(measured.auroc) == len(rho) == columns
    for place, column in enumerate(values.T):
        known = ~np.isnan(column)
        assert (measured.positives[place], measured.negatives[place]) == (truth[known].sum(), (~truth[known]).sum())
        assert count[place] == known.sum()
        if 0 < truth[known].sum() < known.sum():
            assert measured.auroc[place] == pytest.approx(roc_auc_score(truth[known], column[known]))
        else:
            assert np.isnan(measured.auroc[place])
        if np.ptp(column[known] if known.any() else [0]) > 0 and np.ptp(numbers[known]) > 0:
            assert rho[place] == pytest.approx(spearmanr(column[known], numbers[known]).statistic)
        else:
            assert np.isnan(rho[place])


def test_several_chunks():
    values, truth, numbers = drawn(1, 30, 2 * CHUNK + 1)
    assert separation(values, truth).auroc[-1] == pytest.approx(separation(values[:, -1:], truth).auroc[0], nan_ok=True)
    assert spearman(values, numbers)[0][-1] == pytest.approx(spearman(values[:, -1:], numbers)[0][0], nan_ok=True)


def test_several_outcomes():
    values, truth, _ = drawn(2, 40, 5)
    for alone, joint in zip((truth, ~truth), separations(values, np.stack([truth, ~truth], axis=1)), strict=True):
        for one, other in zip(separation(values, alone), joint, strict=True):
            np.testing.assert_allclose(one, other)


def test_chance_is_that_of_the_rank_test():
    rng = np.random.default_rng(0)
    truth = np.arange(60) < 20
    columns = rng.normal(size=(60, 30)) + np.linspace(0, 1, 30) * truth[:, None]
    for column, chance in zip(columns.T, separation(columns, truth).chance, strict=True):
        exact = mannwhitneyu(column[truth], column[~truth], method="asymptotic", use_continuity=False).pvalue
        assert chance == pytest.approx(exact)


@given(st.integers(0, 30), st.integers(0, 60), st.integers(1, 60))
def test_chance_of_one_class_is_hypergeometric(present, of_class, others):
    samples = of_class + others
    present = min(present, samples)
    (chance,) = chance_of_one_class(np.array([present]), of_class, samples)
    assert chance == pytest.approx(hypergeom.pmf(present, samples, of_class, present), abs=1e-12)
