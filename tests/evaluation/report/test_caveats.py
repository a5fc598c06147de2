from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from polyclinic.evaluation import (
    Binary,
    Bootstrap,
    by_subset,
    compare,
    evaluate_binary,
    evaluate_regression,
    evaluate_time_to_event,
)
from polyclinic.evaluation.prediction_sets import PredictionSets, set_coverage
from polyclinic.evaluation.report.caveats import caveats
from tests.evaluation.samples import binary, survival


def caveats_of(y, p, threshold=None, **options):
    return caveats(evaluate_binary(y, p, threshold, resamples=300, **options))


def test_a_good_model_on_many_subjects_has_no_caveats():
    y, p = binary(4000, seed=2, shift=1.5)
    sex = np.random.default_rng(0).choice(["f", "m"], 4000)
    assert caveats_of(y, p, 0.3, groups={"sex": sex}) == ()


@pytest.mark.parametrize(
    ("y", "p", "expected"),
    [
        (*binary(120, seed=1), "Small numbers: 2"),
        (np.arange(400) < 200, np.random.default_rng(0).uniform(0.4, 0.6, 400), "better than chance: AUROC"),
        (np.arange(400) < 200, np.full(400, 0.5), "better than chance: AUROC .500"),
        (*binary(120, seed=1), "is imprecise"),
        ([], [], "nothing to evaluate"),
    ],
)  # fmt: skip
def test_weak_evidence_is_reported(y, p, expected):
    assert any(expected in caveat for caveat in caveats_of(y, p))


def test_the_rarer_class_counts():
    y = np.arange(1000) >= 30
    assert "30 without the outcome" in caveats_of(y, np.random.default_rng(0).random(1000))[0]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda x: 2 * x, "too extreme"),
        (lambda x: 0.5 * x, "not extreme enough"),
        (lambda x: x + 0.7, "risk is overestimated"),
        (lambda x: x - 0.7, "risk is underestimated"),
    ],
)
def test_miscalibration_is_reported_with_its_direction(spoil, expected):
    y, p = binary(3000, seed=3, shift=1.3)
    assert any(expected in caveat for caveat in caveats_of(y, expit(spoil(logit(p)))))


def test_a_threshold_without_benefit_is_reported():
    y, p = binary(600, seed=3)
    assert any("not shown to exceed that of treating everyone" in caveat for caveat in caveats_of(y, p, 0.02))


def test_worse_and_small_groups_are_reported():
    y, p = binary(2000, seed=1, shift=1.5)
    ward = np.where(np.arange(2000) < 600, "b", "a").astype(object)
    ward[:7] = "c"
    spoilt = p.copy()
    spoilt[7:600] = np.random.default_rng(0).permutation(p[7:600])
    found = " ".join(caveats_of(y, spoilt, groups={"ward": ward}))
    assert "AUROC is lower in ward b" in found
    assert "ward a:" not in found
    assert "Too few to judge: ward c (only 7 subjects)" in found


def test_unknown_answers_are_reported():
    y, p = binary(1000)
    observed = np.arange(1000) % 4 > 0
    assert any("unknown for 25 % of 1,000 samples" in caveat for caveat in caveats_of(y, p, observed=observed))


def rivals(first, second, reference):
    y, p = binary(800, seed=6)
    noise = np.random.default_rng(0)
    models = {"good": p, "poor": expit(logit(p) + noise.normal(0, 2, 800)), "twin": p * 0.99}
    evaluation = evaluate_binary(y, models[first], resamples=200)
    chosen = {name: models[name] for name in (first, second)}
    compared = compare(Binary(), y, chosen, reference, bootstrap=Bootstrap(200))
    return [caveat for caveat in caveats(evaluation, compared, model=first) if " in AUROC (" in caveat]


@pytest.mark.parametrize("reference", ["good", "poor"])
def test_a_better_rival_is_reported_whichever_is_the_reference(reference):
    (caveat,) = rivals("poor", "good", reference)
    sign, other = ("−", "poor minus good") if reference == "good" else ("+", "good minus poor")
    assert caveat.startswith(f"Worse than good in AUROC ({other}: {sign}")
    assert rivals("good", "poor", reference) == []


def test_an_equal_rival_is_reported():
    y, p = binary(200, seed=6)
    other = expit(logit(p) + np.random.default_rng(1).normal(0, 0.2, 200))
    compared = compare(Binary(), y, {"net": p, "tree": other}, "tree", bootstrap=Bootstrap(200))
    found = caveats(evaluate_binary(y, p, resamples=200), compared, model="net")
    assert any(caveat.startswith("Not shown to be better than tree") for caveat in found)


def test_a_rival_is_not_beaten_while_the_adjusted_p_value_is_large():
    """An interval that excludes zero does not suffice where the table's p value says otherwise."""
    y, p = binary(800, seed=6)
    poor = expit(logit(p) + np.random.default_rng(0).normal(0, 2, 800))
    compared = compare(Binary(), y, {"good": p, "poor": poor}, "good", bootstrap=Bootstrap(200))
    evaluation = evaluate_binary(y, p, resamples=200)
    assert not any("better than poor" in caveat for caveat in caveats(evaluation, compared, model="good"))
    good, rival = compared.contenders
    differences = rival.differences | {"auroc": rival.differences["auroc"].adjusted(0.184)}
    doubtful = replace(compared, contenders=(good, replace(rival, differences=differences)))
    (caveat,) = [text for text in caveats(evaluation, doubtful, model="good") if "better than poor" in text]
    assert "p (Holm) = .184" in caveat


