"""The configuration of a study: tasks, inputs, models, splits and seed; frozen, and stored with its results."""

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


class StudyError(ValueError):
    """A study is invalid; the message says what to change."""


class Network(BaseModel, frozen=True, extra="forbid"):
    """The unified network and its training; the defaults suit a few hundred to ten thousand patients."""

    encoders: dict[Modality, str] = {}  # by modality; others use their default
    encoder_options: dict[Modality, dict[str, Any]] = {}  # further options of encoders, such as live: true
    series_scale: Literal["robust", "quantile"] = "robust"  # standardisation of measurements
    fusion: str = "cross_attention"
    width: int = Field(64, ge=8)  # of the shared latent
    dropout: float = Field(0.3, ge=0, lt=1)
    epochs: int = Field(40, ge=1)
    patience: int = Field(6, ge=1)  # epochs without improvement of the validation loss before stopping
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    modality_dropout: float = Field(0.3, ge=0, lt=1)  # probability of masking a present modality in the second pass
    consistency: float = Field(0.5, ge=0)  # weight of the consistency loss between the passes
    unimodal: float = Field(0.3, ge=0)  # weight of the unimodal losses
    balance_classes: bool = False  # weight positives and negatives equally in the loss
    augment: bool = True  # images, if the image encoder reads pixels


class Study(BaseModel, frozen=True, extra="forbid"):
    """Tasks + inputs + model + split + seed.

    A task is the name of a built-in task, the path of its YAML, or a `Task`.

    Example:
        >>> study = Study(tasks=["demo_deterioration"], inputs=("structured", "note"))
        >>> study.inputs
        ('structured', 'note')

    Raises:
        StudyError: from `load`, if the file is not a valid study; the message names the key and the choices.
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
    stack: bool = True  # combine the network with the classical models; otherwise use the network only
    terms: tuple[Literal["word", "char"], ...] = ("word",)  # of the notes' TF-IDF, for logistic regression
    folds: int = Field(5, ge=2)  # of cross-fitting within the development subjects
    development: tuple[str, ...] = ("train", "tuning")  # splits used for fitting; add held_out to use every subject
    conformal: Literal["train", "tuning"] | None = None  # a split reserved for conformal sets, not used for fitting
    calibration: Literal["platt", "temperature", "isotonic", "none"] = "platt"
    target_sensitivity: float | None = Field(0.8, gt=0, lt=1)  # at the operating threshold of binary tasks
    harm_to_benefit: float | None = Field(None, gt=0)  # of false to true positives; replaces target_sensitivity
    seed: int = Field(0, ge=0)

    @field_validator("tasks", mode="before")
    @classmethod
    def _wrap_single_task(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path | Task | dict) else value

    @model_validator(mode="before")
    @classmethod
    def _harm_replaces_sensitivity(cls, values: Any) -> Any:
        weighted = isinstance(values, dict) and values.get("harm_to_benefit") is not None
        return {"target_sensitivity": None} | values if weighted else values

    @model_validator(mode="after")
    def _check(self) -> Study:
        names = [task.name for task in self.tasks]
        if not names:
            raise ValueError("a study needs at least one task")
        if len(set(names)) < len(names):
            raise ValueError("two tasks of a study share a name: rename one")
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise ValueError("inputs must name each modality once, and at least one")
        if self.network is None and not self.classical:
            raise ValueError("a study needs a network or at least one classical model")
        if not self.fitting_splits:
            raise ValueError(f"conformal reserves {self.conformal}, and no other split is left for fitting: add one")
        if (self.target_sensitivity is None) == (self.harm_to_benefit is None):
            raise ValueError("the operating threshold is defined by target_sensitivity or by harm_to_benefit: give one")
        timed = [task.name for task in self.tasks if task.kind == "time_to_event"]
        if self.network is None and timed:
            raise ValueError(f"only a network predicts time to event: add a network, or remove {timed[0]}")
        return self

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The inputs; all modalities if none are named."""
        return tuple(MODALITIES) if self.inputs is None else self.inputs

    @property
    def fitting_splits(self) -> tuple[str, ...]:
        """The splits of `development` that are not reserved for conformal sets."""
        return tuple(split for split in self.development if split != self.conformal)

    @property
    def operating_rule(self) -> str:
        """Describe the choice of the operating threshold of binary tasks."""
        if self.harm_to_benefit is not None:
            ratio = f"a harm-to-benefit ratio of {self.harm_to_benefit:g}"
            return f"the threshold of maximum net benefit in development, at {ratio}"
        return f"the highest threshold of at least {self.target_sensitivity or 0:.0%} sensitivity in development"

    @classmethod
    def load(cls, path: Path | str) -> Study:
        """Load a study from YAML."""
        path = Path(path)
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{path} cannot be read: give the path of a study's YAML, in UTF-8") from error
        except yaml.YAMLError as error:
            raise StudyError(f"{path}: not YAML: {error}") from error
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, fault['loc'])) or 'study'}: {fault['msg']}" for fault in error.errors())
            raise StudyError(f"{path}: {'; '.join(faults)}") from error

    def save(self, path: Path) -> None:
        """Write the study as YAML; `load` is the inverse."""
        write_text(path, self.to_yaml())

    def to_yaml(self) -> str:
        """Format the study as YAML, with full tasks, so that later changes to built-in tasks have no effect."""
        plain = self.model_dump(mode="json")
        plain["tasks"] = [task.model_dump(mode="json", exclude_unset=True) for task in self.tasks]
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _modality(name: str) -> str:
    if name not in MODALITIES:
        raise ValueError(f"unknown modality {name!r}: choose from {', '.join(MODALITIES)}")
    return name


def _task(value: Any) -> Any:
    return Task.load(value) if isinstance(value, str | Path) else value
