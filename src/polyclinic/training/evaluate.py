"""Measures a bundle on subjects it has not learnt from: every task, every member, every subset of the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.evaluation import (
    Binary,
    Bootstrap,
    Comparison,
    Evaluation,
    Kind,
    Multiclass,
    Multilabel,
    Regression,
    TimeToEvent,
    age_bands,
    by_subset,
    compare,
    modality_sets,
)
from polyclinic.evaluation import evaluate as measure
from polyclinic.evaluation.card import Card
from polyclinic.features import Arrays
from polyclinic.models import subsets
from polyclinic.models.bundle import Bundle
from polyclinic.models.ensemble import TaskEnsemble
from polyclinic.models.predictions import with_inputs
from polyclinic.progress import SILENT, Progress
from polyclinic.tasks import Targets, Task, samples
from polyclinic.training.study import StudyError

UNIFIED = "unified"
"""The name of the whole bundle among its members."""
SYNTHETIC = "demo"
"""Prefix of the tasks of the synthetic cohort."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one task, and the predictions that it rests on."""

    task: Task
    evaluation: Evaluation
    comparison: Comparison  # of the whole bundle with each of its members
    subsets: Comparison | None  # of the bundle with itself when only some inputs are given
    card: Card
    answers: np.ndarray  # [sample, output]


@dataclass(frozen=True)
class Report:
    """What was measured of a bundle on a cohort."""

    samples: pl.DataFrame  # with the `inputs` that each has
    tasks: dict[str, Measured]
    learnt: int = 0  # subjects of the same cohort that the bundle learnt from, so that figures on them flatter

    def __getitem__(self, task: str) -> Measured:
        """Give what was measured of a task."""
        return self.tasks[task]

    @property
    def cards(self) -> list[Card]:
        """The model card of each task."""
        return [measured.card for measured in self.tasks.values()]


def evaluate(
    bundle: Bundle,
    cohort: Cohort,
    split: str | None = "held_out",
    *,
    subjects: Sequence[int] | None = None,
    tasks: Sequence[str] | None = None,
    by: Sequence[str] = (),
    every_subset: bool = True,
    resamples: int = 2000,
    progress: Progress = SILENT,
) -> Report:
    """Measure a bundle on the subjects of a split, on given `subjects`, or on all (both None).

    Only `tasks` are measured, where given: for a cohort that answers some. Figures come by sex, age band, recorded
    inputs, and each code of `by`: its latest text, the third of its numbers, or whether it is recorded.

    Raises:
        StudyError: nobody there has an answer to a task, or the split or a code of `by` is not one.
    """
    wanted = bundle.tasks if tasks is None else tuple(bundle.task(name) for name in tasks)
    sampled = samples(cohort, wanted)
    rows = sampled.rows(_subjects(cohort, split, subjects, sampled.frame))
    learnt = _learnt(bundle, cohort, sampled.frame[rows]["subject_id"])
    frame = sampled.frame[rows].drop("sample").with_row_index("sample")
    targets = {name: Targets(*(part[rows] for part in target)) for name, target in sampled.targets.items()}
    unanswered = [name for name, target in targets.items() if not target.observed.any()]
    if unanswered:
        raise StudyError(
            f"nobody in {split or 'the cohort'} has an answer to {', '.join(unanswered)}: choose another split"
        )
    arrays = bundle.arrays(cohort, frame, progress)
    said = bundle.ensemble.answer(arrays, every_member=True)
    partial = answers_by_subset(bundle, arrays, progress) if every_subset and len(bundle.inputs) > 1 else {}
    sheet = Sheet(
        cohort=cohort,
        frame=frame,
        groups=subgroups(cohort, frame, arrays, by),
        inputs=bundle.inputs,
        origin=bundle.origin,
        where=(split or "all subjects given")
        + (f" ({learnt} of them learnt from, so the figures flatter)" if learnt else ""),
        bootstrap=Bootstrap(resamples),
    )
    measured: dict[str, Measured] = {}
    with progress.task("measuring", total=len(wanted)) as advance:
        for task in wanted:
            kind = kind_of(task, bundle.ensemble.tasks[task.name], bundle.ensemble.bins(task.name))
            members = {name: opinion.answers for name, opinion in said[task.name].members.items()}
            given = {subset: answers[task.name] for subset, answers in partial.items()}
            measured[task.name] = sheet.measure(task, kind, targets[task.name], said[task.name].answers, members, given)
            advance(1)
    return Report(with_inputs(frame, arrays), measured, learnt)


