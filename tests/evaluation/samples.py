"""Random cohorts to measure: seeded, and hypothesis strategies with ties."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.properties import examples

quick = settings(max_examples=examples(40), deadline=None)


def binary(n, seed=0, shift=1.0, prevalence=0.25, digits=None):
    """Calibrated probabilities whose logits are `shift` apart, rounded to `digits` for ties."""
    generator = np.random.default_rng(seed)
    y = generator.random(n) < prevalence
    logits = generator.normal(size=n) + shift * y
    offset = np.log(prevalence / (1 - prevalence)) - shift**2 / 2
    p = 1 / (1 + np.exp(-(shift * logits + offset)))
    return y, p if digits is None else np.round(p, digits)


def survival(n, seed=0, censoring=1.5):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    until_event, until_lost = generator.exponential(np.exp(-x)), generator.exponential(censoring, n)
    return np.minimum(until_event, until_lost), until_event <= until_lost, x + generator.normal(size=n)


@st.composite
def truths_and_scores(draw, least=2, most=40):
    """Both classes, and scores among which ties are common."""
    n = draw(st.integers(least, most))
    y = draw(hnp.arrays(bool, n))
    y[0], y[-1] = True, False
    p = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 12))) / 12
    return y, p
