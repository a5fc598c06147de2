"""Figures by group: small groups carry a caution, and unknown values are a group of their own."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from polyclinic.evaluation.arrays import Array, Labels, subject_codes, subjects_by_outcome
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.kinds import Kind
from polyclinic.evaluation.kinds.base import SMALL, caution
from polyclinic.evaluation.results import Row

UNKNOWN = "unknown"
NO_MODALITY = "none"
FEW_OUTCOMES = 50
"""Samples with (or without) the outcome below which a group carries a caution."""


def by_group(
    kind: Kind,
    y: Array,
    p: Array,
    groups: Mapping[str, Labels],
    subjects: Labels | None = None,
    bootstrap: Bootstrap | None = None,
    small: int = SMALL,
) -> tuple[Row, ...]:
    """Evaluate each level of each group, None and NaN as the level "unknown"; y and p come from `kind.read`."""
    bootstrap = bootstrap or Bootstrap()
    rows = []
    for table, values in groups.items():
        if len(values) != len(y):
            raise ValueError(f"group {table}: {len(values)} values for {len(y)} samples")
        for level, members in levels_of(values):
            rows.append(_row(kind, y, p, (table, level), members, subjects, bootstrap, small))
    return tuple(rows)


def levels_of(values: Labels) -> list[tuple[str, Bool[Array, " sample"]]]:
    """Return each level of a grouping, in order, with the mask of its samples."""
    levels = np.array([_level(value) for value in values], dtype=object)
    return [(level, levels == level) for level in sorted(set(levels.tolist()), key=_natural)]


def _row(
    kind: Kind,
    y: Array,
    p: Array,
    title: tuple[str, str],
    members: Bool[Array, " sample"],
    subjects: Labels | None,
    bootstrap: Bootstrap,
    small: int,
) -> Row:
    truth, predicted = y[members], p[members]
    units = None if subjects is None else np.asarray(subjects)[members]
    figures = kind.figures(truth, predicted, units, kind.resample(truth, predicted, units, bootstrap))
    count, cases = subject_codes(units, len(truth))[1], kind.cases(truth)
    note = caution(count, len(truth), cases, small, balanced=kind.name == "binary", few=min(small, FEW_OUTCOMES))
    return Row(*title, len(truth), count, cases, figures, note, *subjects_by_outcome(units, kind.is_case(truth)))


def _level(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return UNKNOWN
    return str(value)


def _natural(level: str) -> tuple[bool, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", level)
    return level == UNKNOWN, [(int(part), "") if part.isdigit() else (-1, part) for part in parts if part]


def modality_sets(present: Bool[Array, "sample modality"], names: Sequence[str]) -> list[str]:
    """Return the names of the modalities recorded for each sample, as a grouping.

    >>> modality_sets(np.array([[True, True], [False, True], [False, False]]), ["image", "note"])
    ['image + note', 'note', 'none']
    """
    return [
        " + ".join(name for name, recorded in zip(names, row, strict=True) if recorded) or NO_MODALITY
        for row in present
    ]
