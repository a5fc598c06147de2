"""Who is unlike the development samples, and who is not."""

import numpy as np
import pytest

from polyclinic.models.bundle.outliers import FAR, Gaussian, Novelty, out_of_fold

N = 1000


@pytest.fixture(scope="module")
def cloud():
    """A thousand samples of five columns that hang together."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 5)) @ rng.normal(size=(5, 5)) + 3


def measured(rows, folds=2):
    """Give the Gaussian of each fold, and the distances of all rows from those that left them out."""
    fold = np.arange(len(rows)) % folds
    away, gaussians = np.empty(len(rows)), []
    for number in range(folds):
        gaussian, distances = out_of_fold(
            rows, np.ones(len(rows), dtype=bool), (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        )
        gaussians.append(gaussian)
        away[fold == number] = distances[fold == number]
    return tuple(gaussians), away


@pytest.fixture(scope="module")
def novelty(cloud):
    gaussians, away = measured(cloud)
    return Novelty(gaussians, gaussians, np.stack([away, away], axis=1))


def test_the_distance_is_that_of_mahalanobis():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(20_000, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 40.0]]) + 3
    mean, precision = rows.mean(axis=0), np.linalg.inv(np.cov(rows.T, bias=True))
    expected = [np.sqrt((row - mean) @ precision @ (row - mean)) for row in rows[:20]]
    assert Gaussian.fit(rows)(rows[:20]) == pytest.approx(expected, rel=0.01)


def test_columns_that_are_constant_or_repeat_another_do_no_harm():
    rng = np.random.default_rng(1)
    one = rng.normal(size=(30, 1))
    rows = np.concatenate([one, one, np.full((30, 1), 7.0), rng.normal(size=(30, 60))], axis=1)
    away = Gaussian.fit(rows)(rows)
    assert np.isfinite(away).all()
    assert np.isfinite(Gaussian.fit(rows[[0, 0]])(rows)).all()


@pytest.mark.parametrize("columns", [5, 80])
def test_new_samples_of_the_same_kind_are_as_usual_as_others(columns):
    """In more columns than samples a mean lies too near to those that made it; measured from others it does not."""
    rng = np.random.default_rng(2)
    rows, new = rng.normal(size=(60, columns)), rng.normal(size=(300, columns))
    gaussians, away = measured(rows, folds=5)
    told = Novelty((), gaussians, np.stack([np.full(60, np.nan), away], axis=1))
    places = [told.place(None, row) for row in new]
    assert np.median([place.structured for place in places]) == pytest.approx(0.5, abs=0.2)
    assert np.mean([place.far for place in places]) < 0.1


def test_what_lies_far_out_is_told_whichever_part_shows_it(novelty, cloud):
    middle = cloud.mean(axis=0)
    usual = novelty.place(np.stack([middle, middle]), middle)
    assert (usual.far, usual.whole < 0.1) == (False, True)
    for latent, structured in ((middle, middle + 100), (middle + 100, middle)):
        place = novelty.place(np.stack([latent, latent]), structured)
        assert place.far
        assert place.whole == 1
        assert max(place.latent, place.structured) == 1
        assert min(place.latent, place.structured) == pytest.approx(usual.latent, abs=0.01)


def test_one_in_two_hundred_of_the_development_samples_is_as_far(novelty, cloud):
    far = [novelty.place(np.stack([row, row]), row).far for row in cloud]
    assert np.mean(far) <= 2 * (1 - FAR)


def test_a_part_that_is_not_there_says_nothing(novelty, cloud):
    place = novelty.place(None, cloud[0])
    assert place.latent is None
    assert place.structured is not None
    assert novelty.place(None, None) is None


def test_it_survives_as_arrays(novelty, cloud):
    again = Novelty.from_arrays(novelty.arrays())
    for row in cloud[:5]:
        assert again.place(np.stack([row, row]), row) == novelty.place(np.stack([row, row]), row)
    assert again.samples == N


def test_nobody_can_be_placed_where_nobody_is():
    gaussian, away = out_of_fold(np.zeros((10, 3)), np.zeros(10, dtype=bool), (np.arange(5), np.arange(5, 10)))
    assert gaussian is None
    assert np.isnan(away).all()
