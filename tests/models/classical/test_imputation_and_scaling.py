import numpy as np
import pytest

from polyclinic.models.classical.imputation_and_scaling import CLIP, MAX_VARIANCE, Block, Preparation

BLOCKS = (Block("structured", 100), Block("terms", 40, alike=True), Block("present", 1))


def matrix(seed: int = 0, n: int = 400) -> np.ndarray:
    random = np.random.default_rng(seed)
    structured = random.normal(size=(n, 100)) * np.geomspace(0.1, 1000, 100) + 5
    structured[random.random(structured.shape) < 0.2] = np.nan
    terms = random.normal(size=(n, 40)) * np.linspace(0.01, 0.1, 40)
    return np.hstack([structured, terms, random.integers(0, 2, (n, 1))])


def test_large_blocks_have_equal_variance():
    x = matrix()
    variance = Preparation.fit(x, BLOCKS)(x).var(axis=0)
    assert variance[:100].sum() == pytest.approx(MAX_VARIANCE, rel=0.05)
    assert variance[100:140].sum() == pytest.approx(MAX_VARIANCE)
    assert variance[140] == pytest.approx(1)


def test_columns_are_standardised_unless_alike():
    x = matrix()
    spread = Preparation.fit(x, BLOCKS)(x).std(axis=0)
    np.testing.assert_allclose(spread[:100], spread[0], rtol=0.05)
    np.testing.assert_allclose(spread[100:140] / spread[139], x[:, 100:140].std(axis=0) / x[:, 139].std())


def test_unknown_values_are_imputed_by_the_median():
    x = matrix()
    preparation = Preparation.fit(x, BLOCKS)
    assert np.isfinite(preparation(x)).all()
    unknown, median = np.full((1, 141), np.nan), np.nanmedian(x, axis=0)[None]
    np.testing.assert_allclose(preparation(unknown), preparation(median))


def test_outliers_are_clipped():
    preparation = Preparation.fit(matrix(), BLOCKS)
    far, further = (np.full((1, 141), size) for size in (1e6, 1e9))
    np.testing.assert_allclose(preparation(far)[:, :100], preparation(further)[:, :100])
    assert np.abs(preparation(far)[:, :100]).max() < CLIP


def test_constant_and_unknown_columns_become_zero():
    x = np.array([[1.0, np.nan, 2.0], [1.0, np.nan, 3.0]])
    assert not Preparation.fit(x, (Block("all", 3),))(x)[:, :2].any()
