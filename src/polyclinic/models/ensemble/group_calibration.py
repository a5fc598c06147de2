"""Calibration by group: offsets of the log-odds for bands of age and for sex, shrunk towards none.

A model can be calibrated overall and yet understate the risk of the old. The offsets are fitted to out-of-fold
predictions by penalised logistic regression with the calibrated log-odds as offset (Janssen 2008,
10.1016/j.jclinepi.2007.04.018). Their prior has a mean of zero, and a standard deviation for each grouping that
maximises the Laplace approximation of the marginal likelihood (empirical Bayes), so that groups which do not differ get
no offset. Repeated samples of a subject count as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from polyclinic.features.structured.demographics import Groups
from polyclinic.models.ensemble.link_functions import LINKS
from polyclinic.models.network.config import TaskKind

KINDS: tuple[TaskKind, ...] = ("binary", "multilabel")
MIN_SUBJECTS = 20
"""Subjects with, and without, the outcome that a group needs for an offset."""
DEVIATIONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
"""Standard deviations of the prior of the offsets from which the most likely is chosen."""
SWEEPS = 2
STEPS = 30
TOLERANCE = 1e-8
LARGEST_STEP = 1.0


class GroupFigures(NamedTuple):
    """One group of the development samples, for one output."""

    grouping: str
    level: str
    output: int
    samples: int
    outcomes: int  # subjects with the outcome
    before: float | None  # calibration intercept without offsets; None if only one outcome occurs
    after: float | None  # with offsets that were fitted without the sample's fold
    offset: float


@dataclass(frozen=True)
class GroupCalibration:
    """Add an offset to the log-odds of each output of a sample by its groups; none where a group is unknown."""

    kind: TaskKind
    offsets: dict[str, dict[str, tuple[float, ...]]]  # by grouping, then level, of each output
    figures: tuple[GroupFigures, ...] = ()

    @classmethod
    def fit(
        cls,
        kind: TaskKind,
        answers: Float[np.ndarray, "sample output"],
        groups: Groups,
        targets: Float[np.ndarray, "sample output"],
        observed: Bool[np.ndarray, " sample"],
        subjects: Int[np.ndarray, " sample"],
        folds: Sequence[Int[np.ndarray, " row"]] = (),
    ) -> GroupCalibration | None:
        """Fit to calibrated out-of-fold predictions; None where no group differs, or for other kinds of task.

        `folds` are the rows of each fold, from which the figures after calibration are cross-validated.
        """
        if kind not in KINDS or not groups or not observed.any():
            return None
        offsets = _offsets(answers, groups, targets, observed, subjects)
        if not any(any(one) for levels in offsets.values() for one in levels.values()):
            return None
        after = answers.copy()
        for held_out in folds:
            others = observed.copy()
            others[held_out] = False
            if others.any():
                fitted = cls(kind, _offsets(answers, groups, targets, others, subjects))
                own = {name: [levels[row] for row in held_out] for name, levels in groups.items()}
                after[held_out] = fitted(answers[held_out], own)
        return cls(kind, offsets, tuple(_figures(offsets, answers, after, groups, targets, observed, subjects)))

    def offset(self, groups: Groups, samples: int) -> Float[np.ndarray, "sample output"]:
        """Return what is added to the log-odds of each output of each sample."""
        outputs = max((len(one) for levels in self.offsets.values() for one in levels.values()), default=1)
        nothing, total = (0.0,) * outputs, np.zeros((samples, outputs))
        for name, offsets in self.offsets.items():
            if name in groups:
                total += np.array([offsets.get(level or "", nothing) for level in groups[name]]).reshape(total.shape)
        return total

    def __call__(
        self, answers: Float[np.ndarray, "sample output"], groups: Groups
    ) -> Float[np.ndarray, "sample output"]:
        """Calibrate; samples without an offset are returned as they are."""
        offset = self.offset(groups, len(answers))
        link = LINKS[self.kind]
        return np.where(offset == 0, answers, link.answers(link.scores(answers) + offset))

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return asdict(self) | {"figures": [figures._asdict() for figures in self.figures]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> GroupCalibration:
        """Rebuild a calibration from its state."""
        offsets = {
            name: {level: tuple(map(float, one)) for level, one in levels.items()}
            for name, levels in state["offsets"].items()
        }
        return cls(state["kind"], offsets, tuple(GroupFigures(**figures) for figures in state["figures"]))


class _Level(NamedTuple):
    grouping: str
    name: str
    members: Bool[np.ndarray, " sample"]


def intercept(log_odds: Float[np.ndarray, " sample"], happened: Float[np.ndarray, " sample"]) -> float | None:
    """Return the calibration intercept: the shift of the log-odds that makes their mean risk that observed."""
    if not 0 < happened.mean() < 1:
        return None
    return float(_mode(np.ones((len(happened), 1)), log_odds, happened, np.zeros(1), 1.0)[0][0])


def _offsets(
    answers: np.ndarray, groups: Groups, targets: np.ndarray, observed: np.ndarray, subjects: np.ndarray
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the offsets of every level of every grouping, 0 where the data do not carry one."""
    columns = [
        _of_output(LINKS["binary"].scores(answers[:, place]), groups, targets[:, place], observed, subjects)
        for place in range(answers.shape[1])
    ]
    return {
        name: {level: tuple(column.get((name, level), 0.0) for column in columns) for level in _levels(levels)}
        for name, levels in groups.items()
    }


