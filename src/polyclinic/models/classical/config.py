"""Configuration of a classical model."""

from typing import Any, Literal

from pydantic import Field, model_validator

from polyclinic.models.network.config import Frozen
from polyclinic.study import ClassicalName

ClassicalKind = Literal["binary", "multiclass", "multilabel", "regression"]
Options = dict[str, Any]
"""Hyper-parameters, as JSON values."""
LINEAR_MODELS: frozenset[ClassicalName] = frozenset({"logistic_regression"})
"""The models that need imputed and scaled numbers. For regression, logistic_regression means ridge regression."""


class ClassicalConfig(Frozen):
    """One classical model of one task.

    Time-to-event tasks are not supported: use a binary task with a horizon instead.
    """

    name: ClassicalName
    kind: ClassicalKind
    outputs: int = Field(1, ge=1)  # equal to those of the task's head
    balanced: bool = False  # weight classes equally
    inner_folds: int = Field(0, ge=0)  # of the hyper-parameter search; 0: use the defaults
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check_folds(self) -> "ClassicalConfig":
        if self.inner_folds == 1:
            raise ValueError("inner_folds must be 0 (no search) or at least 2")
        return self
