"""Measure a model on a task: every figure with its interval, on everyone, by class and by group."""

from collections.abc import Mapping, Sequence

import numpy as np

from polyclinic.evaluation.arrays import Array, Labels, subject_codes
from polyclinic.evaluation.bootstrap import RESAMPLES, Bootstrap
from polyclinic.evaluation.groups import by_group
from polyclinic.evaluation.kinds import Binary, Kind, Multiclass, Multilabel, Regression, TimeToEvent
from polyclinic.evaluation.kinds.base import SMALL
from polyclinic.evaluation.results import Evaluation

Groups = Mapping[str, Sequence[object] | np.ndarray]


def evaluate(
    kind: Kind,
    y: Labels,
    p: Labels,
    *,
    subjects: Labels | None = None,
    observed: Labels | None = None,
    groups: Groups | None = None,
    bootstrap: Bootstrap | None = None,
    small: int = SMALL,
) -> Evaluation:
    """Measure predictions `p` against the truth `y`, one row of each per sample.

    Intervals treat each of `subjects` as the unit (default: every sample is a subject of its own). Samples that
    `observed` says are unknown are counted and left out. `groups` gives a value per sample under each group's name, and
    `small` is the number of subjects below which a group carries a caution. What cannot be estimated says why; raises
    `ValueError` only for arrays that cannot be meant, such as NaN predictions or shapes that do not fit.
    """
    bootstrap = bootstrap or Bootstrap()
    known = kind.read(y, p, observed)
    theirs = None if subjects is None else _fitting("subjects", subjects, len(known.rows))[known.rows]
    draws = kind.resample(known.y, known.p, theirs, bootstrap)
    values = {name: _fitting(name, group, len(known.rows))[known.rows] for name, group in (groups or {}).items()}
    figures = kind.figures(known.y, known.p, theirs, draws)
    return Evaluation(
        kind=kind.name,
        n=len(known.y),
        unobserved=int((~known.rows).sum()),
        subjects=subject_codes(theirs, len(known.y))[1],
        cases=kind.cases(known.y),
        threshold=getattr(kind, "threshold", None),
        figures=figures,
        headline=tuple(name for name in kind.headline if name in figures),
        pictures=kind.pictures(known.y, known.p, theirs, bootstrap),
        classes=kind.classes(known.y, known.p, theirs, bootstrap),
        groups=by_group(kind, known.y, known.p, values, theirs, bootstrap, small),
    )


def _fitting(name: str, values: Labels, n: int) -> Array:
    array = np.asarray(values)
    if array.shape != (n,):
        raise ValueError(f"{name} of shape {array.shape} for {n} samples: give one value per sample")
    return array


def evaluate_binary(
    y: Labels,
    p: Labels,
    threshold: float | None = None,
    subjects: Labels | None = None,
    *,
    observed: Labels | None = None,
    groups: Groups | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    stratify: bool = False,
) -> Evaluation:
    """Measure probabilities of yes or no; see `evaluate`. Everyone at or above `threshold` is called positive."""
    bootstrap = Bootstrap(resamples, seed, stratify)
    return evaluate(Binary(threshold), y, p, subjects=subjects, observed=observed, groups=groups, bootstrap=bootstrap)


def evaluate_multiclass(
    y: Labels,
    p: Labels,
    classes: Sequence[str],
    subjects: Labels | None = None,
    *,
    observed: Labels | None = None,
    groups: Groups | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    stratify: bool = False,
) -> Evaluation:
    """Measure the probabilities [sample, class] of one answer out of `classes`; see `evaluate`."""
    kind, bootstrap = Multiclass(tuple(classes)), Bootstrap(resamples, seed, stratify)
    return evaluate(kind, y, p, subjects=subjects, observed=observed, groups=groups, bootstrap=bootstrap)


def evaluate_multilabel(
    y: Labels,
    p: Labels,
    labels: Sequence[str],
    thresholds: Sequence[float] | None = None,
    subjects: Labels | None = None,
    *,
    observed: Labels | None = None,
    groups: Groups | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure the probabilities [sample, label] of several answers, known where `observed` says so; see `evaluate`."""
    kind = Multilabel(tuple(labels), None if thresholds is None else tuple(thresholds))
    bootstrap = Bootstrap(resamples, seed)
    return evaluate(kind, y, p, subjects=subjects, observed=observed, groups=groups, bootstrap=bootstrap)


def evaluate_regression(
    y: Labels,
    p: Labels,
    subjects: Labels | None = None,
    *,
    observed: Labels | None = None,
    groups: Groups | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure predicted numbers; see `evaluate`."""
    bootstrap = Bootstrap(resamples, seed)
    return evaluate(Regression(), y, p, subjects=subjects, observed=observed, groups=groups, bootstrap=bootstrap)


def evaluate_time_to_event(
    y: Labels,
    p: Labels,
    times: Sequence[float] = (),
    horizons: Sequence[float] = (),
    subjects: Labels | None = None,
    *,
    observed: Labels | None = None,
    groups: Groups | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    stratify: bool = False,
) -> Evaluation:
    """Measure risks [sample], or survival probabilities [sample, time], against [duration, event]; see `evaluate`."""
    kind, bootstrap = TimeToEvent(tuple(times), tuple(horizons)), Bootstrap(resamples, seed, stratify)
    return evaluate(kind, y, p, subjects=subjects, observed=observed, groups=groups, bootstrap=bootstrap)
