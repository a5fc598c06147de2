"""The facts of development, which a bundle keeps as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polyclinic.cohort import Cohort, modality
from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.description import DevelopmentFacts
from polyclinic.evaluation.report.flow import Part
from polyclinic.evaluation.sample_size import Labelled, sample_size
from polyclinic.evaluation.small_counts import without_reason
from polyclinic.features.feature_set import FeatureSet
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import Ensemble
from polyclinic.study import Study
from polyclinic.tasks import Samples, Task
from polyclinic.training.description.characteristics import Recorded
from polyclinic.training.description.cohorts import cohort_facts, flow_of, part_of
from polyclinic.training.description.models import candidate_columns, member_facts, task_facts
from polyclinic.training.description.performance import kind_with, out_of_fold_figures

DEVELOPMENT, RESERVED = "Development", "Reserved for conformal sets"


@dataclass(frozen=True)
class FittedModel:
    """A fitted study, with the out-of-fold answers of its development samples."""

    study: Study
    cohort: Cohort
    features: FeatureSet
    ensemble: Ensemble
    development: Samples
    answers: Mapping[str, np.ndarray]  # by task
    recorded: Recorded
    reserved: Samples | None = None

    def description(self) -> dict[str, Any]:
        """Return the facts of each task as JSON values."""
        return {"tasks": {task.name: self._facts(task).to_dict() for task in self.study.tasks}}

    def _facts(self, task: Task) -> DevelopmentFacts:
        target, subjects = self.development.targets[task.name], self.development.frame["subject_id"].to_numpy()
        own, answers = self.ensemble.tasks[task.name], self.answers[task.name]
        kind = kind_with(task, own.thresholds, self.ensemble.bins(task.name))
        ends = self.ensemble.bins(task.name) if task.kind == "time_to_event" else ()
        known = target.observed
        labelled = Labelled(target.values[known], answers[known], subjects[known], task.classes, ends)
        columns = candidate_columns(self.ensemble, len(self.features.codes_read), task)
        parts = self._parts(task)
        figures, hidden = out_of_fold_figures(task, kind, target, answers, subjects), parts[DEVELOPMENT].hidden
        return DevelopmentFacts(
            cohort=cohort_facts(self.cohort),
            task=task_facts(task, own.thresholds),
            flow=flow_of(self.cohort, self.development.labels[task.name], parts),
            baseline=self.recorded.baseline(task, target),
            recorded=self.recorded.shares,
            predictors=self._predictors(),
            members=member_facts(self.study, self.ensemble, task),
            sample_size=sample_size(task.kind, labelled, columns),
            out_of_fold={name: without_reason(own) for name, own in figures.items()} if hidden else figures,
        )

    def _predictors(self) -> dict[str, tuple[str, ...]]:
        """Return the codes that are read, by input; of notes, images and waveforms those recorded."""
        recorded = {
            name: sorted(code for code in self.recorded.shares if modality(code) == name)
            for name in self.features.modalities
        }
        return {
            name: tuple(sorted(featurizer.codes_read) or recorded[name])
            for name, featurizer in self.features.featurizers.items()
        }

    def _parts(self, task: Task) -> dict[str, Part]:
        parts = {DEVELOPMENT: self.development} | ({RESERVED: self.reserved} if self.reserved else {})
        return {
            name: part_of(name, task, own.frame["subject_id"].to_numpy(), own.targets[task.name])
            for name, own in parts.items()
        }


def development_facts(bundle: Bundle, task: str) -> DevelopmentFacts | None:
    """Return the facts that a bundle keeps of a task; None if it has none."""
    plain = (bundle.description or {}).get("tasks", {}).get(task)
    return None if plain is None else DevelopmentFacts.from_dict(plain)


def about_of(bundle: Bundle, other: About | None = None) -> About:
    """Return the statements that a bundle keeps, with those of `other` instead where it has any."""
    return About.model_validate((bundle.description or {}).get("about", {})).updated(other)


def state(bundle: Bundle, about: About | None) -> Bundle:
    """Return the bundle with the statements of people."""
    if about is None:
        return bundle
    description = {**(bundle.description or {}), "about": about.model_dump(exclude_none=True)}
    return replace(bundle, description=description, _digest="")
