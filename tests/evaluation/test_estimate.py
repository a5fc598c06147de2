import doctest
import math

import pytest

from polyclinic.evaluation import estimate as module
from polyclinic.evaluation.estimate import Difference, Estimate, decimal


def test_examples_in_docstrings():
    found = doctest.testmod(module)
    assert found.attempted > 4
    assert found.failed == 0


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Estimate("auroc", 0.8702, 0.8511, 0.8884, 10, "m"), ".870 [.851, .888]"),
        (Estimate("slope", 1.042, 0.873, 1.211, 10, "m"), "1.04 [.87, 1.21]"),
        (Estimate("intercept", -0.21, -0.4, 0.0, 10, "m"), "−.210 [−.400, .000]"),
        (Estimate("mae", 123.4, 101.22, 150.0, 10, "m"), "123.4 [101.2, 150.0]"),
        (Estimate("auroc", 0.5, None, None, 10, "m", "every sample has the same score"),
         ".500 [interval not estimable: every sample has the same score]"),
    ],
)  # fmt: skip
def test_figures_read_as_in_a_journal(figure, text):
    assert str(figure) == text


def test_nothing_infinite_is_a_figure():
    with pytest.raises(ValueError, match="finite"):
        Estimate("auroc", math.nan, 0, 1, 10, "m")
    assert Estimate.of("auroc", math.nan, (0, 1), 10, "m", "no positives").reason == "no positives"
    kept = Estimate.of("auroc", 0.5, (math.nan, math.nan), 10, "m", "too few")
    assert (kept.value, kept.low, kept.high, kept.reason) == (0.5, None, None, "too few")


@pytest.mark.parametrize(
    ("low", "high", "match"), [(0.6, 0.4, "wrong order"), (None, 0.4, "two ends"), (None, None, "reason")]
)
def test_intervals_are_whole_or_explained(low, high, match):
    with pytest.raises(ValueError, match=match):
        Estimate("auroc", 0.5, low, high, 10, "m")


@pytest.mark.parametrize(
    "record",
    [
        Estimate("auroc", 0.1 + 0.2, 0.25, 0.35, 10, "m"),
        Estimate.missing("auroc", 0, "no samples"),
        Difference(Estimate("auroc", 0.02, 0.01, 0.03, 10, "m"), p=0.012, p_adjusted=0.024),
    ],
)
def test_json_both_ways(record):
    assert type(record).from_json(record.to_json()) == record
    assert type(record).from_dict(record.to_dict()) == record


def test_damaged_json_is_refused():
    with pytest.raises(ValueError, match="name"):
        Estimate.from_json('{"value": 0.5}')


def test_differences_show_their_sign_and_p():
    difference = Difference(Estimate("auroc", -0.02, -0.03, -0.01, 10, "m"), p=0.0002)
    assert str(difference) == "−.020 [−.030, −.010], p < .001"
    assert decimal(-0.0001, 3) == ".000"
