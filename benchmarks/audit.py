"""Whether the figures that a clinician reads mean what they say, on PhysioNet 2012's set A, by cross-validation.

Every stay is answered by models that have not seen it. Prints, with 95 % intervals: the coverage of the conformal sets
by class and by group, the errors of the calls from which the model abstains and of those that it keeps, how often the
interval of one answer holds that of a refit to bootstrapped stays, how the combination compares with its members, and
the calibration of each age band and sex, before and after that by group. Reads the folder POLYCLINIC_DATA.

    python -m benchmarks audit --folds 5 --refits 4
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common import RESAMPLES, Interval, Table, parser, real_cohort, real_data, verdict
from polyclinic import Bundle, Cohort, Study
from polyclinic.assess.abstention import ODDS_FACTOR, uncertain_call
from polyclinic.assess.uncertainty import intervals_of
from polyclinic.evaluation import Row, auroc, auroc_figure, delong_test
from polyclinic.evaluation.groups import levels_of
from polyclinic.evaluation.metrics.calibration import calibration_figures
from polyclinic.evaluation.prediction_sets import PredictionSets, set_coverage
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays
from polyclinic.models.ensemble.ensemble import EnsemblePredictions
from polyclinic.models.ensemble.link_functions import log_odds
from polyclinic.tasks import Samples, samples
from polyclinic.training.data.folds import folds, groups_of, strata_of
from polyclinic.training.evaluation.evaluate import sets_of
from polyclinic.training.evaluation.subgroups import subgroups
from polyclinic.training.fit import fit_study

TASK = "physionet2012_death"
INPUTS = ("structured", "series")
CLASS_COVERAGE = (0.88, 0.92)
INTERVAL_COVERAGE = 0.9
NO_WORSE = -0.002
"""AUROC of the combination less that of its best member."""
MOST_INTERCEPT, OUTCOMES = 0.2, 100
"""Calibration intercept of age bands with at least this many outcomes."""


@dataclass(frozen=True)
class Answers:
    """The answers for some unseen stays by one bundle; arrays are [stay]."""

    rows: np.ndarray  # of the stays, among all
    p: np.ndarray
    overall: np.ndarray  # probability without the calibration by group
    members: dict[str, np.ndarray]  # probability of each member
    threshold: float
    low: np.ndarray
    high: np.ndarray
    sets: np.ndarray  # [stay, answer]
    unusual: np.ndarray  # beyond nearly all development stays
    refits: np.ndarray  # probability by each refit to bootstrapped stays [refit, stay]


@dataclass(frozen=True)
class Audited:
    """All stays, each answered by a bundle that has not seen it; arrays are [stay]."""

    truth: np.ndarray  # Boolean
    subjects: np.ndarray
    groups: dict[str, Sequence[object]]  # sex, age band, recorded inputs
    folds: list[Answers]

    def joined(self, part: Callable[[Answers], np.ndarray]) -> np.ndarray:
        """Return a part of the answers of all folds, in the order of the stays."""
        joined: np.ndarray = np.concatenate([part(one) for one in self.folds])
        return joined[np.argsort(np.concatenate([one.rows for one in self.folds]))]

    @property
    def p(self) -> np.ndarray:
        """The probability of each stay."""
        return self.joined(lambda one: one.p)

    @property
    def thresholds(self) -> np.ndarray:
        """The operating threshold of each stay's bundle."""
        return self.joined(lambda one: np.full(len(one.p), one.threshold))


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--refits", type=int, default=4, help="refits to bootstrapped stays, of the first fold")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--stays", type=int, help="only the first N, to try it")
    options.add_argument("--keep", type=Path, help="a Parquet file for the answers of all stays")
    chosen = options.parse_args(arguments)
    source = real_data("physionet2012_a")
    if source is None:
        return
    with real_cohort("physionet2012", source, chosen.stays) as (cohort, folder):
        audited = audit(cohort, chosen.folds, chosen.refits, chosen.seed, EncoderCache(folder / "cache"))
    if chosen.keep:
        table_of(audited).write_parquet(chosen.keep)
    print(f"{chosen.folds}-fold cross-validation by stay, n = {len(audited.truth)}, {audited.truth.sum()} died")
    for item in ITEMS:
        item(audited)


