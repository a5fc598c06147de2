"""Evaluate a model on a task: every figure with its interval, on all samples, by class and by group."""

from collections.abc import Mapping, Sequence

import numpy as np

from polyclinic.evaluation.arrays import Array, Labels, subject_codes, subjects_by_outcome
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
    """Evaluate predictions `p` against the truth `y`, one row of each per sample.

    Args:
        kind: The kind of task, which determines the figures.
        y: Truths.
        p: Predictions.
        subjects: The unit of resampling; by default every sample is a subject.
        observed: The mask of samples with a known truth; the others are counted and left out.
        groups: By the name of a grouping, a value per sample.
        bootstrap: How to resample.
        small: Number of subjects below which a group carries a caution.

    Raises:
        ValueError: the arrays are invalid (NaN predictions, shapes that do not fit). Figures that cannot be estimated
            raise nothing: they carry the reason.
    """
    bootstrap = bootstrap or Bootstrap()
    known = kind.read(y, p, observed)
    units = None if subjects is None else _fitting("subjects", subjects, len(known.rows))[known.rows]
    draws = kind.resample(known.y, known.p, units, bootstrap)
    values = {name: _fitting(name, group, len(known.rows))[known.rows] for name, group in (groups or {}).items()}
    figures = kind.figures(known.y, known.p, units, draws)
    with_outcome, without = subjects_by_outcome(units, kind.is_case(known.y))
    return Evaluation(
        kind=kind.name,
        n=len(known.y),
        unobserved=int((~known.rows).sum()),
        subjects=subject_codes(units, len(known.y))[1],
        cases=kind.cases(known.y),
        threshold=getattr(kind, "threshold", None),
        figures=figures,
        headline=tuple(name for name in kind.headline if name in figures),
        pictures=kind.plot_data(known.y, known.p, units, bootstrap),
        classes=kind.classes(known.y, known.p, units, bootstrap),
        groups=by_group(kind, known.y, known.p, values, units, bootstrap, small),
        with_outcome=with_outcome,
        without=without,
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
    """Evaluate probabilities of a binary outcome, positive at or above `threshold`; see `evaluate`."""
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
    """Evaluate probabilities [sample, class] of exclusive `classes`; see `evaluate`."""
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
    """Evaluate probabilities [sample, label] of several `labels`; see `evaluate`."""
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
    """Evaluate predicted numbers; see `evaluate`."""
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
    """Evaluate risks [sample], or survival probabilities [sample, time], against [duration, event]; see `evaluate`."""
    kind, bootstrap = TimeToEvent(tuple(times), tuple(horizons)), Bootstrap(resamples, seed, stratify)
    return evaluate(kind, y, p, subjects=subjects, observed=observed, groups=groups, bootstrap=bootstrap)
