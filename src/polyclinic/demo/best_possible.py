"""What could be known at best: the discrimination of the true causes, by subset of modalities."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.demo.patients import CAUSES, MODALITIES, log_odds


@dataclass(frozen=True)
class Oracle:
    """AUROC of deterioration for a reader who sees the causes themselves, without noise and without gaps."""

    auroc: Mapping[tuple[str, ...], float]  # by subset of modalities
    auroc_recorded: float  # all modalities, but only where a patient has them
    prevalence: float
    average_effect: float  # of the treatment on the risk of deterioration
    naive_difference: float  # in deterioration, treated minus untreated: confounded
    patients: int

    def __str__(self) -> str:
        rows = [f"{' + '.join(subset):<40} {value:.3f}" for subset, value in self.auroc.items()]
        rows.append(f"{'all, where recorded':<40} {self.auroc_recorded:.3f}")
        return "\n".join([f"{'deterioration, AUROC of the causes':<40} n = {self.patients}", *rows])


def oracle(truth: Path | pl.DataFrame) -> Oracle:
    """Judge the causes by the outcomes.

    A modality's share of the log-odds ranks patients as the best reader of that modality would, up to what little the
    modalities know of each other.

    Args:
        truth: the folder of the truth, or its table of patients.

    Raises:
        FileNotFoundError: the folder holds no truth.
        ValueError: nobody deteriorated, or everybody.
    """
    everyone = pl.read_parquet(truth / "patients.parquet") if isinstance(truth, Path) else truth
    known = everyone.filter("known")
    causes = {cause.variable: known[cause.variable].to_numpy().astype(np.float64) for cause in CAUSES}
    deteriorated = known["deteriorated"].to_numpy()
    treated = known["treated"].to_numpy()
    subsets = [subset for size in range(1, 5) for subset in combinations(MODALITIES, size)]
    parts = [log_odds(causes, (modality,)) for modality in MODALITIES]
    seen = [
        np.where(known[f"has_{m}"].to_numpy(), part, part.mean()) for m, part in zip(MODALITIES, parts, strict=True)
    ]
    return Oracle(
        auroc={subset: auroc(log_odds(causes, subset), deteriorated) for subset in subsets},
        auroc_recorded=auroc(np.sum(seen, axis=0), deteriorated),
        prevalence=float(deteriorated.mean()),
        average_effect=float((known["risk_treated"] - known["risk_untreated"]).to_numpy().mean()),
        naive_difference=float(deteriorated[treated].mean() - deteriorated[~treated].mean()),
        patients=len(known),
    )


def auroc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, ties counted half (Mann and Whitney).

    Raises:
        ValueError: only one of the two classes is there.
    """
    yes, no = np.sort(score[positive]), np.sort(score[~positive])
    if not len(yes) or not len(no):
        raise ValueError("AUROC needs patients with and without the outcome: make more patients")
    below = np.searchsorted(no, yes, "left") + np.searchsorted(no, yes, "right")
    return float(below.mean() / 2 / len(no))