def audit(cohort: Cohort, number: int, refits: int, seed: int, cache: EncoderCache) -> Audited:
    """Fit a bundle without each fold, answer the fold, and refit the first to bootstrapped stays."""
    study = Study(tasks=(TASK,), inputs=INPUTS)
    sampled = samples(cohort, study.tasks)
    subjects = sampled.frame["subject_id"].to_numpy()
    groups, strata, answers = groups_of(cohort, subjects), strata_of(study.tasks, sampled.targets), []
    for place, fold in enumerate(folds(groups, strata, number, seed)):
        learnt, unseen = np.unique(subjects[fold.training]), sampled.take(fold.validation)
        bundle = fit_study(study, cohort, subjects=learnt.tolist(), cache=cache, golden=False).bundle
        again = []
        for refit in range(refits if place == 0 else 0):
            drawn = np.random.default_rng([seed, refit]).choice(learnt, len(learnt)).tolist()
            other = fit_study(study, cohort, subjects=drawn, cache=cache, golden=False).bundle
            again.append(other.ensemble.answer(other.arrays(cohort, unseen.frame))[TASK].answers[:, 0])
        answers.append(answered(bundle, cohort, unseen, fold.validation, again))
        print(f"fold {place + 1} of {number}", flush=True)
    present = {name: {"present": np.ones(len(subjects), dtype=bool)} for name in INPUTS[:1]}
    by_group = subgroups(cohort, sampled.frame, present)
    return Audited(sampled.targets[TASK].values[:, 0] > 0.5, subjects, by_group, answers)


def answered(bundle: Bundle, cohort: Cohort, unseen: Samples, rows: np.ndarray, refits: list[np.ndarray]) -> Answers:
    """Answer unseen stays as an assessment does, all at once."""
    (task,), arrays = bundle.tasks, bundle.arrays(cohort, unseen.frame)
    ensemble, predictions = bundle.ensemble.tasks[TASK], bundle.ensemble.predict(arrays, every_member=True)
    members = predictions.member_predictions[TASK]
    answers = bundle.ensemble.answer(arrays, every_member=True)[TASK].answers
    low, high, _ = intervals_of(ensemble, bundle.reference, task, predictions, answers)
    sets = sets_of(bundle, task, answers, arrays)
    assert sets is not None
    return Answers(
        rows=rows,
        p=answers[:, 0],
        overall=ensemble.combine(members, predictions.present)[:, 0],
        members={name: member.answers[:, 0] for name, member in members.items()},
        threshold=ensemble.thresholds[0],
        low=low[:, 0],
        high=high[:, 0],
        sets=sets.sets[0],
        unusual=_unusual(bundle, arrays, predictions),
        refits=np.array(refits).reshape(len(refits), len(rows)),
    )


def _unusual(bundle: Bundle, arrays: Mapping[str, Arrays], predictions: EnsemblePredictions) -> np.ndarray:
    novelty = bundle.reference.novelty if bundle.reference else None
    assert predictions.network_predictions is not None
    latents = predictions.network_predictions.latents
    values, present = (np.asarray(arrays["structured"][name]) for name in ("values", "present"))
    scores = [
        novelty.score(latents[:, row], values[row] if present[row] else None) if novelty else None
        for row in range(len(present))
    ]
    return np.array([score is not None and score.is_outlier for score in scores])


def table_of(audited: Audited) -> pl.DataFrame:
    """Return the answers of all stays as a table."""
    names = list(audited.folds[0].members)
    members = {name: audited.joined(lambda one, name=name: one.members[name]) for name in names}  # type: ignore[misc]
    return pl.DataFrame(
        {"subject_id": audited.subjects, "died": audited.truth, "unified": audited.p, "threshold": audited.thresholds}
        | {name: audited.joined(lambda one, name=name: getattr(one, name)) for name in ("low", "high", "unusual")}  # type: ignore[misc]
        | members
        | {name: pl.Series(name, list(values), dtype=pl.String) for name, values in audited.groups.items()}
    )


