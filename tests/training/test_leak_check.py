"""The detector of leaks finds any monotone copy of an outcome of any kind, and no input that is drawn by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from polyclinic.tasks import Targets, Task
from polyclinic.training import leak_check
from polyclinic.training.data.dataset import Examples
from polyclinic.training.leak_check import FEWEST, MOST_SUBJECTS, InputColumns, compared, leaks_of

CLASSES = {"a": "OUTCOME//a", "b": "OUTCOME//b", "c": "OUTCOME//c"}
TASKS = {
    "binary": Task(name="x", kind="binary", target={"codes": "OUTCOME//x"}),
    "multilabel": Task(name="x", kind="multilabel", target={"read": "value", "classes": CLASSES}),
    "multiclass": Task(
        name="x", kind="multiclass", target={"codes": "OUTCOME//x", "read": "category", "classes": CLASSES}
    ),
    "regression": Task(name="x", kind="regression", target={"codes": "OUTCOME//x"}),
    "time_to_event": Task(name="x", kind="time_to_event", target={"codes": "OUTCOME//x"}),
}
N = 150
MONOTONE = {
    "itself": lambda x: x,
    "negative": lambda x: -3 * x + 5,
    "exponential": np.exp,
    "cube": lambda x: x**3,
    "rank": lambda x: np.argsort(np.argsort(x)).astype(float),
}


def targets_of(kind, rng, n=N):
    if kind == "binary":
        return (rng.random((n, 1)) < 0.3).astype(float)
    if kind == "multilabel":
        return (rng.random((n, 3)) < 0.3).astype(float)
    if kind == "multiclass":
        return np.eye(3)[rng.integers(0, 3, n)]
    if kind == "regression":
        return rng.normal(size=(n, 1))
    return np.stack([rng.exponential(size=n), rng.random(n) < 0.4], axis=1).astype(float)


def columns_of(values, is_mark=False):
    names = tuple(f"LAB//{place} last" for place in range(values.shape[1]))
    codes = tuple(name.removesuffix(" last") for name in names)
    return InputColumns(values, names, codes, np.full(values.shape[1], is_mark))


def found(kind, values, target, is_mark=False, observed=None, subjects=None):
    n = len(values)
    observed = np.ones(n, dtype=bool) if observed is None else observed
    leaks = leaks_of(
        TASKS[kind],
        columns_of(values, is_mark),
        Targets(target, observed),
        np.arange(n) if subjects is None else subjects,
    )
    return {leak.code: leak for leak in leaks}


@pytest.mark.parametrize("kind", TASKS)
@given(
    seed=st.integers(0, 1000),
    shape=st.sampled_from(list(MONOTONE)),
    missing=st.sampled_from([0.0, 0.3]),
    place=st.integers(0, 9),
    unlabelled=st.booleans(),
)
def test_a_monotone_copy_is_found_and_chance_is_not(kind, seed, shape, missing, place, unlabelled):
    rng = np.random.default_rng(seed)
    target = targets_of(kind, rng)
    copied = target[:, 0] if kind != "time_to_event" else target[:, 1]
    if shape == "rank" and kind != "regression":
        shape = "itself"  # ranks split ties
    values = rng.normal(size=(N, 10))
    values[:, place] = MONOTONE[shape](copied)
    values[rng.random(N) < missing, place] = np.nan
    observed = rng.random(N) < 0.8 if unlabelled else np.ones(N, dtype=bool)
    values[~observed, place] = rng.normal(size=(~observed).sum())
    leaks = found(kind, values, target, observed=observed)
    assert set(leaks) == {f"LAB//{place}"}
    assert "1.000" in leaks[f"LAB//{place}"].words


@pytest.mark.parametrize("kind", TASKS)
@given(seed=st.integers(0, 100_000), n=st.integers(10, 200), shape=st.sampled_from(["normal", "marks", "few"]))
def test_inputs_drawn_by_chance_are_not_reported(kind, seed, n, shape):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 300))
    if shape == "marks":
        values = (rng.random((n, 300)) < rng.random(300)).astype(float)
    if shape == "few":
        values[rng.random(values.shape) < 0.9] = np.nan
    assert found(kind, values, targets_of(kind, rng, n), is_mark=shape == "marks") == {}


@given(st.integers(0, 1000), st.booleans(), st.integers(12, 20))
def test_an_input_of_one_class_only_is_found(seed, of_no, number):
    rng = np.random.default_rng(seed)
    truth = np.arange(200) < 60
    values = (rng.random((200, 5)) < 0.3).astype(float)
    values[:, 2] = 0
    number = 4 * number if of_no else number
    values[rng.choice(np.flatnonzero(truth != of_no), number, replace=False), 2] = 1
    (leak,) = found("binary", values, truth[:, None].astype(float), is_mark=True).values()
    assert leak.code == "LAB//2"
    assert leak.words.startswith(f"all {number} who have it are {'no' if of_no else 'yes'}, where ")


def test_signs_typical_of_a_class_among_several_are_no_leak():
    classes = np.eye(3)[np.arange(150) % 3]
    few, most = np.zeros((150, 1)), np.zeros((150, 1))
    few[np.flatnonzero(classes[:, 0])[:20]] = 1
    most[np.flatnonzero(classes[:, 0])[:45]] = 1
    assert found("multiclass", few, classes, is_mark=True) == {}
    assert set(found("multiclass", most, classes, is_mark=True)) == {"LAB//0"}


def test_too_few_to_tell():
    truth = np.zeros((60, 1))
    truth[: FEWEST - 1] = 1
    assert found("binary", truth.copy(), truth) == {}
    mark = np.zeros((60, 1))
    mark[20 : 20 + FEWEST - 1] = 1
    assert found("binary", mark, truth, is_mark=True) == {}


def test_many_samples_of_few_subjects_are_few():
    truth = np.repeat([[1.0], [0.0]], 100, axis=0)
    assert found("binary", truth.copy(), truth, subjects=np.arange(200) // 20) == {}


def test_the_time_of_an_event_is_found():
    rng = np.random.default_rng(0)
    target = targets_of("time_to_event", rng)
    values = np.where(target[:, 1] > 0, target[:, 0], rng.exponential(size=N))[:, None]
    assert "with the time of the event" in found("time_to_event", values, target)["LAB//0"].words


def test_many_subjects_are_drawn():
    truth = (np.arange(MOST_SUBJECTS + 5000) % 3 == 0).astype(float)[:, None]
    assert "LAB//0" in found("binary", truth.copy(), truth)


def test_columns_are_made_of_the_compared_examples_only(monkeypatch):
    """They are the latest labelled samples of some subjects; arrays without names of columns are left out."""
    rng, n = np.random.default_rng(0), 600
    target = targets_of("binary", rng, n)
    subjects, observed = np.arange(n) // 2, rng.random(n) < 0.9
    numbered = {"values": np.arange(n)[:, None], "tfidf": sparse.csr_array(np.eye(n)), "tokens": np.zeros((n, 1))}
    examples = Examples({"structured": numbered}, {"x": Targets(target, observed)}, subjects)
    assert compared([TASKS["binary"]], examples) is examples, "all are compared"
    monkeypatch.setattr(leak_check, "MOST_SUBJECTS", 100)
    found = compared([TASKS["binary"]], examples)
    rows = found.arrays["structured"]["values"][:, 0]
    assert len(found) == len(np.unique(found.subjects)) == 100
    assert found.targets["x"].observed.all()
    np.testing.assert_array_equal(found.subjects, subjects[rows])
    np.testing.assert_array_equal(found.targets["x"].values, target[rows])
    np.testing.assert_array_equal(found.arrays["structured"]["tfidf"].indices, rows)
    assert "tokens" not in found.arrays["structured"]
