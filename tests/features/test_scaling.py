import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from polyclinic.features.measurements import Measurements
from polyclinic.features.scaling import CLIP, SCALES, QuantileScale, RobustScale, winsor_limits

VALUES = st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=50).map(np.array)


def test_robust_scale_estimates_the_normal_distribution():
    draws = np.random.default_rng(0).normal(120, 15, 20_000)
    scale = RobustScale.fit(np.append(draws, [1e9] * 50))
    assert scale.centre == pytest.approx(120, abs=1)
    assert scale.spread == pytest.approx(15, rel=0.05)
    assert scale(np.array([120.0, 1e9])).tolist() == [pytest.approx(0, abs=0.1), CLIP]


def test_standard_deviation_is_used_if_half_are_equal():
    values = np.array([5.0] * 8 + [1.0, 9.0])
    assert RobustScale.fit(values) == RobustScale(5.0, values.std())
    assert RobustScale.fit(np.array([5.0, 5.0])) == RobustScale(5.0, 1.0)


def test_quantile_scale_gives_uniform_ranks():
    draws = np.random.default_rng(0).lognormal(size=20_000)
    ranks = QuantileScale.fit(draws)(draws)
    assert ranks.mean() == pytest.approx(0, abs=0.01)
    assert ranks.std() == pytest.approx(1, abs=0.01)
    assert stats.kstest(ranks, stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf).statistic < 0.02


@pytest.mark.parametrize("name", SCALES)
@given(values=VALUES, others=VALUES)
def test_scales_are_finite_and_monotonic(name, values, others):
    scaled = SCALES[name].fit(values)(np.sort(others))
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= 0).all()


def test_limits_are_observed_extreme_quantiles():
    value = np.append(np.arange(10_000.0), [7.0])
    code = np.append(np.zeros(10_000, dtype=np.int64), [2])
    events = Measurements(np.zeros(10_001, dtype=np.int64), code, value, value)
    assert winsor_limits(events, 3) == [(10.0, 9989.0), (0.0, 0.0), (7.0, 7.0)]
