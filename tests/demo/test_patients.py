"""Statistical properties of the clinical model."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from polyclinic.demo.best_possible import oracle
from polyclinic.demo.patients import BLOCK, CAUSES, CONDITIONS, FINDINGS, MODALITIES, draw_patients, log_odds, sigmoid

HAS = [f"has_{modality}" for modality in MODALITIES]


def fitted_auroc(truth: pl.DataFrame, modalities: tuple[str, ...]) -> float:
    """Return the AUROC on the second half of a logistic regression fitted to the first half's causes."""
    variables = [cause.variable for cause in CAUSES if cause.modality in modalities]
    x, y, half = (
        truth.select(pl.col(variables).cast(float)).to_numpy(),
        truth["deteriorated"].to_numpy(),
        len(truth) // 2,
    )
    model = LogisticRegression(C=1e3, max_iter=1000).fit(x[:half], y[:half])
    return float(roc_auc_score(y[half:], model.decision_function(x[half:])))


def test_logistic_regression_on_the_causes_reaches_the_oracle(truth):
    assert fitted_auroc(truth, MODALITIES) == pytest.approx(oracle(truth).auroc[MODALITIES], abs=0.01)
    assert 0.92 < oracle(truth).auroc[MODALITIES] < 0.96


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_single_modality_suffices(truth, modality):
    single = oracle(truth).auroc[(modality,)]
    assert 0.68 < single < 0.80
    assert fitted_auroc(truth, (modality,)) < 0.80


def test_every_modality_adds_information(truth):
    auroc = oracle(truth).auroc
    for left_out in MODALITIES:
        others = tuple(modality for modality in MODALITIES if modality != left_out)
        assert auroc[MODALITIES] - auroc[others] > 0.02


def test_risk_follows_from_the_causes(many):
    from polyclinic.demo.patients import INTERCEPT

    patients = many[0]
    risk = np.where(patients.care.treated, patients.outcomes.risk_treated, patients.outcomes.risk_untreated)
    np.testing.assert_allclose(sigmoid(INTERCEPT + log_odds(patients.causes())), risk)


def test_two_in_five_lack_a_modality_and_all_subsets_occur(truth):
    complete = truth.select(pl.all_horizontal(HAS)).to_series().mean()
    assert 0.35 < 1 - complete < 0.45
    assert truth.select(pl.any_horizontal(HAS)).to_series().all()
    assert truth.select(HAS).unique().height == 2 ** len(MODALITIES) - 1


def test_the_less_ill_lack_more_modalities(truth):
    complete = truth.select("severity", complete=pl.all_horizontal(HAS)).group_by("complete").mean().sort("complete")
    assert complete["severity"][1] - complete["severity"][0] > 0.1


def test_potential_outcomes_average_to_the_known_effect(truth):
    effect = (truth["risk_treated"] - truth["risk_untreated"]).mean()
    realised = truth["deteriorates_treated"].cast(float) - truth["deteriorates_untreated"].cast(float)
    assert realised.mean() == pytest.approx(effect, abs=4 * realised.std() / len(truth) ** 0.5)
    assert effect < -0.03


def test_naive_difference_is_biased_and_propensity_weighting_is_not(truth):
    y, treated = truth["deteriorated"].to_numpy().astype(float), truth["treated"].to_numpy()
    effect = (truth["risk_treated"] - truth["risk_untreated"]).mean()
    assert y[treated].mean() - y[~treated].mean() > 0.03 > effect
    propensity = truth["propensity"].to_numpy()
    weighted = y * treated / propensity - y * ~treated / (1 - propensity)
    assert weighted.mean() == pytest.approx(effect, abs=3 * weighted.std() / len(y) ** 0.5)


def test_observed_outcome_is_the_potential_outcome_of_the_treatment(truth):
    for observed, treated, untreated in (
        ("deteriorated", "deteriorates_treated", "deteriorates_untreated"),
        ("stay_days", "stay_treated", "stay_untreated"),
    ):
        expected = pl.when("treated").then(pl.col(treated)).otherwise(pl.col(untreated))
        assert truth.select((pl.col(observed) == expected).all()).item()


def test_effect_is_heterogeneous(truth):
    benefit = truth["risk_treated"] - truth["risk_untreated"]
    assert (benefit > 0.02).mean() > 0.05
    assert (benefit < -0.02).mean() > 0.3


def test_propensities_overlap(truth):
    assert truth["propensity"].min() >= 0.05
    assert truth["propensity"].max() <= 0.95


@pytest.mark.parametrize(
    ("condition", "finding"),
    [
        ("pneumonia", "consolidation"),
        ("heart_failure", "cardiomegaly"),
        ("heart_failure", "effusion"),
        ("pneumothorax", "pneumothorax"),
        ("lung_cancer", "nodule"),
    ],
)
def test_conditions_cause_their_findings(truth, condition, finding):
    shares = truth.group_by(pl.col("condition") == condition).agg(pl.col(f"has_{finding}").mean()).sort("condition")
    assert shares[f"has_{finding}"][1] > 2 * shares[f"has_{finding}"][0]


def test_every_class_and_finding_is_frequent(truth):
    assert truth["condition"].value_counts(normalize=True)["proportion"].min() > 0.08
    assert set(truth["condition"].unique()) == set(CONDITIONS)
    for finding in FINDINGS:
        assert 0.12 < truth[f"has_{finding}"].mean() < 0.5
    assert 0.15 < truth["deteriorated"].mean() < 0.4


def test_admissions_are_spread_over_years(truth):
    assert truth["admitted"].dt.year().n_unique() >= 9


def test_blocks_are_independent(many):
    assert draw_patients(3, 7).frame().equals(many[7].frame())
    assert not draw_patients(4, 7).frame().equals(many[7].frame())
    assert many[7].people.patient[0] - many[6].people.patient[0] == BLOCK
