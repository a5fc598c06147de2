"""Resampling and peaks equal those of scipy.signal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from polyclinic.features.waveform.filters import find_peaks, resample_polyphase
from tests.properties import examples


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(2, 900), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_resampling_equals_scipy(length, up, down, seed):
    values = np.random.default_rng(seed).normal(5, 2, length)
    up, down = up // np.gcd(up, down), down // np.gcd(up, down)
    expected = signal.resample_poly(values, up, down, padtype="line")
    np.testing.assert_allclose(resample_polyphase(values, up, down), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("up", "down"), [(100, 257), (125, 128), (2, 5), (1, 10)])
def test_resampling_at_rates_of_devices_equals_scipy(up, down):
    values = np.cumsum(np.random.default_rng(up).normal(size=2570))
    expected = signal.resample_poly(values, up, down, padtype="line")
    np.testing.assert_allclose(resample_polyphase(values, up, down), expected, rtol=0, atol=1e-9)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.sampled_from([0.0, 0.5, 2.0]), st.booleans(), st.integers(0, 999))
def test_peaks_equal_those_of_scipy(length, distance, height, flat, seed):
    """Also where maxima are flat, or equally high."""
    values = np.random.default_rng(seed).normal(size=length)
    values = np.round(values) if flat else values
    expected, _ = signal.find_peaks(values, height=height, distance=distance)
    np.testing.assert_array_equal(find_peaks(values, height, distance), expected)
