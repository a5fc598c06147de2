import numpy as np
import pytest

from polyclinic.evaluation.arrays import as_probabilities, as_scores, as_truth, ratio, subject_codes


@pytest.mark.parametrize("y", [[0, 1, 1], [False, True, True], np.array([0.0, 1.0, 1.0])])
def test_truth_may_be_booleans_or_numbers(y):
    np.testing.assert_array_equal(as_truth(y), [False, True, True])


@pytest.mark.parametrize(
    ("y", "match"), [([0, 2], "1 of 2"), ([0.0, np.nan], "neither 0 nor 1"), (["a", "b"], "numeric"), ([[0]], "axes")]
)
def test_unknown_truth_never_becomes_negative(y, match):
    with pytest.raises(ValueError, match=match):
        as_truth(y)


def test_scores_are_finite_and_one_per_sample():
    with pytest.raises(ValueError, match=r"shape \(2,\) for 3"):
        as_scores([0.1, 0.2], 3)
    with pytest.raises(ValueError, match="2 of 3 predictions are not finite"):
        as_scores([0.1, np.nan, np.inf], 3)
    with pytest.raises(ValueError, match="logits"):
        as_probabilities(np.array([0.5, 1.2]))


def test_errors_hold_no_values():
    with pytest.raises(ValueError, match="1 of 2") as error:
        as_truth([0, 4711])
    assert "4711" not in str(error.value)


def test_subjects_are_numbered_in_order():
    codes, count = subject_codes(["b", "a", "b"], 3)
    assert (codes.tolist(), count) == ([1, 0, 1], 2)
    assert subject_codes(None, 2)[1] == 2
    with pytest.raises(ValueError, match="one subject per sample"):
        subject_codes(["a"], 2)


def test_zero_over_zero_is_unknown_without_a_warning():
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])), [0.5, np.nan])
