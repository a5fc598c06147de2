"""Name, direction and meaning of each metric."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Better = Literal["higher", "lower", "near one", "near zero"]


class Term(NamedTuple):
    """A metric's printed name, its better direction, and its meaning in a line."""

    label: str
    better: Better
    meaning: str


TERMS: Mapping[str, Term] = {
    "auroc": Term("AUROC", "higher", "chance that someone with the outcome scores above someone without"),
    "auprc": Term("AUPRC", "higher", "average precision; the prevalence for an uninformative model"),
    "min_se_ppv": Term("min(Se, P+)", "higher", "best smaller of sensitivity and PPV over all thresholds"),
    "brier": Term("Brier score", "lower", "mean squared error of the probability"),
    "scaled_brier": Term("Scaled Brier", "higher", "relative improvement over predicting the prevalence"),
    "log_loss": Term("Log loss", "lower", "mean negative log likelihood"),
    "calibration_slope": Term("Calibration slope", "near one", "below 1: predictions too extreme"),
    "calibration_intercept": Term("Calibration intercept", "near zero", "above 0: risks underestimated overall"),
    "ece": Term("ECE", "lower", "mean gap of predicted and observed rates in ten bins, less its upward bias"),
    "sensitivity": Term("Sensitivity", "higher", "of those with the outcome, share called positive"),
    "specificity": Term("Specificity", "higher", "of those without, share called negative"),
    "ppv": Term("PPV", "higher", "of those called positive, share with the outcome"),
    "npv": Term("NPV", "higher", "of those called negative, share without"),
    "f1": Term("F1", "higher", "harmonic mean of sensitivity and PPV"),
    "set_coverage": Term("Sets hold the truth", "higher", "share of sets at 90 % confidence that hold the true answer"),
    "set_coverage_with": Term("of those with it", "higher", "the same, of those with the outcome"),
    "set_coverage_without": Term("of those without", "higher", "the same, of those without"),
    "set_undecided": Term("Undecided", "lower", "share of sets that hold more than one answer"),
    "accuracy": Term("Accuracy", "higher", "share of correct classifications"),
    "macro_auroc": Term("Macro AUROC", "higher", "mean AUROC over the classes"),
    "macro_auprc": Term("Macro AUPRC", "higher", "mean average precision over the classes"),
    "macro_brier": Term("Macro Brier", "lower", "mean Brier score over the labels"),
    "macro_log_loss": Term("Macro log loss", "lower", "mean log loss over the labels"),
    "macro_f1": Term("Macro F1", "higher", "mean F1 over the classes"),
    "balanced_accuracy": Term("Balanced accuracy", "higher", "mean sensitivity over the classes"),
    "mae": Term("MAE", "lower", "mean absolute error, in the target's unit"),
    "median_absolute_error": Term("Median AE", "lower", "median absolute error"),
    "rmse": Term("RMSE", "lower", "root of the mean squared error"),
    "bias": Term("Bias", "near zero", "mean of prediction minus truth"),
    "r2": Term("R²", "higher", "share of the variance explained"),
    "harrell_c": Term("Harrell's C", "higher", "chance that the earlier event had the higher risk"),
    "uno_c": Term("Uno's C", "higher", "the same, independent of censoring"),
    "integrated_brier": Term("Integrated Brier", "lower", "squared error of predicted survival, over time"),
    "observed_over_expected": Term("Observed / expected", "near one", "above 1: risks underestimated"),
}


def term(name: str) -> Term:
    """Return a metric's term; metrics at a horizon are named like "brier@28", unknown ones keep their name.

    >>> term("brier@28").label, term("auroc").better
    ('Brier score at 28', 'higher')
    """
    plain, _, horizon = name.partition("@")
    known = TERMS.get(plain, Term(plain.replace("_", " "), "higher", ""))
    return known._replace(label=f"{known.label} at {horizon}") if horizon else known