def conformal_sets(audited: Audited) -> None:
    """Item 1: the coverage of the conformal sets, by class and by group."""
    everyone = np.ones(len(audited.truth), dtype=bool)
    sets = PredictionSets((audited.joined(lambda one: one.sets),), everyone)
    rows = set_coverage("binary", sets, audited.truth, (), everyone, audited.groups, audited.subjects)
    columns = ("set_coverage_with", "set_coverage_without", "set_undecided")
    table = Table(
        "1. Conformal sets at 90 % confidence: share that holds the truth",
        *("", "of those who died".rjust(18), "of survivors".rjust(18), "undecided".rjust(18)),
        first=24,
    )
    for row in rows:
        table.row(f"{row.table} {row.level}", *(row.figures[name] for name in columns))
    table.row(f"goal {CLASS_COVERAGE[0]} to {CLASS_COVERAGE[1]}", *(_within(rows[0], name) for name in columns[:2]))


def _within(row: Row, name: str) -> str:
    value = row.figures[name].value
    return verdict(value is not None and CLASS_COVERAGE[0] <= round(value, 2) <= CLASS_COVERAGE[1])


def abstention(audited: Audited) -> None:
    """Item 2: the errors of the calls from which the model abstains, and of those that it keeps."""
    p, thresholds, truth = audited.p, audited.thresholds, audited.truth
    called, reach = p >= thresholds, reach_beyond(audited)
    wrong = called != truth
    harm = np.where(called, thresholds, 1 - thresholds) * wrong  # a missed death weighs as the threshold says
    uncertain, unusual = reach > 0, audited.joined(lambda one: one.unusual)
    table = Table(
        "2. Errors of the calls at the operating threshold; harm weighs a missed death by the threshold",
        *("", "share", "died", "wrong: abstained, kept, difference".rjust(44), "harm: difference".rjust(24)),
        first=44,
    )
    for name, rows in (("wide interval across the threshold", uncertain), ("unlike development", unusual)):
        _abstained(table, name, rows, truth, wrong, harm)
    met = _abstained(table, "either", uncertain | unusual, truth, wrong, harm)
    table.row("goal: difference above 0", verdict(met))
    width = log_odds(audited.joined(lambda one: one.high)) - log_odds(audited.joined(lambda one: one.low))
    like = similar_calls(log_odds(p) - log_odds(thresholds))
    wide = wider_than_similar(width, like)
    _abstained(table, "of like probability: wider against narrower", wide, truth, wrong, harm)
    order = np.argsort(-reach, kind="stable")
    table = Table("   Risk and coverage, the most uncertain calls left out first", "left out", "wrong", "harm")
    for share in (0, 0.05, 0.1, 0.2, 0.3, 0.5):
        kept = order[int(share * len(order)) :]
        table.row(f"{share:.0%}", f"{wrong[kept].mean():.3f}", f"{harm[kept].mean():.4f}")


def reach_beyond(audited: Audited) -> np.ndarray:
    """Return by how much the interval reaches beyond twice the threshold's odds either way, in log-odds; < 0: not."""
    cut, beyond = log_odds(audited.thresholds), np.log(ODDS_FACTOR)
    low, high = audited.joined(lambda one: one.low), audited.joined(lambda one: one.high)
    reach: np.ndarray = np.minimum(cut - log_odds(low), log_odds(high) - cut) - beyond
    uncertain = [uncertain_call(*call) for call in zip(low, high, audited.thresholds, strict=True)]
    assert ((reach > 0) == uncertain).all(), "the rule of an assessment"
    return reach


def similar_calls(distance: np.ndarray) -> np.ndarray:
    """Return the group of each call: one of 40 of equal size, by the signed distance from the threshold."""
    groups: np.ndarray = np.argsort(np.argsort(distance, kind="stable")) * 40 // len(distance)
    return groups


