import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index

from polyclinic.evaluation.metrics.kaplan_meier import survival_at, survival_interval, uncensored_at
from polyclinic.evaluation.metrics.survival import (
    brier_at,
    harrell_c,
    horizon_reliability,
    integrated_brier,
    observed_over_expected,
    risks_at,
    uno_c,
)
from polyclinic.models import HeadConfig
from polyclinic.models.network.heads import build_head
from tests.evaluation.samples import quick, survival

POINTS = np.array([0.05, 0.3, 0.7, 1.2])


def tied(n, seed):
    time, event, risk = survival(n, seed)
    return np.ceil(time * 5), event, np.round(risk)


@pytest.mark.parametrize("cohort", [survival(200, 1), tied(200, 2)])
def test_kaplan_meier_agrees_with_lifelines(cohort):
    time, event, _ = cohort
    points = np.quantile(time, [0.1, 0.3, 0.5, 0.7])
    weights = np.random.default_rng(0).integers(1, 4, 200).astype(float)
    for row in (np.ones(200), weights):
        fit = KaplanMeierFitter().fit(time, event, weights=row)
        np.testing.assert_allclose(survival_at(time, event, points, row), fit.survival_function_at_times(points))
    intervals = KaplanMeierFitter().fit(time, event).confidence_interval_survival_function_
    for point in points:
        _, low, high = survival_interval(time, event, point)
        np.testing.assert_allclose([low, high], intervals.loc[:point].iloc[-1], rtol=1e-6)


