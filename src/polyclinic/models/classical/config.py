"""What rebuilds a classical model, short of its fitted state."""

from typing import Literal

from pydantic import Field, model_validator

from polyclinic.models.network.config import Frozen

ClassicalName = Literal["logistic_regression", "decision_tree", "random_forest", "gradient_boosting"]
ClassicalKind = Literal["binary", "multiclass", "multilabel", "regression"]


class ClassicalConfig(Frozen):
    """One classical model of one task.

    A time-to-event task has no classical model here: ask the binary task "by the horizon" of it instead.
    """

    name: ClassicalName
    kind: ClassicalKind
    outputs: int = Field(1, ge=1)  # as of the task's head
    balanced: bool = False  # classes weigh alike in the fit, however rare
    inner_folds: int = Field(0, ge=0)  # of the cross-validation that chooses hyper-parameters; 0: the defaults
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _can_be_fitted(self) -> "ClassicalConfig":
        if self.inner_folds == 1:
            raise ValueError("inner_folds must be 0 (no search) or at least 2")
        return self
