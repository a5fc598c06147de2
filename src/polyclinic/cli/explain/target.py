"""The prediction to explain."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from polyclinic.assess.inference import refuse_foreign
from polyclinic.assess.prediction_time import events_of, on_clock, scheduled_tasks
from polyclinic.cohort import Cohort
from polyclinic.evaluation.estimate import percent
from polyclinic.explain.display.labels import UNITS, number
from polyclinic.explain.sample import Output, Sample, output_of, outputs_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.tasks import Task


class ExplanationTarget(NamedTuple):
    """One output of one task for one sample, and the bundle's prediction."""

    task: Task
    output: Output
    sample: Sample
    answer: float  # calibrated

    @property
    def unit(self) -> str:
        """Unit of an estimate, if its codes share one; empty for a probability."""
        found = self.task.value_unit or ""
        return UNITS.get(found, found)

    @property
    def scale(self) -> str:
        """Unit of the scores of the answer."""
        return self.unit or "units of the answer" if self.task.kind == "regression" else "log-odds"

    def format_answer(self, value: float) -> str:
        """Format a prediction."""
        return f"{number(value)} {self.unit}".strip() if self.task.kind == "regression" else percent(value, 1)


class InapplicableTask(NamedTuple):
    """A task that does not apply to the subject, and why."""

    task: str
    reason: str


def target_of(
    bundle: Bundle,
    cohort: Cohort,
    subject: int,
    at: datetime | None = None,
    task: str | None = None,
    output: str | None = None,
) -> ExplanationTarget | InapplicableTask:
    """Return the prediction to explain.

    Args:
        bundle: that predicts.
        cohort: of the subject.
        subject: an id of the cohort.
        at: prediction time; None: the task's own, the latest of several.
        task: None: the bundle's first that applies to the subject.
        output: None: the one with the highest prediction.

    Raises:
        AssessmentError: the cohort has no such subject, or nothing that the bundle reads; `at` is before the first
            event.
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output.
    """
    tasks = bundle.tasks if task is None else (bundle.task(task),)
    at = on_clock(cohort, at)
    events = events_of(cohort, subject, at)
    scheduled = scheduled_tasks(events, tasks, at)
    first = next((found for found in scheduled if found.time is not None), scheduled[0])
    name = first.task.name
    if first.time is None:
        return InapplicableTask(name, first.refusal)
    choices = outputs_of(bundle, name) if output is None else (output_of(bundle, name, output),)
    sample = Sample.of(bundle, events, subject, first.time, cohort.blob)
    if not sample.present:
        refuse_foreign(bundle.features, cohort)
    answers = bundle.ensemble.answer(sample.arrays)[name].answers[0]
    chosen = max(choices, key=lambda choice: float(answers[choice.place]))
    return ExplanationTarget(first.task, chosen, sample, float(answers[chosen.place]))
