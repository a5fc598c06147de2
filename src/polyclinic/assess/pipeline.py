"""Bundle + subject + time → assessment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from polyclinic.assess.abstention import abstentions_of
from polyclinic.assess.assessment import Abstention, Answer, Assessment, Fingerprints, Record
from polyclinic.assess.bundle_performance import Measurements
from polyclinic.assess.inference import InferenceInput, refuse_foreign
from polyclinic.assess.prediction_time import ScheduledTask, events_of, on_clock, scheduled_tasks
from polyclinic.assess.uncertainty import output_estimates, sets_of
from polyclinic.cohort import Cohort
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.development_reference import Reference
from polyclinic.tasks.prediction_times import check_clock

if TYPE_CHECKING:
    from polyclinic.explain.attribution import Attribution
    from polyclinic.explain.sample import Sample

NO_REFERENCE = (
    "The bundle has no development reference: no conformal sets, no out-of-fold figures, no measure of how usual the "
    "record is, and intervals span the networks alone. Train it again."
)
NOT_MEASURED = (
    "The bundle was not measured on held-out subjects: figures at thresholds come from the development subjects, and "
    "the cost of missing inputs is not known."
)


def assess(
    bundle: Bundle, cohort: Cohort, subject: int, at: datetime | None = None, explain: bool = True
) -> Assessment:
    """Assess one subject by every task of a bundle.

    Args:
        bundle: may be used for any number of subjects.
        cohort: the training cohort, or any other.
        subject: its id in the cohort.
        at: prediction time; None: each task's own (the latest, if there are several). Later events are not read. A time
            with a zone is converted to UTC; those of a cohort have none.
        explain: add an explanation of each answer, which takes longer than the answer.

    Returns:
        The assessment. Answers that cannot be given, or should not be acted on, abstain with the reason.

    Raises:
        AssessmentError: the cohort has no such subject, or no code that the bundle reads; `at` is before the first
            event.
    """
    return assess_with_evidence(bundle, cohort, subject, at, explain).assessment


class Evidenced(NamedTuple):
    """An assessment, and what a page shows beside it."""

    assessment: Assessment
    attributions: dict[str, Attribution]  # by task, complete; the assessment keeps the largest scores
    samples: dict[datetime, Sample]  # by prediction time


def assess_with_evidence(
    bundle: Bundle, cohort: Cohort, subject: int, at: datetime | None = None, explain: bool = True
) -> Evidenced:
    """Assess as `assess` does; return also the samples and attributions, so that a page need not compute them again."""
    at = on_clock(cohort, at)
    events = events_of(cohort, subject, at)
    for task in bundle.tasks:
        check_clock(cohort, task)
    scheduled = scheduled_tasks(events, bundle.tasks, at)
    times = sorted({row.time for row in scheduled if row.time is not None})
    inference_inputs = {time: InferenceInput.of(bundle, cohort, events, subject, time) for time in times}
    samples = {time: inference_input.sample for time, inference_input in inference_inputs.items()}
    if not any(sample.present for sample in samples.values()):
        refuse_foreign(bundle.features, cohort)
    records = {time: inference_input.record(bundle.reference) for time, inference_input in inference_inputs.items()}
    measurements = Measurements.beside(bundle.folder)
    answers = [_answer(bundle, row, inference_inputs, records, measurements) for row in scheduled]
    attributions: dict[str, Attribution] = {}
    if explain:
        # Imported here because it loads much that answers do not need.
        from polyclinic.assess.explain_answers import explained

        records, answers, attributions = explained(bundle, cohort, samples, records, answers)
    assessment = Assessment(
        subject_id=subject,
        at=at,
        records=tuple(records.values()),
        answers=tuple(answers),
        lacks=_lacks(bundle.reference, measurements),
        fingerprints=Fingerprints(bundle=bundle.digest, cohort=cohort.fingerprint, polyclinic=version("polyclinic")),
    )
    return Evidenced(assessment, attributions, samples)


def _answer(
    bundle: Bundle,
    scheduled: ScheduledTask,
    inference_inputs: Mapping[datetime, InferenceInput],
    records: Mapping[datetime, Record],
    measurements: Measurements,
) -> Answer:
    task = scheduled.task
    about = {"task": task.name, "kind": task.kind, "question": task.describe(), "unit": task.value_unit}
    if scheduled.time is None:
        text = f"The question is not asked of this patient: {scheduled.refusal}."
        return Answer(**about, prediction_time=None, abstentions=(Abstention(reason="not_asked", text=text),))
    record, predictions = records[scheduled.time], inference_inputs[scheduled.time].predictions
    cost = measurements.cost(task, bundle.inputs, record.present)
    # Without any input the model predicts the prior, which is no answer about this patient.
    ensemble, reference = bundle.ensemble, bundle.reference
    outputs = output_estimates(ensemble, reference, task, predictions, measurements) if record.present else ()
    sets = sets_of(ensemble.tasks[task.name], reference, task, outputs) if outputs else ()
    return Answer(
        **about,
        prediction_time=scheduled.time,
        outputs=outputs,
        sets=sets,
        cost=cost,
        abstentions=abstentions_of(record, cost, measurements.no_better_than_chance(cost), outputs, sets),
    )


def _lacks(reference: Reference | None, measurements: Measurements) -> tuple[str, ...]:
    found = [NO_REFERENCE] if reference is None else []
    return (*found, NOT_MEASURED) if not measurements.metrics else tuple(found)
