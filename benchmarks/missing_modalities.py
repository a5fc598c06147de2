"""One model given a subset of its inputs against models trained on that subset, on unseen patients.

Synthetic patients have up to five inputs, whose signal is split between them. For each subset of the inputs: the AUROC
of the unified model given only the subset, that of a study of the subset, and their difference with its paired DeLong
interval, on the unseen patients who have any of the subset.

    python -m benchmarks missing_modalities --patients 1500 --unseen 2000
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common import Table, clocked, demo_cohort, parser, verdict
from polyclinic import Bundle, Cohort, Study
from polyclinic.cohort import SPLITS
from polyclinic.evaluation import auroc_figure, delong_test, subset_name
from polyclinic.features import Arrays, EncoderCache
from polyclinic.modalities import MODALITIES
from polyclinic.models import subsets
from polyclinic.progress import SILENT
from polyclinic.study import Network
from polyclinic.tasks import samples
from polyclinic.training.evaluation.evaluate import answers_by_subset
from polyclinic.training.fit import fit_study

TASK = "demo_deterioration"
WITHIN = 0.01
UNSEEN_SEED = 1_000


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, default=1500, help="for training")
    options.add_argument("--unseen", type=int, default=2000, help="for evaluation")
    options.add_argument("--folds", type=int, default=3)
    options.add_argument("--epochs", type=int, default=40)
    options.add_argument("--inputs", nargs="+", choices=MODALITIES, default=tuple(MODALITIES))
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args(arguments)
    study = Study(
        tasks=(TASK,),
        inputs=tuple(chosen.inputs),
        network=Network(epochs=chosen.epochs),
        folds=chosen.folds,
        development=SPLITS,
        seed=chosen.seed,
    )
    with tempfile.TemporaryDirectory(prefix="missing-modalities-") as folder:
        pictures = "image" in study.modalities
        learnt = demo_cohort(Path(folder) / "learnt", chosen.patients, chosen.seed, pictures)
        unseen = demo_cohort(Path(folder) / "unseen", chosen.unseen, chosen.seed + UNSEEN_SEED, pictures)
        compare_subsets(study, learnt, unseen, EncoderCache(Path(folder) / "cache"))


def compare_subsets(study: Study, learnt: Cohort, unseen: Cohort, cache: EncoderCache) -> None:
    """Fit the unified model and those of each subset, and print their figures."""
    sampled = samples(unseen, study.tasks)
    frame, truth = sampled.frame, sampled.targets[TASK].values[:, 0] > 0.5
    whole = fit_study(study, learnt, cache=cache).bundle
    arrays = whole.arrays(unseen, frame)
    given = answers_by_subset(whole, arrays, SILENT)
    table = Table(
        f"{learnt.subjects.height} training patients, {len(truth)} unseen; 95 % intervals",
        *("given only", "n".rjust(6), "the one model".rjust(18), "trained on these".rjust(18)),
        *("difference".rjust(20), f"within {WITHIN}", "fit, s"),
        first=32,
    )
    gaps = []
    for members in subsets(study.modalities):
        made: list[Bundle] = []
        own_study = study.model_copy(update={"inputs": members})
        seconds = clocked(lambda: made.append(fit_study(own_study, learnt, cache=cache).bundle))  # noqa: B023
        rows = available(arrays, members)
        one, own = given[members][TASK][rows, 0], answers(made[0], unseen, frame)[rows]
        gap = delong_test(truth[rows], one, own).figure
        gaps.append(gap.value or 0.0)
        figures = (auroc_figure(truth[rows], one), auroc_figure(truth[rows], own), gap)
        table.row(subset_name(members), rows.sum(), *figures, verdict(gaps[-1] >= -WITHIN), f"{seconds:.0f}")
    print(f"smallest difference {min(gaps):+.3f}; goal ≥ {-WITHIN}: {verdict(min(gaps) >= -WITHIN)}")


def available(arrays: dict[str, Arrays], members: Sequence[str]) -> np.ndarray:
    """Return the mask of samples with any of the inputs."""
    return np.asarray(np.any([arrays[modality]["present"] for modality in members], axis=0))


def answers(bundle: Bundle, cohort: Cohort, frame: pl.DataFrame) -> np.ndarray:
    """Return the probability of the positive class of each sample."""
    found: np.ndarray = bundle.ensemble.answer(bundle.arrays(cohort, frame))[TASK].answers[:, 0]
    return found


if __name__ == "__main__":
    main()
