"""What a card says of data and model beside the figures: facts that the program computes, and people's statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.record import Record
from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.baseline import Baseline
from polyclinic.evaluation.report.flow import CohortFacts, Flow
from polyclinic.evaluation.sample_size import SampleSize


@dataclass(frozen=True)
class TaskFacts(Record):
    """The definition of a task, in words."""

    eligibility: str  # prediction time and exclusions
    outcome: str  # how it is ascertained
    output: str  # what an answer is
    output_type: str


@dataclass(frozen=True)
class MemberFacts(Record):
    """A member of the combined model; `weights` by the inputs that a sample has, such as `structured + note`."""

    name: str
    weights: dict[str, float]
    hyperparameters: dict[str, Any]


@dataclass(frozen=True)
class DevelopmentFacts(Record):
    """Of the development samples of one task; kept in the bundle."""

    cohort: CohortFacts
    task: TaskFacts
    flow: Flow
    baseline: Baseline
    recorded: dict[str, float | None]  # by code: share of the samples that have it; None: fewer than 5 samples
    predictors: dict[str, tuple[str, ...]]  # codes that are read, by modality
    members: tuple[MemberFacts, ...]
    sample_size: SampleSize
    out_of_fold: dict[str, Estimate]


@dataclass(frozen=True)
class MeasuredFacts(Record):
    """Of the samples that one task was measured on."""

    cohort: CohortFacts
    same_cohort: bool  # as that of development
    flow: Flow
    baseline: Baseline
    recorded: dict[str, float | None]
    how: str  # such as `held_out`, `5-fold cross-validation`
    unlike_development: float | None = None  # share of the samples with any input; None: not measured


@dataclass(frozen=True)
class Description(Record):
    """Facts of one task, and statements about the model."""

    development: DevelopmentFacts | None = None
    measured: MeasuredFacts | None = None
    about: About = field(default_factory=About)

    @property
    def external(self) -> bool:
        """Whether the figures come from another cohort than that of development."""
        return self.measured is not None and not self.measured.same_cohort


def in_columns(named: Mapping[str, object]) -> str:
    """Format names and values as one line.

    >>> in_columns({"epochs": 40, "fusion": "concat"})
    'epochs 40, fusion concat'
    """
    return ", ".join(f"{name} {value}" for name, value in named.items())
