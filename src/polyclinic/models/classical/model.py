"""Common interface of logistic regression, decision tree, random forest and gradient boosting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.models.classical.config import LINEAR_MODELS, ClassicalConfig, Options
from polyclinic.models.classical.fitted import Estimator
from polyclinic.models.classical.imputation_and_scaling import Block, Preparation
from polyclinic.models.classical.persistence import SavedModel, load_model, save_model
from polyclinic.models.classical.prediction import predict_task
from polyclinic.models.classical.rules import tree_rules


class NotFittedError(RuntimeError):
    """The model was used before it was fitted."""


class ClassicalModel:
    """One task by one classical method, on the matrix of a `Design`.

    Predicts as the network's head of the same kind: binary `[sample, 1]`, multiclass and multilabel one column per
    class or label, regression the estimates. NaN in the matrix means unknown: trees learn a branch for it at each
    split, linear models impute the training median.

    Deterministic for given data, configuration and seed.
    """

    def __init__(self, config: ClassicalConfig, columns: Sequence[str], blocks: Sequence[Block] = ()) -> None:
        self.config = config
        self.columns = tuple(columns)
        self.blocks = tuple(blocks) or (Block("all", len(self.columns)),)
        if sum(block.columns for block in self.blocks) != len(self.columns):
            raise ValueError(f"the blocks must contain each of the {len(self.columns)} columns once")
        self.options: Options = {}
        self._preparation: Preparation | None = None
        self.estimators: tuple[Estimator, ...] = ()  # one for each output, or one for all classes of a multiclass task

    def fit(
        self,
        x: Float[np.ndarray, "sample column"],
        y: Float[np.ndarray, "sample output"],
        observed: Bool[np.ndarray, " sample"],
        subjects: Int[np.ndarray, " sample"] | None = None,
    ) -> ClassicalModel:
        """Fit on the samples with an observed target; classes are one-hot.

        With `config.inner_folds`, hyper-parameters are chosen by cross-validation grouped by subject. A constant label
        gets a constant prediction.
        """
        # scikit-learn, which is slow to import, is not needed to predict.
        from polyclinic.models.classical.estimators import fit_estimator
        from polyclinic.models.classical.from_estimators import arrays_of
        from polyclinic.models.classical.hyperparameters import best_options

        self._check(x)
        if y.shape != (len(x), self.config.outputs):
            raise ValueError(f"targets must be [{len(x)}, {self.config.outputs}], not {list(y.shape)}")
        if not observed.any():
            raise ValueError("no sample has an observed target: there is nothing to fit")
        x, y = x[observed], y[observed]
        subjects = np.arange(len(x)) if subjects is None else subjects[observed]
        if self.config.name in LINEAR_MODELS:
            self._preparation = Preparation.fit(x, self.blocks)
        x = self.prepared(x)
        targets = _targets(self.config, y)
        self.options = best_options(self.config, x, targets, subjects)
        self.estimators = tuple(arrays_of(fit_estimator(self.config, self.options, x, target)) for target in targets)
        return self

    def predict_proba(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Return probabilities, or estimates for regression."""
        if not self.estimators:
            raise NotFittedError(f"{self.config.name} has not been fitted: call fit() first")
        self._check(x)
        if not len(x):
            return np.zeros((0, self.config.outputs))
        return predict_task(self.config, self.estimators, self.prepared(x))

    def rules(self) -> str:
        """Return the rules of a decision tree as text, with the names and units of the columns."""
        if self.config.name != "decision_tree":
            raise ValueError(f"a {self.config.name} has no rules to print: fit a decision_tree")
        if not self.estimators:
            raise NotFittedError("the decision_tree has not been fitted: call fit() first")
        return "\n".join(tree_rules(estimator, self.columns) for estimator in self.estimators)

    def save(self, path: Path) -> None:
        """Write the fitted model, atomically and without pickle."""
        if not self.estimators:
            raise NotFittedError(f"{self.config.name} has not been fitted: call fit() first")
        save_model(
            path,
            SavedModel(self.config, self.options, self.columns, self.blocks, self._preparation, self.estimators),
        )

    @classmethod
    def load(cls, path: Path) -> ClassicalModel:
        """Load a fitted model; raises UntrustedModelError if the file is another, or damaged."""
        saved = load_model(path)
        model = cls(saved.config, saved.columns, saved.blocks)
        model.options, model._preparation, model.estimators = saved.options, saved.preparation, saved.estimators
        return model

    def prepared(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Return the matrix passed to the estimators: imputed and scaled for linear ones."""
        return x if self._preparation is None else self._preparation(x)

    def _check(self, x: np.ndarray) -> None:
        if x.ndim != 2 or x.shape[1] != len(self.columns):
            raise ValueError(f"the matrix must have {len(self.columns)} columns, not {list(x.shape[1:])}")
        if np.isinf(x).any():
            raise ValueError("the matrix contains infinite values; unknown values are NaN")


def _targets(config: ClassicalConfig, y: np.ndarray) -> list[np.ndarray]:
    """Return the target of each estimator: one for a multiclass task, otherwise one per output."""
    if config.kind == "multiclass":
        return [y.argmax(axis=1)]
    return list(y.T) if config.kind == "regression" else list((y > 0.5).astype(np.int64).T)
