"""Death in hospital from the first 48 hours of intensive care, on PhysioNet 2012's set A: 5-fold cross-validation.

Out-of-fold predictions of the whole bundle, its network and its classical models, with published results for
comparison. Then one fit on all of set A, for its time. Reads the folder POLYCLINIC_DATA.

    python -m benchmarks physionet2012 --folds 5 --out runs/physionet2012
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Table, clocked, parser, real_cohort, real_data, verdict
from benchmarks.crossvalidation import UNIFIED, OutOfFold, out_of_fold
from polyclinic import Bundle, Cohort, Study
from polyclinic.cohort import SPLITS
from polyclinic.evaluation import Binary, compare
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.training.fit import fit_study

INPUTS = ("structured", "series")
"""All modalities of the stays."""
GOALS = {"auroc": 0.88, "auprc": 0.59, "min_se_ppv": 0.56}
LONGEST = 15 * 60
"""Seconds of a fit."""
ELSEWHERE = {
    "boosted trees on summaries, trained on A, on C": (".870", ".566", ".547"),
    "logistic regression on the same": (".850", ".498", ".481"),
    "MTM, five random splits (its paper, table 3)": (".880", ".586", ""),
    "Warpformer, likewise": (".865", ".543", ""),
    "GRU-D, likewise": (".819", ".461", ""),
    "the challenge's winner, on C": ("", "", ".535"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--config", type=Path, help="a study's YAML instead of the default study")
    options.add_argument("--out", type=Path, help="folder for the bundle fitted to all of set A")
    options.add_argument("--stays", type=int, help="only the first N, to try it")
    chosen = options.parse_args(arguments)
    source = real_data("physionet2012_a")
    if source is None:
        return
    study = Study.load(chosen.config) if chosen.config else Study(tasks=("physionet2012_death",), inputs=INPUTS)
    with real_cohort("physionet2012", source, chosen.stays) as (cohort, folder):
        cache = EncoderCache(folder / "cache")
        show(out_of_fold(study, cohort, chosen.folds, chosen.seed, cache), chosen.folds)
        fit_everyone(study, cohort, cache, chosen.out)


def show(found: OutOfFold, number: int) -> None:
    """Print the figures of every model."""
    joint = {name: answers for name, answers in found.answers.items() if ":" not in name}
    compared = compare(Binary(), found.truth, joint, UNIFIED, subjects=found.subjects, headline=tuple(GOALS))
    table = Table(
        f"{number}-fold cross-validation by stay, n = {compared.n}, {compared.cases} died; 95 % intervals",
        *("", "AUROC".rjust(18), "AUPRC".rjust(18), "min(Se, P+)".rjust(18)),
        first=48,
    )
    for contender in compared.contenders:
        table.row(contender.name, *(contender.figures[name] for name in GOALS))
    for name, figures in ELSEWHERE.items():
        table.row(name, *figures)
    table.row("goal, of unified", *(f"{goal:.2f}" for goal in GOALS.values()))
    values = [compared[UNIFIED].figures[name].value for name in GOALS]
    table.row(
        "", *(verdict(value is not None and value >= GOALS[name]) for name, value in zip(GOALS, values, strict=True))
    )
    print(f"each fold's fit: {min(found.seconds):.0f} to {max(found.seconds):.0f} s", flush=True)


def fit_everyone(study: Study, cohort: Cohort, cache: EncoderCache, out: Path | None) -> None:
    """Fit on every stay, for its time, and keep the bundle if a folder is given."""
    everyone = study.model_copy(update={"development": SPLITS})
    made: list[Bundle] = []
    seconds = clocked(lambda: made.append(fit_study(everyone, cohort, cache=cache).bundle))
    print(f"a fit on all stays: {seconds:.0f} s; goal {LONGEST} s: {verdict(seconds <= LONGEST)}")
    if out:
        print(f"→ {made[0].save(out)}")


if __name__ == "__main__":
    main()
