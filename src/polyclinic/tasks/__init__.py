"""Clinical prediction tasks: definitions, prediction times and labels."""

from polyclinic.tasks.builtin import BUILT_IN
from polyclinic.tasks.code_patterns import Inputs
from polyclinic.tasks.definition import Exclusion, Kind, Prediction, Target
from polyclinic.tasks.errors import TaskError
from polyclinic.tasks.labels import Labels, label
from polyclinic.tasks.leak_remarks import leak_remarks
from polyclinic.tasks.prediction_times import prediction_times
from polyclinic.tasks.targets import (
    Answers,
    Samples,
    Targets,
    as_targets,
    count_answers,
    number_samples,
    renumber_samples,
    samples,
)
from polyclinic.tasks.task import Task
from polyclinic.tasks.values_read import ReadValue, hints

__all__ = [
    "BUILT_IN",
    "Answers",
    "Exclusion",
    "Inputs",
    "Kind",
    "Labels",
    "Prediction",
    "ReadValue",
    "Samples",
    "Target",
    "Targets",
    "Task",
    "TaskError",
    "as_targets",
    "count_answers",
    "hints",
    "label",
    "leak_remarks",
    "number_samples",
    "prediction_times",
    "renumber_samples",
    "samples",
]
