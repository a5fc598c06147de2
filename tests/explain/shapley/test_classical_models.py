"""Explanations of classical members sum to their predictions."""

import numpy as np
import pytest

from polyclinic.explain.sample import ExplanationError
from polyclinic.explain.shapley.classical_models import explain_member, rule_path
from polyclinic.models.ensemble.link_functions import log_odds
from tests.explain.conftest import CLASSICAL_TASKS as TASKS
from tests.explain.conftest import MEMBERS, without


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("task", TASKS)
def test_scores_sum_to_the_members_prediction(classical, sample_of, task, member):
    for number in (0, 2, 5):
        sample = sample_of(classical, number)
        for place, output in enumerate(classical.task(task).outputs):
            found = explain_member(classical, sample, task, member, output)
            predicted = classical.ensemble.tasks[task].members[member].prediction(sample.arrays).answers[0, place]
            assert abs(found.residual) < 1e-6 * max(1, abs(found.value))
            if found.scale == "log-odds" and classical.task(task).kind != "multiclass":
                predicted = float(log_odds(np.array(predicted)))
            if found.scale != "log-odds" or classical.task(task).kind != "multiclass":
                assert found.value == pytest.approx(predicted, rel=1e-5, abs=1e-6)
            assert found.names == classical.ensemble.tasks[task].members[member].design.columns


@pytest.mark.parametrize("member", ["logistic_regression", "gradient_boosting"])
def test_softmax_of_the_class_scores_is_the_prediction(classical, sample_of, member):
    sample, task = sample_of(classical, 0), "demo_diagnosis"
    outputs = classical.task(task).outputs
    scores = np.array([explain_member(classical, sample, task, member, output).value for output in outputs])
    predicted = classical.ensemble.tasks[task].members[member].prediction(sample.arrays).answers[0]
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(), predicted, atol=1e-6)


def test_linear_scores_are_coefficients_times_values(classical, sample_of):
    sample = sample_of(classical, 0)
    found = explain_member(classical, sample, "demo_deterioration", "logistic_regression")
    member = classical.ensemble.tasks["demo_deterioration"].members["logistic_regression"]
    estimator, x = member.model.estimators[0], member.design.matrix(sample.arrays)
    assert found.scale == "log-odds"
    np.testing.assert_allclose(found.scores, estimator.weights[0] * member.model.prepared(x)[0])
    assert found.value == pytest.approx(float(estimator.scores(member.model.prepared(x))[0, 0]))
    sizes = [abs(one.score) for one in found.weightiest]
    assert sizes == sorted(sizes, reverse=True)
    np.testing.assert_array_equal(found.values, x[0].astype(float))


@pytest.mark.parametrize("task", ["demo_deterioration", "demo_stay"])
@pytest.mark.parametrize("number", range(6))
def test_rules_lead_to_the_predicting_leaf(classical, sample_of, task, number):
    sample = sample_of(classical, number)
    path = rule_path(classical, sample, task)
    member = classical.ensemble.tasks[task].members["decision_tree"]
    estimator, x = member.model.estimators[0], member.design.matrix(sample.arrays)
    trees = estimator.trees
    (leaf,) = trees.leaves(estimator.compared(x))[0]
    assert path.samples == trees.samples[leaf]
    node = int(trees.roots[0])
    for rule in path.rules:
        node = int(trees.children[node, 0 if rule.above else 1])
    assert node == leaf
    assert path.value == pytest.approx(member.prediction(sample.arrays).answers[0, 0])
    text = str(path)
    assert all(rule.name in text for rule in path.rules)
    whole = member.model.rules()
    assert all(f"{rule.name} {'>' if rule.above else '≤'} {rule.threshold:.4g}" in whole for rule in path.rules)


def test_missing_values_follow_the_trees_branch_and_are_marked(classical, sample_of):
    samples = [sample_of(classical, number) for number in range(12)]
    paths = [rule_path(classical, sample, task) for sample in samples for task in ("demo_deterioration", "demo_stay")]
    unknown = [str(rule) for path in paths for rule in path.rules if np.isnan(rule.value)]
    assert unknown
    assert all("unknown, taken as" in rule for rule in unknown)


def test_errors_list_the_choices(classical, sample_of):
    sample = sample_of(classical, 0)
    with pytest.raises(ExplanationError, match=r"no classical member .forest.: choose from decision_tree, "):
        explain_member(classical, sample, "demo_stay", "forest")
    with pytest.raises(ExplanationError, match="has no rules to follow: choose a decision_tree"):
        rule_path(classical, sample, "demo_stay", member="random_forest")
    nothing = without(sample, "structured", "note")
    with pytest.raises(ExplanationError, match="decision_tree cannot answer: nothing is known of structured, note"):
        rule_path(classical, nothing, "demo_stay")
