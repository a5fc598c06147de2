"""Prediction sets of every kind of task, and how often they hold the truth: overall, by answer and by group.

The set of a class or label holds the answer that the model gives (the called one, or the most probable class) and every
answer that cannot be excluded at the stated confidence. So it is never empty, and cannot contradict the call; adding
the given answer can only raise the coverage.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.evaluation.arrays import Array, Labels, Scores, subject_codes, subjects_by_outcome
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.groups import levels_of
from polyclinic.evaluation.kinds.base import SMALL, caution
from polyclinic.evaluation.metrics.conformal import (
    answer_quantiles,
    binary_probabilities,
    by_answer,
    class_scores,
    class_set,
    conformal_quantile,
    residual_scores,
)
from polyclinic.evaluation.metrics.confusion import proportion
from polyclinic.evaluation.results import Row

ALPHA = 0.1
"""Miscoverage of the sets."""
NO_YES = ("no", "yes")
"""Answers of a binary task, and of each label."""
EVERYONE = ("everyone", "all")
"""Table and level of the row of all samples."""

SetScores = Sequence[Sequence[Scores]]
"""Nonconformity scores of the truth: of each output with its own set, of each answer; a number has one "answer"."""


@dataclass(frozen=True)
class PredictionSets:
    """The sets of some samples."""

    sets: tuple[
        Array, ...
    ]  # of each output: the mask [sample, answer] of the answers held; of a number, ends [sample, 2]
    answered: Bool[Array, " sample"]  # the others have no input, and no set


def set_scores(
    kind: str, answers: Float[Array, "sample output"], truth: Float[Array, "sample number"]
) -> tuple[tuple[Scores, ...], ...]:
    """Return the nonconformity scores of known truths: 0 or 1 of each output, or the number."""
    if kind == "regression":
        return ((np.sort(residual_scores(answers[:, 0], truth[:, 0])),),)
    if kind == "multiclass":
        true_class = truth.argmax(axis=1)
        return (by_answer(class_scores(answers, true_class), true_class, answers.shape[1]),)
    return tuple(
        by_answer(class_scores(binary_probabilities(p), positive), positive, 2)
        for p, positive in zip(answers.T, (truth > 0.5).astype(np.int64).T, strict=True)
    )


def prediction_sets(
    kind: str, answers: Float[Array, "sample output"], scores: SetScores, thresholds: Sequence[float | Scores]
) -> tuple[Array, ...]:
    """Return the set of each output: the mask [sample, answer] of the answers that it holds.

    Those of a number are its ends [sample, 2], infinite where there are too few scores. `thresholds` are the operating
    points of binary outputs: the called answer is always held, as is the most probable class.
    """
    if kind == "regression":
        reach = conformal_quantile(scores[0][0], ALPHA)
        return (np.stack([answers[:, 0] - reach, answers[:, 0] + reach], axis=1),)
    if kind == "multiclass":
        given = answers.argmax(axis=1)[:, None] == np.arange(answers.shape[1])
        return (class_set(answers, answer_quantiles(scores[0], ALPHA)) | given,)
    return tuple(
        class_set(binary_probabilities(p), answer_quantiles(own, ALPHA)) | np.stack([p < cut, p >= cut], axis=1)
        for p, own, cut in zip(answers.T, scores, thresholds, strict=True)
    )


def set_coverage(
    kind: str,
    sets: PredictionSets,
    truth: Array,
    names: Sequence[str],
    observed: Bool[Array, " sample"],
    groups: Mapping[str, Sequence[object] | Array],
    subjects: Labels | None = None,
) -> tuple[Row, ...]:
    """Measure how often the sets hold the truth: of all samples, of each true answer, and of each group.

    Args:
        kind: of the task.
        sets: of the samples.
        truth: 0 or 1 [sample] of a binary task or [sample, label], the class's number, or the number.
        names: of the classes or labels.
        observed: mask of the samples with a known truth.
        groups: by the name of a grouping, a value per sample.
        subjects: the unit of the intervals.
    """
    rows = np.flatnonzero(observed & sets.answered)
    units = None if subjects is None else np.asarray(subjects)[rows]
    levels = {name: levels_of(np.asarray(values, dtype=object)[rows]) for name, values in groups.items()}
    held = [mask[rows] for mask in sets.sets]
    if kind == "multilabel":
        return tuple(
            row
            for place, (mask, label) in enumerate(zip(held, names, strict=True))
            for row in _rows(_classes(mask, truth[rows, place], NO_YES), levels, units, label)
        )
    if kind == "regression":
        ends = held[0]
        return tuple(_rows(_Held((truth[rows] >= ends[:, 0]) & (truth[rows] <= ends[:, 1])), levels, units))
    return tuple(_rows(_classes(held[0], truth[rows], NO_YES if kind == "binary" else tuple(names)), levels, units))


@dataclass(frozen=True)
class _Held:
    """Whether each sample's set holds its truth; for classes also the truth, and whether others are held."""

    covered: Bool[Array, " sample"]
    undecided: Bool[Array, " sample"] | None = None
    truth: Int[Array, " sample"] | None = None
    names: tuple[str, ...] = ()


def _classes(mask: Bool[Array, "sample answer"], truth: Array, names: tuple[str, ...]) -> _Held:
    true_answer = np.asarray(truth).astype(np.int64)
    covered = np.take_along_axis(mask, true_answer[:, None], axis=1)[:, 0]
    return _Held(covered, mask.sum(axis=1) > 1, true_answer, names)


def _rows(
    held: _Held, levels: Mapping[str, Sequence[tuple[str, Array]]], subjects: Array | None, label: str = ""
) -> Iterator[Row]:
    everyone = np.ones(len(held.covered), dtype=bool)
    yield _row(held, EVERYONE if not label else ("label", label), everyone, subjects)
    if held.truth is not None and held.names != NO_YES:
        for answer, name in enumerate(held.names):
            yield _row(held, ("class", name), held.truth == answer, subjects)
    for grouping, members in levels.items():
        table = f"{label}: {grouping}" if label else grouping
        for level, mask in members:
            yield _row(held, (table, level), mask, subjects)


def _row(held: _Held, title: tuple[str, str], members: Bool[Array, " sample"], subjects: Array | None) -> Row:
    figures = {"set_coverage": proportion("set_coverage", held.covered, members, subjects)}
    is_case = None
    if held.truth is not None and held.names == NO_YES:
        figures |= _by_outcome(held, members, subjects)
        is_case = held.truth[members] == 1
    if held.undecided is not None:
        figures["set_undecided"] = proportion("set_undecided", held.undecided, members, subjects)
    n, units = int(members.sum()), None if subjects is None else subjects[members]
    count, cases = subject_codes(units, n)[1], None if is_case is None else int(is_case.sum())
    note = caution(count, n, cases, SMALL)
    return Row(*title, n, count, cases, figures, note, *subjects_by_outcome(units, is_case))


def _by_outcome(held: _Held, members: Bool[Array, " sample"], subjects: Array | None) -> dict[str, Estimate]:
    assert held.truth is not None
    outcomes = {"set_coverage_with": held.truth == 1, "set_coverage_without": held.truth == 0}
    return {name: proportion(name, held.covered, members & those, subjects) for name, those in outcomes.items()}