@dataclass(frozen=True)
class Sheet:
    """Who is measured, and what is told of it beside the figures."""

    cohort: Cohort
    frame: pl.DataFrame
    groups: Mapping[str, Sequence[object]]
    inputs: tuple[str, ...]
    origin: Mapping[str, Any]
    where: str
    bootstrap: Bootstrap

    def measure(
        self,
        task: Task,
        kind: Kind,
        target: Targets,
        answers: np.ndarray,
        members: Mapping[str, np.ndarray],
        given: Mapping[tuple[str, ...], np.ndarray],
    ) -> Measured:
        """Measure one task: the whole, its members, and what it says when given only some inputs."""
        truth = target.values[:, 0] if task.kind in ("binary", "regression") else target.values
        truth = truth.argmax(axis=1) if task.kind == "multiclass" else truth
        common: dict[str, Any] = {
            "subjects": self.frame["subject_id"].to_numpy(),
            "observed": target.observed,
            "bootstrap": self.bootstrap,
        }
        whole = as_measured(task, kind, answers)
        evaluation = measure(kind, truth, whole, groups=self.groups, **common)
        joint = {name: as_measured(task, kind, said) for name, said in members.items() if ":" not in name}
        comparison = compare(kind, truth, {UNIFIED: whole} | joint, UNIFIED, **common)
        partial: dict[Any, np.ndarray] = {subset: as_measured(task, kind, said) for subset, said in given.items()}
        found = by_subset(kind, truth, partial, **common) if partial else None
        card = self._card(task, evaluation, comparison, found)
        return Measured(task, evaluation, comparison, found, card, answers)

    def _card(self, task: Task, evaluation: Evaluation, comparison: Comparison, found: Comparison | None) -> Card:
        summary, origin = self.cohort.summary(), self.origin
        return Card(
            model=UNIFIED,
            task=task.name,
            question=task.describe(),
            evaluation=evaluation,
            inputs=self.inputs,
            data={
                "subjects in the cohort": summary.subjects,
                "events": summary.events,
                "developed on": f"{origin['development_subjects']} subjects",
                "measured on": f"{self.where}, {evaluation.subjects} subjects",
            },
            splits=dict(summary.splits),
            comparison=comparison,
            subsets=found,
            provenance={
                "Polyclinic": str(origin["polyclinic"]),
                "seed": str(origin["seed"]),
                "development cohort": str(origin["cohort"])[:16],
                "measured cohort": self.cohort.fingerprint[:16],
            },
            synthetic=task.name.startswith(SYNTHETIC),
        )


def as_measured(task: Task, kind: Kind, answers: np.ndarray) -> np.ndarray:
    """Give answers as the evaluation reads them: for time to event the chances to be event-free, or one risk."""
    if isinstance(kind, TimeToEvent):
        return 1 - answers if kind.times else answers.mean(axis=1)
    return answers[:, 0] if task.kind in ("binary", "regression") else answers


