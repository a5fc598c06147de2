import numpy as np
import pytest
from pydantic import ValidationError

from polyclinic.features import SeriesFeaturizer, SeriesOptions
from tests.features.records import known_of, samples_of

A, B = "LAB//a", "VITAL//b"
ROWS = [
    (1, 0.0, A, 10.0),
    (1, 20.5, B, 1.0),
    (1, 20.5, A, 30.0),
    (1, 47.5, A, 20.0),
    (1, 47.9, A, 40.0),
    (2, 48.0, B, 3.0),
    (2, 44.0, B, 2.0),
    (3, None, A, 10.0),
]
SAMPLES = samples_of([1, 2, 3])
KNOWN = known_of(ROWS, SAMPLES)


def fitted(**options):
    return SeriesFeaturizer(SeriesOptions(least_samples=1, **options)).fit(KNOWN, SAMPLES)


def test_triplets_are_oldest_first():
    featurizer = fitted()
    arrays = featurizer.transform(KNOWN, SAMPLES)
    assert featurizer.codes == (A, B)
    np.testing.assert_allclose(
        arrays["triplet_time"], [[48, 27.5, 27.5, 0.5, 0.1], [4, 0, 0, 0, 0], [0] * 5], rtol=1e-5
    )
    assert arrays["triplet_code"].tolist() == [[1, 1, 2, 1, 1], [2, 2, 0, 0, 0], [0] * 5]
    a, b = (scale for scale in featurizer.fitted.scales)
    first = [*a(np.array([10.0, 30.0])), *b(np.array([1.0])), *a(np.array([20.0, 40.0]))]
    np.testing.assert_allclose(arrays["triplet_value"][0], first, rtol=1e-6)
    assert arrays["present"].tolist() == [True, True, False]  # a number without a time is not in the series


def test_newest_triplets_are_kept():
    arrays = fitted(longest=2).transform(KNOWN, SAMPLES)
    np.testing.assert_allclose(arrays["triplet_time"], [[0.5, 0.1], [4, 0], [0, 0]], rtol=1e-5)
    assert arrays["triplet_code"].tolist() == [[1, 1], [2, 2], [0, 0]]


def test_grid_ends_at_the_prediction_time():
    featurizer = fitted(window_hours=48, bin_hours=12)
    arrays = featurizer.transform(KNOWN, SAMPLES)
    assert arrays["grid_mask"].shape == (3, 4, 2)
    assert arrays["grid_mask"][0].tolist() == [[True, False], [True, True], [False, False], [True, False]]
    assert arrays["grid_mask"][1].tolist() == [[False, False]] * 3 + [[False, True]]
    assert not arrays["grid_mask"][2].any()
    a, b = (scale for scale in featurizer.fitted.scales)
    np.testing.assert_allclose(arrays["grid_value"][0, 3, 0], a(np.array([20.0, 40.0])).mean(), rtol=1e-6)
    np.testing.assert_allclose(arrays["grid_value"][1, 3, 1], b(np.array([2.0, 3.0])).mean(), rtol=1e-6)
    assert (arrays["grid_value"][~arrays["grid_mask"]] == 0).all()
    assert arrays["grid_since"][0].tolist() == [[0, 0], [12, 12], [12, 12], [24, 24]]
    assert arrays["grid_since"][2].tolist() == [[0, 0], [12, 12], [24, 24], [36, 36]]


def test_since_follows_the_recurrence_of_gru_d():
    rng = np.random.default_rng(0)
    rows = [(1, float(hour), code, 1.0 * hour) for code in (A, B) for hour in rng.choice(48, 12, replace=False)]
    featurizer = fitted(window_hours=48, bin_hours=1)
    arrays = featurizer.transform(known_of(rows, SAMPLES), SAMPLES)
    mask, since = arrays["grid_mask"][0], arrays["grid_since"][0]
    expected = np.zeros_like(since)
    for step in range(1, 48):
        expected[step] = 1 + np.where(mask[step - 1], 0, expected[step - 1])
    np.testing.assert_array_equal(since, expected)


def test_events_before_the_window_are_only_in_triplets():
    arrays = fitted(window_hours=10, bin_hours=5).transform(KNOWN, SAMPLES)
    assert arrays["grid_mask"][0].tolist() == [[False, False], [True, False]]
    assert (arrays["triplet_code"][0] > 0).sum() == 5


@pytest.mark.parametrize(
    ("hours", "window", "width"),
    [(0.5, 1, 0.25), (40, 40, 1), (100, 100, 3), (24 * 30, 720, 24), (24 * 3000, 72000, 1500)],
)
def test_grid_size_is_derived_from_the_records(hours, window, width):
    samples = samples_of([1], hours=hours)
    featurizer = SeriesFeaturizer(SeriesOptions(least_samples=1)).fit(known_of([(1, 0.0, A, 1.0)], samples), samples)
    assert (featurizer.fitted.window_hours, featurizer.fitted.bin_hours) == (window, width)
    assert featurizer.fitted.bins <= 48


def test_forms_are_optional():
    assert fitted(forms=("grid",)).transform(KNOWN, SAMPLES).keys() == {
        "present",
        "grid_value",
        "grid_mask",
        "grid_since",
    }
    triplets = fitted(forms=("triplets",)).transform(KNOWN, SAMPLES)
    assert triplets.keys() == {"present", "triplet_time", "triplet_code", "triplet_value"}


def test_codes_need_timed_numbers_in_enough_samples():
    rows = [*ROWS, (1, 3, "DEMOGRAPHIC//age//years", 70.0), (1, 3, "LAB//rare", 1.0), (1, 3, "LAB//text", "positive")]
    known = known_of(rows, SAMPLES)
    many = SeriesFeaturizer(SeriesOptions(least_samples=1)).fit(known, SAMPLES)
    few = SeriesFeaturizer(SeriesOptions(least_samples=2)).fit(known, SAMPLES)
    assert many.codes == (A, "LAB//rare", B)
    assert few.codes == (B,)
    assert few.ignored(known) == {A: 5, "LAB//rare": 1}


def test_quantile_scale_replaces_values_by_ranks():
    arrays = fitted(scale="quantile").transform(KNOWN, SAMPLES)
    values = arrays["triplet_value"][0][arrays["triplet_code"][0] == 1]
    np.testing.assert_allclose(values, [-np.sqrt(3), np.sqrt(3) / 3, -np.sqrt(3) / 3, np.sqrt(3)], rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"forms": ("waves",)}, {"scale": "log"}, {"longest": 0}, {"bin_hours": -1}])
def test_options_are_checked(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SeriesOptions(**wrong)
