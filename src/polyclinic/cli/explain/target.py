"""Which answer about whom is explained."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from polyclinic.assess import AssessmentError
from polyclinic.assess.inference import refuse_foreign
from polyclinic.assess.prediction_time import naive, refuse_before_first_event, scheduled_tasks
from polyclinic.cohort import Cohort
from polyclinic.cohort.codes import unit
from polyclinic.evaluation.estimate import percent
from polyclinic.explain.display.labels import UNITS, number
from polyclinic.explain.sample import Output, Sample, output_of, outputs_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.tasks import Task


class Question(NamedTuple):
    """One output of one task, asked of one subject at one time, and what the bundle answers."""

    task: Task
    output: Output
    sample: Sample
    answer: float  # calibrated

    @property
    def unit(self) -> str:
        """The unit of an estimate, if all codes that answer have the same; of a probability none."""
        units = {unit(code) or "" for code in self.task.target.codes} if self.task.kind == "regression" else {""}
        found = units.pop()
        return "" if units else UNITS.get(found, found)

    @property
    def scale(self) -> str:
        """What scores of the networks are in."""
        return self.unit or "units of the answer" if self.task.kind == "regression" else "log-odds"

    def said(self, value: float) -> str:
        """Write an answer."""
        return f"{number(value)} {self.unit}".strip() if self.task.kind == "regression" else percent(value, 1)


class InapplicableTask(NamedTuple):
    """A question that is not asked of the subject, and why."""

    task: str
    reason: str


def question_of(
    bundle: Bundle,
    cohort: Cohort,
    subject: int,
    at: datetime | None = None,
    task: str | None = None,
    output: str | None = None,
) -> Question | InapplicableTask:
    """Find what is to be explained.

    Args:
        bundle: that answers.
        cohort: one that it learnt from, or any other.
        subject: an id of the cohort.
        at: the time to ask at; None: the task's own, the latest of several.
        task: None: the bundle's first that is asked of the subject.
        output: None: the one with the highest answer.

    Raises:
        AssessmentError: the cohort has no such subject, or nothing that the bundle reads; `at` is before the first
            event.
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output.
        ImageError: a picture is missing or damaged.
    """
    tasks = bundle.tasks if task is None else (bundle.task(task),)
    events = cohort.subject(subject)
    if events.is_empty():
        raise AssessmentError(f"no such subject in {cohort.path}: the ids are in its metadata/subjects.parquet")
    at = naive(at)
    if at is not None:
        refuse_before_first_event(events, at)
    asked = scheduled_tasks(events, tasks, at)
    first = next((one for one in asked if one.time is not None), asked[0])
    name = first.task.name
    if first.time is None:
        return InapplicableTask(name, first.refusal)
    choices = outputs_of(bundle, name) if output is None else (output_of(bundle, name, output),)
    sample = Sample.of(bundle, events, subject, first.time, cohort.blob)
    if not sample.present:
        refuse_foreign(bundle.features, cohort)
    answers = bundle.ensemble.answer(sample.arrays)[name].answers[0]
    chosen = max(choices, key=lambda one: float(answers[one.place]))
    return Question(first.task, chosen, sample, float(answers[chosen.place]))