def kind_of(task: Task, ensemble: TaskEnsemble, bins: Sequence[float] = ()) -> Kind:
    """Give how a task is measured, at the operating thresholds that were chosen in development."""
    match task.kind:
        case "binary":
            return Binary(ensemble.thresholds[0] if ensemble.thresholds else None)
        case "multiclass":
            return Multiclass(task.classes)
        case "multilabel":
            return Multilabel(task.classes, ensemble.thresholds or None)
        case "regression":
            return Regression()
        case _:
            middle = bins[len(bins) // 2 - 1] if len(bins) > 1 else bins[0]
            return TimeToEvent(tuple(bins), (middle,))


def subgroups(
    cohort: Cohort, frame: pl.DataFrame, arrays: Mapping[str, Arrays], codes: Sequence[str] = ()
) -> dict[str, Sequence[object]]:
    """Give for each sample its sex, age band, recorded inputs, and the value of each code."""
    names = list(arrays)
    present = np.stack([np.asarray(arrays[name]["present"]) for name in names], axis=1)
    groups: dict[str, Sequence[object]] = {}
    sex = _latest(cohort, frame, "DEMOGRAPHIC//sex")
    if any(sex):
        groups["sex"] = sex
    ages = _latest(cohort, frame, "DEMOGRAPHIC//age//*", pl.col("numeric_value"))
    if any(age is not None for age in ages):
        groups["age"] = age_bands(ages)
    if len(names) > 1:
        groups["recorded inputs"] = modality_sets(present, names)
    return groups | {code: _levels(cohort, frame, code) for code in codes}


def _levels(cohort: Cohort, frame: pl.DataFrame, code: str) -> list[str]:
    """Give each sample's latest text of a code, the third that its latest number lies in, or that there is none."""
    known = cohort.summary().per_code["code"]
    if code not in known:
        raise StudyError(f"no event of the cohort has the code {code!r}: see `polyclinic summary --codes 1000`")
    numbers = pl.Series(_latest(cohort, frame, code, pl.col("numeric_value")), dtype=pl.Float64())
    if numbers.n_unique() <= MOST_LEVELS:
        return [value or "not recorded" for value in _latest(cohort, frame, code)]
    low, high = (float(numbers.quantile(share) or 0) for share in (1 / 3, 2 / 3))
    bands = (f"up to {low:g}", f"{low:g} to {high:g}", f"above {high:g}")
    return ["not recorded" if v is None else bands[(v > low) + (v > high)] for v in numbers.to_list()]


MOST_LEVELS = 6
"""Distinct numbers of a code beyond which its thirds are the groups."""
TEXT = pl.coalesce("text_value", pl.col("numeric_value").cast(pl.String), pl.lit("recorded"))
"""What an event says, as text."""


def _latest(cohort: Cohort, frame: pl.DataFrame, pattern: str, value: pl.Expr = TEXT) -> list[Any]:
    """Give the latest value of a code known at each prediction time; None where there is none."""
    start = pattern.removesuffix("*")
    match = pl.col("code").str.starts_with(start) if pattern.endswith("*") else pl.col("code") == pattern
    asked = frame.lazy().select("sample", "subject_id", "prediction_time")
    known = (
        cohort.events()
        .filter(match)
        .select("subject_id", "time", value=value)
        .join(asked, on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
        .sort("sample", "time", nulls_last=False, maintain_order=True)
        .group_by("sample")
        .agg(pl.col("value").last())
        .collect()
    )
    return frame.select("sample").join(known, on="sample", how="left", maintain_order="left")["value"].to_list()


def answers_by_subset(
    bundle: Bundle, arrays: Mapping[str, Arrays], progress: Progress
) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
    """Answer from each subset of the inputs, as if the others had not been recorded."""
    chosen = list(subsets(bundle.inputs))
    found: dict[tuple[str, ...], dict[str, np.ndarray]] = {}
    with progress.task("subsets of inputs", total=len(chosen)) as advance:
        for members in chosen:
            said = bundle.ensemble.answer(keeping(arrays, members))
            found[members] = {task: answers.answers for task, answers in said.items()}
            advance(1)
    return found


def keeping(arrays: Mapping[str, Arrays], members: Sequence[str]) -> dict[str, Arrays]:
    """Give the arrays as if only the modalities `members` had been recorded."""
    return {
        modality: one if modality in members else one | {"present": np.zeros(len(one["present"]), dtype=bool)}
        for modality, one in arrays.items()
    }


def _subjects(cohort: Cohort, split: str | None, subjects: Sequence[int] | None, frame: pl.DataFrame) -> Sequence[int]:
    if subjects is not None:
        return subjects
    if split is None:
        return frame["subject_id"].unique().to_list()
    if split not in SPLITS:
        raise StudyError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
    return cohort.subjects_in(split)


def _learnt(bundle: Bundle, cohort: Cohort, measured: pl.Series) -> int:
    """Count the subjects of the very cohort that the bundle learnt from, among those measured."""
    if cohort.fingerprint != bundle.origin["cohort"]:
        return 0
    learnt = {subject for split in bundle.origin["development"] for subject in cohort.subjects_in(split)}
    return len(learnt & set(measured.to_list()))
