"""Abstention for ignorance: a wide interval across the threshold, and nothing that a probability alone implies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.assess.abstention import abstentions_of, uncertain_call
from polyclinic.assess.assessment import ConformalSet, Operating, OutputEstimate
from polyclinic.evaluation import Estimate
from tests.exchange.patients import record

probabilities = st.floats(1e-4, 1 - 1e-4)


def output(value, low, high, threshold, name="yes"):
    figure = Estimate("ppv", 0.5, 0.4, 0.6, 100, "Wilson")
    operating = Operating(
        threshold=threshold, positive=value >= threshold, uncertain=uncertain_call(low, high, threshold),
        sensitivity=figure, ppv=figure, measured="held_out",
    )  # fmt: skip
    return OutputEstimate(output=name, value=value, low=low, high=high, basis="refits", operating=operating)


def both_answers():
    return ConformalSet(output=None, level=0.9, answers=("no", "yes"), everything=True, subjects=100, split=None)


def reasons(*outputs, sets=()):
    return [one.reason for one in abstentions_of(record(), None, False, outputs, sets)]


@given(probabilities, st.floats(0, 0.68), probabilities)
def test_a_narrow_interval_never_abstains_wherever_the_probability_lies(p, reach, threshold):
    """Not near one half, not at the threshold: within a factor of two of the odds, nothing is unknown."""
    odds = p / (1 - p)
    low, high = (odds * factor / (1 + odds * factor) for factor in (2.718281828**-reach, 2.718281828**reach))
    assert reasons(output(p, low, high, threshold), sets=(both_answers(),)) == []


@given(probabilities, st.floats(0.7, 5), probabilities)
def test_a_wide_interval_abstains_only_across_the_threshold(p, reach, threshold):
    odds, cut = p / (1 - p), threshold / (1 - threshold)
    ends = [odds * 2.718281828**way for way in (-reach, reach)]
    low, high = (end / (1 + end) for end in ends)
    across = ends[0] <= cut / 2 * (1 - 1e-9) and ends[1] >= cut * 2 * (1 + 1e-9)
    beside = ends[0] >= cut / 2 * (1 + 1e-9) or ends[1] <= cut * 2 * (1 - 1e-9)
    found = reasons(output(p, low, high, threshold))
    if across:
        assert found == ["uncertain"]
    if beside:
        assert found == []


def test_the_reason_names_interval_and_threshold():
    (reason,) = abstentions_of(record(), None, False, (output(0.14, 0.05, 0.32, 0.14),), ())
    assert "The interval, 5.0 % to 32.0 %, reaches from less than half to more than double" in reason.text
    assert "the threshold of 14.0 %" in reason.text


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_that_calls_everyone_or_no_one_is_never_uncertain(threshold):
    assert not uncertain_call(0.0, 1.0, threshold)


def test_without_an_interval_a_call_is_not_said_to_be_uncertain():
    assert not uncertain_call(None, None, 0.5)


def test_several_labels_abstain_only_together():
    uncertain, known = output(0.14, 0.02, 0.5, 0.14, "a"), output(0.9, 0.85, 0.95, 0.2, "b")
    assert reasons(uncertain, known) == []
    assert uncertain.operating.uncertain
    assert not known.operating.uncertain
    assert reasons(uncertain, uncertain) == ["uncertain"]


def test_a_set_of_every_answer_is_a_reason_only_without_a_call():
    plain = OutputEstimate(output="a", value=0.4)
    assert reasons(plain, sets=(both_answers(),)) == ["undecided"]
    assert reasons(output(0.5, 0.45, 0.55, 0.5), sets=(both_answers(),)) == []