def test_useless_and_superior_subsets_are_reported():
    y, p = binary(600, seed=7)
    blind = np.random.default_rng(0).uniform(0.2, 0.3, 600)
    worse = expit(logit(p) + np.random.default_rng(1).normal(0, 2, 600))
    subsets = by_subset(Binary(), y, {("a", "b"): worse, ("a",): p, ("b",): blind}, bootstrap=Bootstrap(200))
    found = " ".join(caveats(evaluate_binary(y, worse, resamples=200), subsets=subsets))
    assert "With b alone, not shown to be better than chance" in found
    assert "Better with a alone than with all inputs" in found
    blinder = by_subset(Binary(), y, {("a", "b"): blind, ("a",): p}, bootstrap=Bootstrap(200))
    found = caveats(evaluate_binary(y, blind, resamples=200), subsets=blinder)
    assert not any("a + b alone" in caveat for caveat in found), "everything is not alone"
    assert any(caveat.startswith("Not shown to be better than chance") for caveat in found)


def test_other_kinds_of_task_have_caveats():
    generator = np.random.default_rng(0)
    found = caveats(evaluate_regression(generator.normal(size=150), generator.normal(size=150), resamples=200))
    assert any("R²" in caveat for caveat in found)
    time, event, _ = survival(400, 1)
    y = np.column_stack([time, event])
    flat = np.full((400, 2), 0.95)
    found = " ".join(caveats(evaluate_time_to_event(y, flat, (0.5, 1.0), (0.5,), resamples=200)))
    assert "risk is underestimated (Observed / expected at 0.5" in found
    assert "better than chance: Harrell's C" in found


def test_synthetic_subjects_are_reported_first():
    y, p = binary(300)
    assert "synthetic" in caveats(evaluate_binary(y, p, resamples=200), synthetic=True)[0]


def sets_evaluation(held, truth, **groups):
    """Return an evaluation whose sets hold the truth as `held` says, and nothing else."""
    evaluation = evaluate_binary(truth, np.where(truth, 0.8, 0.2), resamples=100)
    mask = np.stack([np.where(truth, ~held, held), np.where(truth, held, ~held)], axis=1)
    everyone = np.ones(len(truth), dtype=bool)
    rows = set_coverage("binary", PredictionSets((mask,), everyone), truth, (), everyone, groups)
    return replace(evaluation, sets=rows)


def test_sets_that_hold_the_truth_too_seldom_are_named_with_their_class_and_group():
    truth = np.arange(2000) % 4 == 0
    sex = np.where(np.arange(2000) % 3 == 0, "f", "m")
    few = np.random.default_rng(0).random(2000)
    short = [c for c in caveats(sets_evaluation(np.where(truth, few < 0.5, few < 0.95), truth)) if "sets hold" in c]
    assert len(short) == 2, "of everyone, and of those with the outcome; not of those without"
    assert "of everyone with the outcome, instead of 90 %." in short[1]
    by_sex = caveats(sets_evaluation(np.where(sex == "f", few < 0.7, few < 0.98), truth, sex=sex))
    named = [c for c in by_sex if "of sex" in c]
    assert named
    assert all("of sex f" in c and "(adjusted for 6 comparisons)" in c for c in named)
    assert not any("sets hold" in c for c in caveats(sets_evaluation(few < 0.92, truth, sex=sex)))


def grouped(shifts, n=400, seed=0):
    """Evaluate groups whose risk differs from what is predicted by a shift of the log-odds."""
    random = np.random.default_rng(seed)
    groups, scores = np.repeat(np.arange(len(shifts)), n), random.normal(size=n * len(shifts))
    y = random.random(len(scores)) < expit(scores + np.repeat(shifts, n))
    return evaluate_binary(y, expit(scores), resamples=100, groups={"ward": [f"w{group}" for group in groups]})


def miscalibrated(evaluation):
    return [c for c in caveats(evaluation) if "in ward" in c and "calibration intercept" in c]


@pytest.mark.slow
def test_cautions_about_groups_are_adjusted_for_their_number():
    found = miscalibrated(grouped([1.0, *[0.0] * 9]))
    assert len(found) == 1
    assert "in ward w0 (calibration intercept" in found[0]
    assert found[0].endswith("(adjusted for 10 comparisons).")
    by_chance = sum(bool(miscalibrated(grouped([0.0] * 10, seed=seed))) for seed in range(20))
    assert by_chance <= 4  # of 20 evaluations; without adjustment 40 % of them have a caution


def test_one_group_is_not_adjusted():
    (found,) = miscalibrated(grouped([1.0]))
    assert "adjusted" not in found


def test_groups_with_fewer_than_fifty_outcomes_are_flagged_and_not_judged():
    random = np.random.default_rng(0)
    y = np.concatenate([np.arange(600) < cases for cases in (49, 50)])
    evaluation = evaluate_binary(y, random.random(1200), resamples=100, groups={"ward": ["a"] * 600 + ["b"] * 600})
    first, second = evaluation.groups
    assert first.caution == "only 49 with the outcome"
    assert second.caution == ""
    assert any(c.startswith("Too few to judge: ward a (only 49 with the outcome)") for c in caveats(evaluation))
