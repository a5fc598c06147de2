"""A study: which tasks are learnt from which inputs by which model, with which seed; frozen, kept with its results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from polyclinic.files import write_text
from polyclinic.modalities import MODALITIES
from polyclinic.tasks import Task

Modality = Annotated[str, AfterValidator(lambda name: _modality(name))]
ClassicalName = Literal["logistic_regression", "decision_tree", "random_forest", "gradient_boosting"]

CLASSICAL: tuple[ClassicalName, ...] = ("logistic_regression", "decision_tree", "random_forest", "gradient_boosting")


class StudyError(ValueError):
    """A study that cannot be run as it is written; says what to change."""


class Network(BaseModel, frozen=True, extra="forbid"):
    """The unified network and how it is fitted; the defaults suit a few hundred to ten thousand patients."""

    encoders: dict[Modality, str] = {}  # by modality; what is not named takes the default of its modality
    encoder_options: dict[Modality, dict[str, Any]] = {}  # what an encoder takes beside, such as live: true
    series_scale: Literal["robust", "quantile"] = "robust"  # how measurements are standardised
    fusion: str = "cross_attention"
    width: int = Field(64, ge=8)  # of the shared latent
    dropout: float = Field(0.3, ge=0, lt=1)
    epochs: int = Field(40, ge=1)
    patience: int = Field(6, ge=1)  # epochs without a better validation loss before stopping
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    modality_dropout: float = Field(0.3, ge=0, lt=1)  # chance that a present modality is hidden in the second pass
    consistency: float = Field(0.5, ge=0)  # weight of the pull of the second pass's prediction to the first's
    unimodal: float = Field(0.3, ge=0)  # weight of what each modality says alone
    balance_classes: bool = False  # positives weigh as much as negatives in the loss
    augment: bool = True  # pictures, when the image encoder reads pixels


class Study(BaseModel, frozen=True, extra="forbid"):
    """Tasks + inputs + model + split + seed.

    A task is named (a built-in one), a path to its YAML, or a `Task`.

    Example:
        >>> study = Study(tasks=["demo_deterioration"], inputs=("structured", "note"))
        >>> study.inputs
        ('structured', 'note')

    Raises:
        StudyError: from `load`, when the file does not hold a study; says which key and the choices.
    """

    tasks: tuple[Annotated[Task, BeforeValidator(lambda value: _task(value))], ...]
    inputs: tuple[Modality, ...] | None = None  # None: those that the cohort has, named when the study is fitted
    network: Network | None = Network()
    classical: tuple[ClassicalName, ...] = (
        "logistic_regression",
        "decision_tree",
        "random_forest",
        "gradient_boosting",
    )
    stack: bool = True  # combine the network with the classical models; otherwise the network speaks alone
    terms: tuple[Literal["word", "char"], ...] = ("word",)  # of notes, for logistic regression
    folds: int = Field(5, ge=2)  # of the cross-fitting within the development subjects
    development: tuple[str, ...] = ("train", "tuning")  # splits learnt from; add held_out to use every subject
    conformal: Literal["train", "tuning"] | None = None  # a split kept for conformal sets, which is not learnt from
    calibration: Literal["platt", "temperature", "isotonic", "none"] = "platt"
    target_sensitivity: float | None = Field(0.8, gt=0, lt=1)  # at the operating threshold of yes-or-no questions
    harm_to_benefit: float | None = Field(None, gt=0)  # of a false alarm to a true one; replaces target_sensitivity
    seed: int = Field(0, ge=0)

    @field_validator("tasks", mode="before")
    @classmethod
    def _one_task_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path | Task | dict) else value

    @model_validator(mode="before")
    @classmethod
    def _one_rule_replaces_the_usual_other(cls, values: Any) -> Any:
        weighed = isinstance(values, dict) and values.get("harm_to_benefit") is not None
        return {"target_sensitivity": None} | values if weighed else values

    @model_validator(mode="after")
    def _is_answerable(self) -> Study:
        names = [task.name for task in self.tasks]
        if not names:
            raise ValueError("a study needs at least one task")
        if len(set(names)) < len(names):
            raise ValueError("two tasks of a study share a name: rename one")
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise ValueError("inputs must name each modality once, and at least one")
        if self.network is None and not self.classical:
            raise ValueError("a study needs a network or at least one classical model")
        if not self.learnt_from:
            raise ValueError(f"conformal reserves {self.conformal}, and no other split is left to learn from: add one")
        if (self.target_sensitivity is None) == (self.harm_to_benefit is None):
            raise ValueError("the operating threshold stands on target_sensitivity or on harm_to_benefit: give one")
        timed = [task.name for task in self.tasks if task.kind == "time_to_event"]
        if self.network is None and timed:
            raise ValueError(f"only a network answers time to event: give the study one, or leave out {timed[0]}")
        return self

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The inputs; all modalities while none are named."""
        return tuple(MODALITIES) if self.inputs is None else self.inputs

    @property
    def learnt_from(self) -> tuple[str, ...]:
        """The splits of `development` that are not kept for conformal sets."""
        return tuple(split for split in self.development if split != self.conformal)

    @property
    def operating_rule(self) -> str:
        """Say which threshold of a yes-or-no question is the operating one."""
        if self.harm_to_benefit is not None:
            weighed = f"the harm of a false alarm being {self.harm_to_benefit:g} times the benefit of a true one"
            return f"the threshold that did the most good in development, {weighed}"
        found = f"at least {100 * (self.target_sensitivity or 0):g} % of those with the outcome"
        return f"the highest threshold that found {found} in development"

    @classmethod
    def load(cls, path: Path | str) -> Study:
        """Read a study from YAML."""
        path = Path(path)
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as problem:
            raise StudyError(f"{path} cannot be read: give the path of a study's YAML, in UTF-8") from problem
        except yaml.YAMLError as problem:
            raise StudyError(f"{path}: not YAML: {problem}") from problem
        except ValidationError as problem:
            faults = (f"{'.'.join(map(str, fault['loc'])) or 'study'}: {fault['msg']}" for fault in problem.errors())
            raise StudyError(f"{path}: {'; '.join(faults)}") from problem

    def save(self, path: Path) -> None:
        """Write the study as YAML that `load` reads back equal."""
        write_text(path, self.to_yaml())

    def to_yaml(self) -> str:
        """Write the study as YAML; tasks are written out, so that a later change of a built-in one changes nothing."""
        plain = self.model_dump(mode="json")
        plain["tasks"] = [task.model_dump(mode="json", exclude_unset=True) for task in self.tasks]
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _modality(name: str) -> str:
    if name not in MODALITIES:
        raise ValueError(f"unknown modality {name!r}: choose from {', '.join(MODALITIES)}")
    return name


def _task(value: Any) -> Any:
    return Task.load(value) if isinstance(value, str | Path) else value
