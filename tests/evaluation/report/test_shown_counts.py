"""No count of fewer than 5 subjects is in a card's numbers, groups, classes and plots, or follows from them."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from polyclinic.evaluation import evaluate_binary, evaluate_multiclass, evaluate_multilabel
from polyclinic.evaluation.report.card import Card, model_card
from polyclinic.evaluation.report.card_document import card_json
from polyclinic.evaluation.report.card_plots import draw_plots
from polyclinic.evaluation.report.plots import subgroups
from polyclinic.evaluation.report.shown_counts import outcome_text, shown_figures, shown_rows
from polyclinic.evaluation.results import Row
from polyclinic.evaluation.small_counts import FEWEST
from tests.evaluation.cards import multiclass_card
from tests.evaluation.test_small_counts import possible


def rows_of(table, pairs):
    """Return rows with these numbers of samples with and without the outcome."""
    return [Row(table, str(n), a + b, a + b, a, {}, with_outcome=a, without=b) for n, (a, b) in enumerate(pairs)]


PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(any), min_size=1, max_size=6)


@given(PAIRS)
def test_no_small_count_of_a_group_follows(pairs):
    shown = shown_rows(rows_of("ward", pairs))
    counts = np.array([(a + b, a, b) for a, b in pairs])
    hidden = np.array([(bool(own.hides_n), bool(own.hides_cases), True) for own in shown])
    assert not (~hidden & (counts < FEWEST)).any()
    for count, least, most in possible(counts, hidden, 2):
        assert count >= FEWEST or most - least > 0.5, f"{count} follows"


@given(PAIRS)
def test_labels_do_not_add_up_and_are_hidden_alone(pairs):
    for own, (a, b) in zip(shown_rows(rows_of("label", pairs)), pairs, strict=True):
        assert bool(own.hides_cases) == (a < FEWEST or b < FEWEST)
        assert bool(own.hides_n) == (a + b < FEWEST)


def test_several_samples_of_few_subjects_are_few():
    row = Row("ward", "a", 80, 40, 30, {}, "only 30 with the outcome", with_outcome=3, without=40)
    other = Row("ward", "b", 80, 40, 30, {}, with_outcome=30, without=40)
    own = shown_rows([row, other, other])[0]
    assert (own.n, own.cases, own.hides_cases) == (80, None, "small")
    assert own.caution == "too few with the outcome"


@given(st.integers(0, 5), st.integers(0, 60), st.integers(1, 4))
def test_the_outcome_is_shown_unless_few_have_it_or_few_lack_it(people, others, times):
    n = people + others
    y = np.repeat(np.arange(n) < people, times).astype(float)
    p = np.linspace(0.1, 0.9, n * times)
    evaluation = evaluate_binary(y, p, 0.5, subjects=np.repeat(np.arange(n), times), resamples=100)
    few = n > 0 and min(people, others) < FEWEST
    assert outcome_text(evaluation).startswith(f"{people * times} with ") == (n > 0 and not few)
    if few:
        assert "scaled_brier" not in shown_figures(evaluation)
        assert {figure.n for figure in shown_figures(evaluation).values()} <= {n * times}


@pytest.mark.parametrize("cases", [3, 197])
def test_a_card_of_few_with_or_without_the_outcome_does_not_tell_their_number(cases):
    y, p = np.arange(200) < cases, np.random.default_rng(0).random(200)
    groups = {"sex": ["f", "m"] * 100}
    card = Card("m", "t", "q", evaluate_binary(y, p, 0.5, groups=groups, resamples=100))
    text, plain = model_card(card), json.dumps(card_json([card])["tasks"][0])
    for number in (3, 197):
        assert f" {number} " not in text
        assert f'"n": {number}' not in plain
    assert card_json([card])["tasks"][0]["cases"] is None
    assert set(draw_plots(card)) <= {"groups"}


def test_classes_and_labels_of_few_have_neither_numbers_nor_curves():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 200)
    y = np.r_[[2] * 3, np.arange(197) % 2]
    card = replace(multiclass_card(), evaluation=evaluate_multiclass(y, p, ("a", "b", "c"), resamples=100))
    assert "confusion" not in draw_plots(replace(card, comparison=None))
    assert [own.cases is None for own in shown_rows(card.evaluation.classes)].count(True) > 1
    labels = evaluate_multilabel(np.eye(3)[y], p, ("a", "b", "c"), resamples=100)
    card = Card("m", "t", "q", labels)
    assert {name.split("-")[0] for name in draw_plots(card)} == {"roc", "calibration"}
    assert [row.cases for row in labels.classes][2] == 3
    assert "| c (fewer than 5 with the outcome) | 200 | &lt; 5 |" in model_card(card)


def test_the_plot_of_groups_has_no_small_count():
    _, axes = plt.subplots()
    subgroups(axes, rows_of("ward", [(3, 97), (40, 60), (50, 51)]))
    labels = " ".join(label.get_text() for label in axes.get_yticklabels())
    plt.close()
    assert labels == "0  (100 / < 5) 1  (100 / not shown) 2  (101 / 50)"


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(any), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_no_reason_or_interval_of_a_group_tells_a_hidden_count(pairs):
    y = np.concatenate([np.r_[np.ones(a), np.zeros(b)] for a, b in pairs])
    ward = np.repeat([f"w{n}" for n in range(len(pairs))], [a + b for a, b in pairs])
    p = np.random.default_rng(0).random(len(y))
    evaluation = evaluate_binary(y, p, 0.5, groups={"ward": ward}, resamples=100)
    text = model_card(Card("m", "t", "q", evaluation))
    assert not re.search(r"among [0-4] samples|single (?:positive|negative|subject)", text[text.index("## Groups") :])
    for own in shown_rows(evaluation.groups):
        for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
            figure = own.figures.get(name)
            if own.hides_cases and figure is not None:
                assert figure.n == own.row.n
            assert figure is None or not own.hides_n