def wider_than_similar(width: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return whether each interval is wider than the median of its group, so that the probabilities are alike."""
    median = np.array([np.median(width[groups == group]) for group in range(groups.max() + 1)])
    wider: np.ndarray = width > median[groups]
    return wider


def _abstained(
    table: Table, name: str, rows: np.ndarray, truth: np.ndarray, wrong: np.ndarray, harm: np.ndarray
) -> bool:
    """Print one rule; return whether what is abstained from is shown to be answered worse."""
    if not rows.any():
        table.row(name, "0.000")
        return False
    errors, harms = difference(wrong, rows), difference(harm, rows)
    means = f"{wrong[rows].mean():.3f}, {wrong[~rows].mean():.3f}, {errors.shown('+.3f')}"
    table.row(name, f"{rows.mean():.3f}", f"{truth[rows].mean():.3f}", means.rjust(44), harms.shown("+.3f").rjust(24))
    return errors.low > 0


def difference(values: np.ndarray, rows: np.ndarray) -> Interval:
    """Return the difference of means between `rows` and the others, with a bootstrap interval over the stays."""
    random, draws = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(values), len(values))
        among = rows[drawn]
        if among.any() and not among.all():
            draws.append(values[drawn][among].mean() - values[drawn][~among].mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(values[rows].mean() - values[~rows].mean()), float(low), float(high))


def intervals(audited: Audited) -> None:
    """Item 3: how often the interval of one answer holds that of a refit to bootstrapped stays."""
    first = audited.folds[0]
    if not len(first.refits):
        return
    held = (first.refits >= first.low) & (first.refits <= first.high)
    random = np.random.default_rng(0)
    draws = [held[:, random.integers(0, held.shape[1], held.shape[1])].mean() for _ in range(RESAMPLES)]
    coverage = Interval(float(held.mean()), *map(float, np.quantile(draws, [0.025, 0.975])))
    each = ", ".join(f"{share:.3f}" for share in held.mean(axis=1))
    print(f"\n3. The 95 % interval holds the answer of a refit: {coverage.shown()}; each of {len(held)} refits: {each}")
    width, near = first.high - first.low, np.abs(log_odds(first.p) - log_odds(np.asarray(first.threshold))) < 1
    print(f"   median width {np.median(width):.3f}, of probabilities near the threshold {np.median(width[near]):.3f}")
    print(f"   goal {INTERVAL_COVERAGE}: {verdict(coverage.value >= INTERVAL_COVERAGE)}", flush=True)


def combination(audited: Audited) -> None:
    """Item 4: the AUROC of the combination, and paired with each of its members."""
    truth, p = audited.truth, audited.p
    names = [name for name in audited.folds[0].members if all(name in one.members for one in audited.folds)]
    members = {name: audited.joined(lambda one, name=name: one.members[name]) for name in names}  # type: ignore[misc]
    table = Table(
        f"4. AUROC of the combination: {auroc_figure(truth, p)}",
        *("", "AUROC".rjust(20), "combination less this".rjust(24)),
        first=34,
    )
    for name, answers in members.items():
        table.row(name, auroc_figure(truth, answers), delong_test(truth, p, answers).figure)
    best = max(float(auroc(truth, answers)) for answers in members.values())
    least = float(auroc(truth, p)) - best
    table.row(f"less the best member {least:+.3f}, goal {NO_WORSE:+.3f}", verdict(least >= NO_WORSE))


def calibration_by_group(audited: Audited) -> None:
    """Item 5: the calibration intercept of each age band and sex, before and after the calibration by group."""
    before = audited.joined(lambda one: one.overall)
    table = Table(
        "5. Calibration intercept, before and after the calibration by group",
        *("", "n", "died", "before".rjust(20), "after".rjust(20)),
        first=24,
    )
    met = True
    for grouping in ("age", "sex"):
        for level, rows in levels_of(audited.groups.get(grouping, ())):
            truth, died = audited.truth[rows], int(audited.truth[rows].sum())
            both = [
                calibration_figures(truth, p[rows], audited.subjects[rows])["calibration_intercept"]
                for p in (before, audited.p)
            ]
            table.row(f"{grouping} {level}", rows.sum(), died, *both)
            if grouping == "age" and died >= OUTCOMES:
                met &= both[1].value is not None and abs(both[1].value) <= MOST_INTERCEPT
    table.row(f"age bands of {OUTCOMES} deaths or more within {MOST_INTERCEPT}", verdict(met))


ITEMS: tuple[Callable[[Audited], None], ...] = (
    conformal_sets,
    abstention,
    intervals,
    combination,
    calibration_by_group,
)
"""What is printed, in order; each function reads the answers of all stays."""


if __name__ == "__main__":
    main()
