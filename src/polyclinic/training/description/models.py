"""A task in words, and the members of its ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np

from polyclinic.evaluation.report.description import MemberFacts, TaskFacts
from polyclinic.models.classical import ClassicalModel
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble
from polyclinic.study import Study
from polyclinic.tasks import Task
from polyclinic.tasks.code_patterns import in_words
from polyclinic.tasks.durations import duration_in_words

OUTPUTS = {
    "binary": ("The probability of the outcome, from 0 to 1", "prediction (probability)"),
    "multiclass": ("The probability of each class, from 0 to 1, adding up to 1", "classification (probabilities)"),
    "multilabel": ("The probability of each label, from 0 to 1", "classification (probabilities)"),
    "regression": ("A number", "prediction (number)"),
    "time_to_event": ("The risk of the event by each of several times, from 0 to 1", "prediction (risk by time)"),
}
WHEN = {
    "after": "Read from events after the prediction time",
    "any": "Read from events at any time",
}


def task_facts(task: Task, thresholds: tuple[float, ...]) -> TaskFacts:
    """Describe a task."""
    output, output_type = OUTPUTS[task.kind]
    unit = f", in {task.value_unit}" if task.value_unit else ""
    called = ", and a call at the operating threshold" if thresholds else ""
    target, within = task.target, f", within {duration_in_words(task.horizon)}" if task.horizon else ""
    absent = "; absence means no" if target.complete else "; without one the outcome is unknown, never negative"
    negative = f" Negative for {in_words(target.negative)}." if target.negative else ""
    exclusions = "; ".join(exclusion.in_words() for exclusion in task.exclusions) or "none beyond these"
    return TaskFacts(
        eligibility=f"Subjects with an input recorded by the prediction time, {task.prediction.in_words()}. "
        f"Inputs: {task.inputs.in_words()}. Excluded: {exclusions}.",
        outcome=f"Outcome: {target.in_words()}. {WHEN[target.when]}{within}{absent}.{negative}",
        output=f"{output}{unit}{called}.",
        output_type=output_type + (" and classification at a threshold" if thresholds else ""),
    )


def member_facts(study: Study, ensemble: Ensemble, task: Task) -> tuple[MemberFacts, ...]:
    """Return the members of a task with their weights and hyper-parameters."""
    own = ensemble.tasks[task.name]
    stackers = own.combination.stackers if own.combination else {}
    weights = {" + ".join(subset): stacker.weights for subset, stacker in stackers.items()}
    hyper: dict[str, dict[str, Any]] = {}
    if study.network is not None and ensemble.networks:
        hyper[NETWORK] = {"networks": len(ensemble.networks)} | _plain(study.network.model_dump(mode="json"))
    hyper |= {name: _hyperparameters(member.model) for name, member in own.members.items()}
    return tuple(
        MemberFacts(
            name,
            {given: float(by_member[name]) for given, by_member in weights.items() if name in by_member},
            options,
        )
        for name, options in hyper.items()
    )


def _hyperparameters(model: ClassicalModel) -> dict[str, Any]:
    config = model.config.model_dump(include={"balanced", "inner_folds", "seed"})
    return {"columns": len(model.columns)} | _plain(dict(model.options)) | config


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that JSON can hold."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in options.items()
        if isinstance(value, str | int | float | bool | np.generic) or value is None
    }


def candidate_columns(ensemble: Ensemble, features: int, task: Task) -> int:
    """Return the number of candidate predictors: the columns of the widest joint model, or the features."""
    columns = [len(member.model.columns) for member in ensemble.tasks[task.name].members.values()]
    return max(columns, default=features)
