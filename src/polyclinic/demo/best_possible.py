"""Upper bound of discrimination: the AUROC of the true causes, by subset of modalities."""

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
    """AUROC of deterioration for an oracle that knows the causes, without noise or missing modalities."""

    auroc: Mapping[tuple[str, ...], float]  # by subset of modalities
    auroc_recorded: float  # all modalities, where recorded
    prevalence: float
    average_effect: float  # of the treatment on the risk of deterioration
    naive_difference: float  # in deterioration, treated minus untreated: confounded
    patients: int

    def __str__(self) -> str:
        rows = [f"{' + '.join(subset):<40} {value:.3f}" for subset, value in self.auroc.items()]
        rows.append(f"{'all, where recorded':<40} {self.auroc_recorded:.3f}")
        return "\n".join([f"{'deterioration, AUROC of the causes':<40} n = {self.patients}", *rows])


def oracle(truth: Path | pl.DataFrame) -> Oracle:
    """Compute the oracle from the truth of a demo.

    Patients are ranked by a subset's share of the log-odds, which is optimal except for the slight dependence between
    modalities.

    Args:
        truth: folder of the truth, or its table of patients.

    Raises:
        FileNotFoundError: the folder has no truth.
        ValueError: none or all of the patients deteriorated.
    """
    patients = pl.read_parquet(truth / "patients.parquet") if isinstance(truth, Path) else truth
    known = patients.filter("known")
    causes = {cause.variable: known[cause.variable].to_numpy().astype(np.float64) for cause in CAUSES}
    deteriorated = known["deteriorated"].to_numpy()
    treated = known["treated"].to_numpy()
    subsets = [subset for size in range(1, 5) for subset in combinations(MODALITIES, size)]
    parts = [log_odds(causes, (modality,)) for modality in MODALITIES]
    recorded = [
        np.where(known[f"has_{m}"].to_numpy(), part, part.mean()) for m, part in zip(MODALITIES, parts, strict=True)
    ]
    return Oracle(
        auroc={subset: auroc(log_odds(causes, subset), deteriorated) for subset in subsets},
        auroc_recorded=auroc(np.sum(recorded, axis=0), deteriorated),
        prevalence=float(deteriorated.mean()),
        average_effect=float((known["risk_treated"] - known["risk_untreated"]).to_numpy().mean()),
        naive_difference=float(deteriorated[treated].mean() - deteriorated[~treated].mean()),
        patients=len(known),
    )


def auroc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, with ties counted half (Mann and Whitney).

    Raises:
        ValueError: only one class is present.
    """
    positives, negatives = np.sort(score[positive]), np.sort(score[~positive])
    if not len(positives) or not len(negatives):
        raise ValueError("AUROC needs patients with and without the outcome: make more patients")
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.mean() / 2 / len(negatives))