def test_before_a_time_is_the_limit_from_the_left():
    time, event = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    np.testing.assert_allclose(survival_at(time, event, time), [2 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(survival_at(time, event, time, before=True), [1, 2 / 3, 1 / 3])


def test_in_a_tie_the_event_came_before_the_censoring():
    time, event = np.array([1.0, 1.0, 2.0]), np.array([True, False, True])
    np.testing.assert_allclose(uncensored_at(time, event, np.array([1.0])), [1 / 2])


@pytest.mark.parametrize("seed", range(4))
def test_harrell_agrees_with_lifelines(seed):
    for time, event, risk in (survival(150, seed), tied(150, seed)):
        np.testing.assert_allclose(harrell_c(time, event, risk), concordance_index(time, -risk, event), atol=1e-12)


def test_uno_and_brier_agree_with_scikit_survival():
    """Of scikit-survival 0.28.0 on this very cohort, training and test being the same; seen once and written down."""
    time, event, _ = survival(200, 7)
    risk = survival(200, 7)[2]
    times = np.linspace(0.1, 1.5, 15)
    predicted = np.exp(-times * np.exp(risk)[:, None])
    np.testing.assert_allclose(harrell_c(time, event, risk), 0.6107673764564082)
    np.testing.assert_allclose(uno_c(time, event, risk), 0.6044492575240554)
    np.testing.assert_allclose(uno_c(time, event, risk, until=1.0), 0.6060912785151598)
    scores = brier_at(time, event, predicted, times)
    np.testing.assert_allclose(scores[[0, 7, 14]], [0.09729871, 0.26285197, 0.26958826], rtol=1e-7)
    np.testing.assert_allclose(integrated_brier(time, event, predicted, times), 0.24511524824468098)


def brute_force_uno(time, event, risk):
    uncensored = uncensored_at(time, event, time, before=True)
    good = usable = 0.0
    for i in np.flatnonzero(event):
        for j in range(len(time)):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                usable += uncensored[i] ** -2
                good += uncensored[i] ** -2 * ((risk[j] < risk[i]) + 0.5 * (risk[j] == risk[i]))
    return good / usable


def test_uno_with_ties_agrees_with_brute_force():
    time, event, risk = tied(80, 5)
    np.testing.assert_allclose(uno_c(time, event, risk), brute_force_uno(time, event, risk))


def test_uno_does_not_depend_on_the_censoring_as_harrell_does():
    generator = np.random.default_rng(0)
    x = generator.normal(size=1500)
    until_event = generator.exponential(np.exp(-x)) ** (1 + 0.8 * (x > 0))
    everyone = np.ones(1500, dtype=bool)
    until = 0.8
    whole = uno_c(until_event, everyone, x, until=until)
    lost = generator.exponential(0.7, 1500)
    time, event = np.minimum(until_event, lost), until_event <= lost
    assert abs(uno_c(time, event, x, until=until) - whole) < 0.02


@quick
@given(st.integers(0, 10_000))
def test_concordance_properties(seed):
    time, event, risk = tied(25, seed)
    if not event.any():
        return
    harrell = harrell_c(time, event, risk)
    if np.isfinite(harrell):
        np.testing.assert_allclose(harrell_c(time, event, np.exp(risk)), harrell)
        np.testing.assert_allclose(harrell_c(time, event, -risk), 1 - harrell)
    everyone = np.ones(25, dtype=bool)
    np.testing.assert_allclose(uno_c(time, everyone, risk), harrell_c(time, everyone, risk))


def test_weights_are_copies():
    time, event, risk = tied(40, 1)
    predicted = np.exp(-POINTS * 3 * np.exp(risk / 3)[:, None])
    figures = (
        lambda rows, weights=None: harrell_c(time[rows], event[rows], risk[rows], weights),
        lambda rows, weights=None: uno_c(time[rows], event[rows], risk[rows], weights),
        lambda rows, weights=None: integrated_brier(time[rows], event[rows], predicted[rows], POINTS, weights),
        lambda rows, weights=None: observed_over_expected(time[rows], event[rows], predicted[rows, 1], 0.3, weights),
    )
    weights = np.random.default_rng(1).integers(0, 3, (3, 40)).astype(float)
    for figure in figures:
        for row, found in zip(weights, figure(np.arange(40), weights), strict=True):
            np.testing.assert_allclose(found, figure(np.repeat(np.arange(40), row.astype(int))))


def test_without_censoring_the_brier_score_is_the_plain_one():
    time, _, _ = survival(100, 3, censoring=1e9)
    event = np.ones(100, dtype=bool)
    predicted = np.random.default_rng(0).random((100, 4))
    plain = ((predicted - (time[:, None] > POINTS)) ** 2).mean(axis=0)
    np.testing.assert_allclose(brier_at(time, event, predicted, POINTS), plain)
    observed = (time <= 0.3).mean()
    np.testing.assert_allclose(
        observed_over_expected(time, event, predicted[:, 1], 0.3), observed / (1 - predicted[:, 1]).mean()
    )


def test_calibration_at_a_horizon_sees_risks_that_are_half_of_the_truth():
    generator = np.random.default_rng(0)
    x = generator.normal(size=4000)
    until_event, lost = generator.exponential(np.exp(-x)), generator.exponential(2, 4000)
    time, event = np.minimum(until_event, lost), until_event <= lost
    alive = np.exp(-0.5 * np.exp(x))
    np.testing.assert_allclose(observed_over_expected(time, event, alive, 0.5), 1, atol=0.05)
    assert sum(part.low <= part.predicted <= part.high for part in horizon_reliability(time, event, alive, 0.5)) >= 8
    halved = 1 - (1 - alive) / 2
    np.testing.assert_allclose(observed_over_expected(time, event, halved, 0.5), 2, atol=0.1)


def test_bins_without_an_event_are_shown():
    time, event = np.full(40, 2.0), np.zeros(40, dtype=bool)
    event[20:] = True
    time[20:] = 0.5
    parts = horizon_reliability(time, event, np.repeat([0.9, 0.2], 20), 1.0, bins=2)
    assert [part.observed for part in parts] == [0, 1]
    assert parts[0].high > 0.1
    assert horizon_reliability(time[:0], event[:0], np.zeros(0), 1.0) == ()


@pytest.mark.parametrize("event", [[False, False], [True, True]])
def test_no_usable_pair_gives_nan(event):
    with np.errstate(all="raise"):
        assert np.isnan(harrell_c(np.array([1.0, 1.0]), np.array(event), np.array([1.0, 2.0])))
        assert np.isnan(harrell_c(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0)))


@quick
@given(
    st.lists(st.floats(0.1, 50), min_size=1, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(0.01, 80), min_size=1, max_size=6).map(sorted),
    st.integers(0, 2**16),
)
def test_risks_are_read_off_as_the_head_itself_would_read_them(ends, times, seed):
    bins = tuple(float(end) for end in np.unique(np.float32(ends)))
    head = build_head(HeadConfig(kind="time_to_event", outputs=len(bins), bins=bins), 8).double()
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, len(bins))))
    found = risks_at(head.activate(logits).numpy(), bins, times)
    log_survival = torch.nn.functional.logsigmoid(-logits).cumsum(dim=-1).numpy()
    edges = np.array([0.0, *bins])
    curves = [np.exp(np.interp(times, edges, [0.0, *row])) for row in log_survival]  # a constant hazard in each bin
    expected = 1 - np.array(curves)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (np.diff(found, axis=1) >= -1e-12).all()


def test_a_risk_of_one_can_be_read_off():
    found = risks_at(np.array([[0.5, 1.0]]), (1.0, 2.0), (0.5, 1.0, 2.0, 9.0))
    np.testing.assert_allclose(found, [[1 - np.sqrt(0.5), 0.5, 1, 1]])
