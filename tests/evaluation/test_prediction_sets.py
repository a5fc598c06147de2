"""Prediction sets hold the call, and the truth as often as stated: within each class, and as measured by group."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from polyclinic.evaluation.metrics.conformal import answer_quantiles, by_answer, class_set, left_out
from polyclinic.evaluation.prediction_sets import ALPHA, PredictionSets, prediction_sets, set_coverage, set_scores

KINDS = ("binary", "multilabel", "multiclass", "regression")
SEEDS = 20


def drawn(kind, n, seed, shift=0.0):
    """Return answers [sample, output] of an imperfect and badly calibrated model, and the truth [sample, number]."""
    rng = np.random.default_rng(seed)
    if kind == "regression":
        truth = rng.standard_normal((n, 1))
        return truth + rng.standard_t(3, (n, 1)) + shift, truth
    if kind == "multiclass":
        truth = np.eye(3)[rng.choice(3, n, p=[0.7, 0.2, 0.1])]
        p = rng.dirichlet([1.0, 1.0, 1.0], n) + truth * rng.random((n, 1))
        return p / p.sum(axis=1, keepdims=True), truth
    columns = 1 if kind == "binary" else 3
    truth = (rng.random((n, columns)) < [0.12, 0.5, 0.9][:columns]).astype(float)
    logit = 2 * truth - 1 + 1.5 * rng.standard_normal((n, columns)) - 2 + shift
    return 1 / (1 + np.exp(-logit)), truth


def in_set(kind, sets, truth):
    """Return whether each output's set holds each sample's truth [sample, set], and the true answer [sample, set]."""
    if kind == "regression":
        return ((truth >= sets[0][:, :1]) & (truth <= sets[0][:, 1:])), np.zeros(truth.shape, dtype=int)
    answer = truth.argmax(axis=1)[:, None] if kind == "multiclass" else truth.astype(int)
    return np.stack(
        [np.take_along_axis(mask, column[:, None], axis=1)[:, 0] for mask, column in zip(sets, answer.T, strict=True)],
        axis=1,
    ), answer


@pytest.mark.parametrize("kind", KINDS)
def test_each_answer_is_held_as_often_as_stated(kind):
    """Each class has 90 % of its own, however rare and badly calibrated: 300 for q̂, 4,000 new, 20 seeds."""
    shares = {}
    for seed in range(SEEDS):
        answers, truth = drawn(kind, 4300, seed)
        scores = set_scores(kind, answers[:300], truth[:300])
        sets = prediction_sets(kind, answers[300:], scores, (0.1,) * answers.shape[1])
        held, answer = in_set(kind, sets, truth[300:])
        for place, own in enumerate(scores):
            for number, conforming in enumerate(own):
                mask = answer[:, place] == number
                shares.setdefault((place, number), []).append((held[mask, place].mean(), len(conforming)))
    for found in shares.values():
        coverage, counts = np.array(found).T
        n = int(np.median(counts))
        spread = beta(n + 1 - max(1, left_out(n, ALPHA)), max(1, left_out(n, ALPHA))).std()
        assert coverage.mean() >= 1 - ALPHA - 4 * spread / math.sqrt(SEEDS)


def test_the_pooled_quantile_would_not_hold_for_the_rarer_class():
    """The test above can fail: with one q̂ for both classes, those with the outcome are held too seldom."""
    answers, truth = drawn("binary", 4000, 0)
    scores = set_scores("binary", answers, truth)
    pooled = np.quantile(np.concatenate(scores[0]), 1 - ALPHA)
    assert (1 - answers[truth == 1] <= pooled).mean() < 0.6
    assert (1 - answers[truth == 1] <= answer_quantiles(scores[0], ALPHA)[1]).mean() >= 0.9


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=80), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_of_the_calibration_subjects_each_class_has_its_share(rows, alpha):
    """For any probabilities, ties and class sizes."""
    p, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=int)
    both = np.stack([1 - p, p], axis=1).reshape(-1, 2)
    scores = by_answer(1 - both[np.arange(len(p)), truth], truth, 2)
    held = class_set(both, answer_quantiles(scores, alpha))
    for answer, own in enumerate(scores):
        mine = held[truth == answer, answer]
        assert mine.sum() >= min(len(own), math.ceil(round((len(own) + 1) * (1 - alpha), 6)))
        if not left_out(len(own), alpha):
            assert held[:, answer].all(), "an answer with too few subjects is never excluded"


@given(st.sampled_from(KINDS[:3]), st.floats(0, 1), st.integers(0, 40), st.integers(0, 1000))
def test_a_set_holds_the_given_answer_and_is_never_empty(kind, threshold, n, seed):
    answers, truth = drawn(kind, n + 5, seed)
    sets = prediction_sets(kind, answers, set_scores(kind, answers[:n], truth[:n]), (threshold,) * answers.shape[1])
    assert all(mask.any(axis=1).all() for mask in sets)
    if kind == "multiclass":
        assert sets[0][np.arange(len(answers)), answers.argmax(axis=1)].all()
        return
    for mask, p in zip(sets, answers.T, strict=True):
        assert mask[np.arange(len(p)), (p >= threshold).astype(int)].all()


def test_each_sample_may_have_its_own_threshold():
    answers, thresholds = np.full((2, 1), 0.4), np.array([0.3, 0.5])
    many = ((np.zeros(50), np.zeros(50)),)
    (mask,) = prediction_sets("binary", answers, many, (thresholds,))
    assert mask.tolist() == [[False, True], [True, False]]


def test_too_few_numbers_give_an_unbounded_interval():
    (ends,) = prediction_sets("regression", np.array([[3.0]]), ((np.ones(8),),), ())
    assert ends.tolist() == [[-math.inf, math.inf]]
    (ends,) = prediction_sets("regression", np.array([[3.0]]), ((np.ones(9),),), ())
    assert ends.tolist() == [[2.0, 4.0]]


def coverage(kind, sets, truth, names=(), answered=None, observed=None, groups=None, subjects=None):
    n = len(truth)
    everyone = np.ones(n, dtype=bool)
    found = PredictionSets(sets, everyone if answered is None else answered)
    return set_coverage(kind, found, truth, names, everyone if observed is None else observed, groups or {}, subjects)


def test_coverage_is_counted_by_outcome_and_by_group():
    mask = np.array([[1, 1], [0, 1], [1, 0], [1, 0], [1, 1], [0, 1]], dtype=bool)
    truth = np.array([1, 1, 1, 0, 0, 0])
    rows = coverage("binary", (mask,), truth, groups={"sex": ["F", "F", "F", "M", "M", None]})
    titles = [(row.table, row.level, row.n, row.cases) for row in rows]
    assert titles == [("everyone", "all", 6, 3), ("sex", "F", 3, 3), ("sex", "M", 2, 0), ("sex", "unknown", 1, 0)]
    figures = [{name: figure.value for name, figure in row.figures.items()} for row in rows]
    assert figures[0] == pytest.approx(
        {"set_coverage": 4 / 6, "set_coverage_with": 2 / 3, "set_coverage_without": 2 / 3, "set_undecided": 2 / 6}
    )
    assert figures[1]["set_coverage_with"] == pytest.approx(2 / 3)
    assert figures[1]["set_coverage_without"] is None, "none of them is without the outcome"
    assert figures[3] == {
        "set_coverage": 0.0, "set_coverage_with": None, "set_coverage_without": 0.0, "set_undecided": 0.0,
    }  # fmt: skip
    assert all(row.small for row in rows)


def test_unknown_truths_and_samples_without_input_are_left_out():
    mask = np.array([[1, 0]] * 4, dtype=bool)
    truth = np.array([0, 1, 1, 0])
    observed, answered = np.array([1, 0, 1, 1], dtype=bool), np.array([1, 1, 0, 1], dtype=bool)
    (row,) = coverage("binary", (mask,), truth, answered=answered, observed=observed)
    assert (row.n, row.figures["set_coverage"].value) == (2, 1.0)


def test_classes_labels_and_numbers_have_their_rows():
    classes = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)
    rows = coverage("multiclass", (classes,), np.array([0, 1, 2]), ("a", "b", "c"))
    assert [(row.level, row.n, row.figures["set_coverage"].value) for row in rows] == [
        ("all", 3, pytest.approx(2 / 3)), ("a", 1, 1.0), ("b", 1, 1.0), ("c", 1, 0.0),
    ]  # fmt: skip
    labels = np.array([[1, 0], [0, 1]], dtype=bool)
    rows = coverage("multilabel", (labels, labels), np.array([[0, 1], [1, 0]]), ("x", "y"), groups={"sex": ["F", "M"]})
    assert [(row.table, row.level) for row in rows] == [
        ("label", "x"), ("x: sex", "F"), ("x: sex", "M"), ("label", "y"), ("y: sex", "F"), ("y: sex", "M"),
    ]  # fmt: skip
    assert [row.figures["set_coverage"].value for row in rows if row.table == "label"] == [1.0, 0.0]
    ends = np.array([[0.0, 1.0], [0.0, 1.0], [-np.inf, np.inf]])
    (row,) = coverage("regression", (ends,), np.array([0.5, 1.5, 99.0]))
    assert row.figures["set_coverage"].value == pytest.approx(2 / 3)


def test_the_interval_counts_subjects_not_samples():
    mask = np.repeat(np.array([[1, 0], [0, 1]] * 30, dtype=bool), 10, axis=0)
    truth, subjects = np.zeros(600), np.repeat(np.arange(60), 10)
    (row,) = coverage("binary", (mask,), truth, subjects=subjects)
    (each,) = coverage("binary", (mask,), truth)
    assert row.subjects == 60
    assert row.figures["set_coverage"].width > 2.5 * each.figures["set_coverage"].width
