"""The facts of the samples that a bundle is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from polyclinic.cohort import Cohort
from polyclinic.evaluation.report.description import DevelopmentFacts, MeasuredFacts
from polyclinic.evaluation.report.flow import Part
from polyclinic.tasks import Samples, Task
from polyclinic.training.description.characteristics import Recorded
from polyclinic.training.description.cohorts import cohort_facts, flow_of, part_of
from polyclinic.training.description.development import DEVELOPMENT


@dataclass(frozen=True)
class MeasuredSamples:
    """Samples of a cohort."""

    cohort: Cohort
    samples: Samples
    recorded: Recorded
    how: str
    unlike: float | None = None  # share of the samples that are unlike development

    def facts(self, task: Task, development: DevelopmentFacts | None) -> MeasuredFacts:
        """Return the facts of a task; those of the same cohort name what was developed on, too."""
        target = self.samples.targets[task.name]
        name = _measured(self.how)
        own = part_of(name, task, self.samples.frame["subject_id"].to_numpy(), target)
        cohort = cohort_facts(self.cohort)
        same = development is not None and development.cohort.fingerprint == cohort.fingerprint
        before = {part.name: part for part in development.flow.parts} if development is not None and same else {}
        return MeasuredFacts(
            cohort=cohort,
            same_cohort=same,
            flow=flow_of(self.cohort, self.samples.labels[task.name], before | {name: own}),
            baseline=self.recorded.baseline(task, target, development.baseline if development else None),
            recorded=self.recorded.shares,
            how=self.how,
            unlike_development=self.unlike,
        )


def measured_out_of_fold(development: DevelopmentFacts, how: str) -> MeasuredFacts:
    """Return the facts where all development samples were measured by cross-validation."""
    parts: list[Part] = []
    for part in development.flow.parts:
        parts.append(part)
        if part.name == DEVELOPMENT:
            parts.append(replace(part, name=_measured(how)))
    return MeasuredFacts(
        cohort=development.cohort,
        same_cohort=True,
        flow=replace(development.flow, parts=tuple(parts)),
        baseline=development.baseline,
        recorded=development.recorded,
        how=how,
    )


def _measured(how: str) -> str:
    return f"Measured ({how})"
