"""Facts of a cohort, and the flow of a task in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from polyclinic.cohort import BIRTH, NOMINAL_ORIGIN, Cohort
from polyclinic.evaluation.report.baseline import outcome_masks
from polyclinic.evaluation.report.flow import CohortFacts, Flow, Part, RejectFacts, SourceFacts
from polyclinic.evaluation.small_counts import FEWEST, hidden_outcome
from polyclinic.tasks import Labels, Targets, Task

NEAR = timedelta(days=31)
"""Nominal times begin within this of their origin."""
WITH_CASES = ("binary", "time_to_event")
"""Kinds of tasks of which a sample has the outcome or not."""
MOST_REASONS = 20
"""Reasons for rejects that are named."""


def cohort_facts(cohort: Cohort) -> CohortFacts:
    """Return the facts of a cohort, from its metadata."""
    summary = cohort.summary()
    codes = summary.per_code.filter(pl.col("code") != BIRTH)
    first, last = codes["first"].min(), codes["last"].max()
    nominal = isinstance(first, datetime) and abs(first - NOMINAL_ORIGIN) < NEAR
    people = cohort.subjects_by_source()
    sources = tuple(
        _source(row["name"], row["reader"], people.get(row["name"], 0), row["events"])
        for row in cohort.sources.iter_rows(named=True)
    ) or tuple(_source(name, "", number) for name, number in summary.sources.items())
    return CohortFacts(
        fingerprint=cohort.fingerprint[:16],
        subjects=summary.subjects,
        events=summary.events,
        sources=sources,
        first=_time(first, nominal),
        last=_time(last, nominal),
        nominal=nominal,
        clock=None if nominal else cohort.clock,
    )


def _source(name: str, reader: str, subjects: int, events: int | None = None) -> SourceFacts:
    few = subjects < FEWEST
    return SourceFacts(name, reader, None if few else subjects, events, few)


def _time(time: object, nominal: bool) -> str | None:
    """Return the month of a time, so that no date of a patient is shown; hours of a nominal one."""
    if not isinstance(time, datetime):
        return None
    return f"{(time - NOMINAL_ORIGIN) / timedelta(hours=1):.0f} h" if nominal else f"{time:%Y-%m}"


def reject_facts(cohort: Cohort) -> tuple[RejectFacts, ...]:
    """Return the rejected records by source and reason, the most first."""
    source = pl.coalesce("origin", "source") if "origin" in cohort.rejects.columns else pl.col("source")
    counted = (
        cohort.rejects.group_by(source.alias("of"), "reason")
        .agg(pl.col("records").sum())
        .sort("records", "of", "reason", descending=[True, False, False])
    )
    return tuple(RejectFacts(*row) for row in counted.head(MOST_REASONS).iter_rows())


def flow_of(cohort: Cohort, labels: Labels, parts: Mapping[str, Part]) -> Flow:
    """Return the flow of a task from the cohort to the parts."""
    return Flow(
        subjects=cohort.subjects.height,
        excluded=dict(labels.excluded),
        eligible_subjects=labels.eligible,
        eligible_samples=labels.frame.height + sum(labels.unknown.values()),
        unlabelled=dict(labels.unknown),
        labelled_subjects=labels.frame["subject_id"].n_unique(),
        labelled_samples=labels.frame.height,
        parts=tuple(parts.values()),
        rejects=reject_facts(cohort),
    )


def part_of(name: str, task: Task, subjects: np.ndarray, target: Targets) -> Part:
    """Count samples of a task."""
    masks = outcome_masks(task.kind, target.values, target.observed, ()) if task.kind in WITH_CASES else {}
    people = [len(np.unique(subjects[mask])) for mask in masks.values()]
    cases = int(next(iter(masks.values())).sum()) if masks else None
    hidden = hidden_outcome(cases, *people) if people else ""
    return Part(
        name=name,
        subjects=len(np.unique(subjects[target.observed])),
        samples=len(subjects),
        labelled=int(target.observed.sum()),
        cases=None if hidden else cases,
        hidden=hidden,
    )
