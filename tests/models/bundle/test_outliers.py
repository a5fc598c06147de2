"""Outlier detection."""

import numpy as np
import pytest

from polyclinic.models.bundle.outliers import OUTLIER_QUANTILE, Gaussian, Novelty, out_of_fold

N = 1000


@pytest.fixture(scope="module")
def cloud():
    """A thousand samples of five correlated columns."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 5)) @ rng.normal(size=(5, 5)) + 3


def cross_fitted(rows, folds=2):
    """Return the Gaussian of each fold, and the out-of-fold distances of all rows."""
    fold = np.arange(len(rows)) % folds
    out_of_fold_distances, gaussians = np.empty(len(rows)), []
    for number in range(folds):
        gaussian, distances = out_of_fold(
            rows, np.ones(len(rows), dtype=bool), (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        )
        gaussians.append(gaussian)
        out_of_fold_distances[fold == number] = distances[fold == number]
    return tuple(gaussians), out_of_fold_distances


@pytest.fixture(scope="module")
def novelty(cloud):
    gaussians, out_of_fold_distances = cross_fitted(cloud)
    return Novelty(gaussians, gaussians, np.stack([out_of_fold_distances, out_of_fold_distances], axis=1))


def test_distance_is_mahalanobis():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(20_000, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 40.0]]) + 3
    mean, precision = rows.mean(axis=0), np.linalg.inv(np.cov(rows.T, bias=True))
    expected = [np.sqrt((row - mean) @ precision @ (row - mean)) for row in rows[:20]]
    assert Gaussian.fit(rows)(rows[:20]) == pytest.approx(expected, rel=0.01)


def test_constant_and_duplicate_columns_give_finite_distances():
    rng = np.random.default_rng(1)
    column = rng.normal(size=(30, 1))
    rows = np.concatenate([column, column, np.full((30, 1), 7.0), rng.normal(size=(30, 60))], axis=1)
    out_of_fold_distances = Gaussian.fit(rows)(rows)
    assert np.isfinite(out_of_fold_distances).all()
    assert np.isfinite(Gaussian.fit(rows[[0, 0]])(rows)).all()


@pytest.mark.parametrize("columns", [5, 80])
def test_new_samples_of_the_same_distribution_are_typical(columns):
    """With more columns than samples, in-sample distances would be too small; out-of-fold distances are not."""
    rng = np.random.default_rng(2)
    rows, new = rng.normal(size=(60, columns)), rng.normal(size=(300, columns))
    gaussians, out_of_fold_distances = cross_fitted(rows, folds=5)
    detector = Novelty((), gaussians, np.stack([np.full(60, np.nan), out_of_fold_distances], axis=1))
    scores = [detector.score(None, row) for row in new]
    assert np.median([score.structured for score in scores]) == pytest.approx(0.5, abs=0.2)
    assert np.mean([score.is_outlier for score in scores]) < 0.1


def test_outliers_in_either_part_are_detected(novelty, cloud):
    middle = cloud.mean(axis=0)
    usual = novelty.score(np.stack([middle, middle]), middle)
    assert (usual.is_outlier, usual.overall < 0.1) == (False, True)
    for latent, structured in ((middle, middle + 100), (middle + 100, middle)):
        score = novelty.score(np.stack([latent, latent]), structured)
        assert score.is_outlier
        assert score.overall == 1
        assert max(score.latent, score.structured) == 1
        assert min(score.latent, score.structured) == pytest.approx(usual.latent, abs=0.01)


def test_half_a_percent_of_development_samples_are_outliers(novelty, cloud):
    outliers = [novelty.score(np.stack([row, row]), row).is_outlier for row in cloud]
    assert np.mean(outliers) <= 2 * (1 - OUTLIER_QUANTILE)


def test_missing_parts_are_ignored(novelty, cloud):
    score = novelty.score(None, cloud[0])
    assert score.latent is None
    assert score.structured is not None
    assert novelty.score(None, None) is None


def test_arrays_round_trip(novelty, cloud):
    again = Novelty.from_arrays(novelty.arrays())
    for row in cloud[:5]:
        assert again.score(np.stack([row, row]), row) == novelty.score(np.stack([row, row]), row)
    assert again.samples == N


def test_no_samples_give_no_gaussian():
    gaussian, out_of_fold_distances = out_of_fold(
        np.zeros((10, 3)), np.zeros(10, dtype=bool), (np.arange(5), np.arange(5, 10))
    )
    assert gaussian is None
    assert np.isnan(out_of_fold_distances).all()


def test_many_samples_are_judged_as_one_by_one(cloud, novelty):
    rows = np.concatenate([cloud[:40], cloud[:40] * 3 + 50, np.full((1, 5), 3.0)])
    latents, has, present = np.stack([rows, rows]), np.arange(len(rows)) % 3 > 0, np.arange(len(rows)) % 7 > 0
    found = novelty.outliers(latents, (rows, has), present)
    for place, row in enumerate(rows):
        score = novelty.score(np.stack([row, row]), row if has[place] else None) if present[place] else None
        assert found[place] == (score is not None and score.is_outlier)
    assert 0 < found.sum() < len(rows)
    assert not novelty.outliers(None, None, present).any()
