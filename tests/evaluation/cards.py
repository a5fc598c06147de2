"""One card of each kind, measured once for all tests of cards, pictures and pages."""

from functools import cache
from itertools import combinations

import numpy as np
from scipy.special import expit, logit

from polyclinic.evaluation import (
    Binary,
    Bootstrap,
    Multiclass,
    age_bands,
    by_subset,
    compare,
    evaluate_binary,
    evaluate_multiclass,
    evaluate_multilabel,
    evaluate_regression,
    evaluate_time_to_event,
)
from polyclinic.evaluation.report.card import Card
from tests.evaluation.samples import binary, survival

QUICK = Bootstrap(200)
MODALITIES = ("structured", "note", "image")
FACTS = {"data": {"Source": "demo", "Events": 1_234_567}, "splits": {"train": 700, "held_out": 300}}


@cache
def binary_card():
    y, p = binary(500, seed=4)
    generator = np.random.default_rng(0)
    noisy = {name: expit(logit(p) + generator.normal(0, 0.8, 500)) for name in ("logistic regression", "random forest")}
    subsets = {
        members: expit(logit(p) + generator.normal(0, 0.5 * (3 - len(members)), 500))
        for size in (1, 2, 3)
        for members in combinations(MODALITIES, size)
    }
    groups = {"sex": generator.choice(["female", "male"], 500), "age": age_bands(generator.uniform(20, 95, 500))}
    return Card(
        model="unified",
        task="death",
        question="Will the patient die?",
        evaluation=evaluate_binary(y, p, 0.3, groups=groups, resamples=200),
        inputs=MODALITIES,
        comparison=compare(Binary(0.3), y, {"unified": p, **noisy}, "logistic regression", bootstrap=QUICK),
        subsets=by_subset(Binary(0.3), y, subsets, bootstrap=QUICK),
        limits=("A single hospital.",),
        provenance={"polyclinic": "0.1.0", "Seed": "0"},
        calibration_plot="calibration.png",
        **FACTS,
    )


@cache
def multiclass_card():
    generator = np.random.default_rng(1)
    p = generator.dirichlet([1.5, 1, 0.7], 200)
    y, names = np.array([generator.choice(3, p=row) for row in p]), ("none", "mild", "severe")
    models = {"unified": p, "blind": np.full((200, 3), 1 / 3)}
    compared = compare(Multiclass(names), y, models, "blind", bootstrap=QUICK)
    evaluation = evaluate_multiclass(y, p, names, resamples=200)
    return Card("unified", "severity", "How severe?", evaluation, comparison=compared)


@cache
def multilabel_card():
    generator = np.random.default_rng(2)
    p = generator.random((200, 3))
    y = (generator.random((200, 3)) < p).astype(float)
    evaluation = evaluate_multilabel(y, p, ("effusion", "nodule", "mass"), (0.5, 0.5, 0.5), resamples=200)
    return Card("unified", "findings", "Which findings?", evaluation)


@cache
def regression_card():
    generator = np.random.default_rng(3)
    y = generator.normal(5, 2, 200)
    evaluation = evaluate_regression(y, y + generator.normal(size=200), groups={"sex": ["f", "m"] * 100}, resamples=200)
    return Card("unified", "stay", "How many days?", evaluation)


@cache
def survival_card():
    time, event, risk = survival(200, 5)
    times = (0.25, 0.5, 1.0)
    curves = np.exp(-np.outer(np.exp(risk / 2), times))
    evaluation = evaluate_time_to_event(np.column_stack([time, event]), curves, times, (0.5, 1.0), resamples=200)
    return Card("unified", "survival", "How long?", evaluation)


@cache
def empty_card():
    return Card("unified", "nothing", "What of no samples?", evaluate_binary([], [], 0.5, groups={"sex": []}))


@cache
def one_class_card():
    y = np.zeros(60)
    p = np.linspace(0.01, 0.6, 60)
    compared = compare(Binary(0.5), y, {"unified": p, "blind": np.full(60, 0.1)}, "blind", bootstrap=QUICK)
    subsets = by_subset(Binary(0.5), y, {("note",): p, (): np.full(60, 0.1)}, bootstrap=QUICK)
    evaluation = evaluate_binary(y, p, 0.5, groups={"sex": ["f", "m"] * 30}, resamples=200)
    return Card("unified", "one class", "What of the living?", evaluation, comparison=compared, subsets=subsets)


EVERY = (
    binary_card,
    multiclass_card,
    multilabel_card,
    regression_card,
    survival_card,
    empty_card,
    one_class_card,
)
