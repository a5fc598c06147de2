import numpy as np
import pytest
from lifelines.utils import concordance_index

from polyclinic.evaluation import TimeToEvent, evaluate_time_to_event
from polyclinic.evaluation.metrics.survival import integrated_brier
from tests.evaluation.samples import survival

TIMES = (0.25, 0.5, 1.0, 50.0)


@pytest.fixture(scope="module")
def sample():
    time, event, risk = survival(300, 1)
    return np.column_stack([time, event]), risk


def test_a_risk_alone_gives_concordance_alone(sample):
    y, risk = sample
    found = evaluate_time_to_event(y, risk, resamples=200)
    assert set(found.figures) == {"harrell_c", "uno_c"}
    np.testing.assert_allclose(found["harrell_c"].value, concordance_index(y[:, 0], -risk, y[:, 1]))
    assert found.cases == y[:, 1].sum()


def test_survival_curves_rank_by_the_time_they_promise(sample):
    y, risk = sample
    curves = np.exp(-np.outer(np.exp(risk), TIMES))
    found = evaluate_time_to_event(y, curves, TIMES, (0.5, 50.0), resamples=200)
    assert found["harrell_c"].value == evaluate_time_to_event(y, risk, resamples=200)["harrell_c"].value
    followed = np.array(TIMES[:3])  # no sample is followed to 50
    expected = integrated_brier(y[:, 0], y[:, 1] == 1, curves[:, :3], followed)
    np.testing.assert_allclose(found["integrated_brier"].value, expected)
    assert found["brier@50"].reason == "only 0 samples are followed beyond 50"
    assert set(found.pictures.reliability) == {"0.5"}
    assert found["observed_over_expected@0.5"].low < found["observed_over_expected@0.5"].high


def test_everyone_censored_is_not_estimable():
    y = np.column_stack([np.arange(1.0, 41), np.zeros(40)])
    found = evaluate_time_to_event(y, np.arange(40.0), resamples=200)
    assert found["harrell_c"].reason == "no events among 40 samples"


@pytest.mark.parametrize(
    ("times", "horizons", "match"), [((2, 1), (), "ascend"), ((0, 1), (), "above zero"), ((1, 2), (3,), "horizon 3")]
)
def test_times_that_make_no_sense_are_refused(times, horizons, match):
    with pytest.raises(ValueError, match=match):
        TimeToEvent(times, horizons)


@pytest.mark.parametrize(
    ("y", "match"), [([[-1, 1]], "zero or more"), ([[1, 2]], "flags 0 or 1"), ([1, 2], "a duration and an event flag")]
)
def test_truths_that_make_no_sense_are_refused(y, match):
    with pytest.raises(ValueError, match=match):
        evaluate_time_to_event(y, [0.5] * len(y))