def _of_output(
    log_odds: np.ndarray, groups: Groups, truth: np.ndarray, observed: np.ndarray, subjects: np.ndarray
) -> dict[tuple[str, str], float]:
    rows = np.flatnonzero(observed)
    happened, known = (truth[rows] > 0.5).astype(np.float64), subjects[rows]
    levels = [level for level in _members(groups, rows) if _carries(level.members, happened, known)]
    if not levels:
        return {}
    design = np.stack([level.members for level in levels], axis=1).astype(np.float64)
    weight = len(np.unique(known)) / len(rows)
    names = [level.grouping for level in levels]
    offsets = _empirical_bayes(design, names, log_odds[rows], happened, weight)
    return {(level.grouping, level.name): float(one) for level, one in zip(levels, offsets, strict=True)}


def _levels(levels: Sequence[str | None]) -> list[str]:
    return sorted({level for level in levels if level is not None})


def _members(groups: Groups, rows: np.ndarray) -> list[_Level]:
    found = []
    for grouping, levels in groups.items():
        of_rows = np.array(levels, dtype=object)[rows]
        found += [_Level(grouping, name, of_rows == name) for name in _levels(of_rows.tolist())]
    return found


def _carries(members: np.ndarray, happened: np.ndarray, subjects: np.ndarray) -> bool:
    """Return whether a group has enough subjects with the outcome, and without."""
    return all(len(np.unique(subjects[members & (happened == outcome)])) >= MIN_SUBJECTS for outcome in (0.0, 1.0))


def _empirical_bayes(
    design: np.ndarray, groupings: Sequence[str], log_odds: np.ndarray, happened: np.ndarray, weight: float
) -> Float[np.ndarray, " level"]:
    """Return the offsets at the most likely standard deviation of each grouping's prior."""
    deviations = dict.fromkeys(groupings, 0.0)
    best, offsets = _evidence(design, groupings, deviations, log_odds, happened, weight)
    for _ in range(SWEEPS):
        for name in deviations:
            for deviation in DEVIATIONS:
                tried = deviations | {name: deviation}
                evidence, mode = _evidence(design, groupings, tried, log_odds, happened, weight)
                if evidence > best + TOLERANCE:
                    best, offsets, deviations = evidence, mode, tried
    return offsets


def _evidence(
    design: np.ndarray,
    groupings: Sequence[str],
    deviations: Mapping[str, float],
    log_odds: np.ndarray,
    happened: np.ndarray,
    weight: float,
) -> tuple[float, Float[np.ndarray, " level"]]:
    """Return the log marginal likelihood (Laplace) of the deviations, and the most likely offsets."""
    deviation = np.array([deviations[name] for name in groupings])
    free = deviation > 0
    precision = 1 / np.square(deviation[free])
    mode, curvature = _mode(design[:, free], log_odds, happened, precision, weight)
    fitted = log_odds + design[:, free] @ mode
    likelihood = weight * float((happened * fitted - np.logaddexp(0, fitted)).sum())
    occam = 0.5 * (np.log(precision).sum() - np.linalg.slogdet(curvature)[1]) if free.any() else 0.0
    offsets = np.zeros(len(free))
    offsets[free] = mode
    return likelihood - 0.5 * float(precision @ np.square(mode)) + float(occam), offsets


def _mode(
    design: np.ndarray, log_odds: np.ndarray, happened: np.ndarray, precision: np.ndarray, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of greatest posterior density (Newton's method), and the curvature there."""
    found = np.zeros(design.shape[1])
    curvature = np.diag(precision)
    for _ in range(STEPS):
        p = expit(log_odds + design @ found)
        slope = weight * (design.T @ (happened - p)) - precision * found
        curvature = weight * (design.T * (p * (1 - p))) @ design + np.diag(precision)
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0] if len(found) else slope
        found = found + np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        if np.abs(step).max(initial=0.0) < TOLERANCE:
            break
    return found, curvature


def _figures(
    offsets: Mapping[str, Mapping[str, tuple[float, ...]]],
    before: np.ndarray,
    after: np.ndarray,
    groups: Groups,
    targets: np.ndarray,
    observed: np.ndarray,
    subjects: np.ndarray,
) -> list[GroupFigures]:
    rows, scores = np.flatnonzero(observed), LINKS["binary"].scores
    found = []
    for output in range(before.shape[1]):
        happened = (targets[rows, output] > 0.5).astype(np.float64)
        for grouping, name, members in _members(groups, rows):
            own = happened[members]
            found.append(
                GroupFigures(
                    grouping,
                    name,
                    output,
                    samples=int(members.sum()),
                    outcomes=len(np.unique(subjects[rows][members & (happened > 0)])),
                    before=intercept(scores(before[rows][members, output]), own),
                    after=intercept(scores(after[rows][members, output]), own),
                    offset=offsets[grouping][name][output],
                )
            )
    return found
