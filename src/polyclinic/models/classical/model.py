"""Logistic regression, a decision tree, a random forest and gradient boosting behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.models.classical.config import ClassicalConfig
from polyclinic.models.classical.estimators import FAMILIES, Estimator, Options, fit_estimator
from polyclinic.models.classical.flat_trees import UnsoundTreeError
from polyclinic.models.classical.hyperparameters import best_options
from polyclinic.models.classical.imputation_and_scaling import Block, Preparation
from polyclinic.models.classical.persistence import SavedModel, UntrustedModelError, load_model, save_model
from polyclinic.models.classical.prediction import Answer, answerer, task_answers
from polyclinic.models.classical.rules import tree_rules


class NotFittedError(RuntimeError):
    """The model was asked before it was fitted."""


class ClassicalModel:
    """One task by one classical method, on the matrix that a `Design` makes.

    Answers as the network's head of the same kind does: binary `[sample, 1]`, multiclass and multilabel one column for
    each class or label, regression the estimates. NaN in the matrix means unknown: trees decide what to do with it
    at each split, linear models take the training median.

    The same data, configuration and seed give the same bits.
    """

    def __init__(self, config: ClassicalConfig, columns: Sequence[str], blocks: Sequence[Block] = ()) -> None:
        self.config = config
        self.columns = tuple(columns)
        self.blocks = tuple(blocks) or (Block("all", len(self.columns)),)
        if sum(block.columns for block in self.blocks) != len(self.columns):
            raise ValueError(f"the blocks must hold each of the {len(self.columns)} columns once")
        self.options: Options = {}
        self._preparation: Preparation | None = None
        self._estimators: list[Estimator] = []
        self._answers: list[Answer] = []

    def fit(
        self,
        x: Float[np.ndarray, "sample column"],
        y: Float[np.ndarray, "sample output"],
        observed: Bool[np.ndarray, " sample"],
        subjects: Int[np.ndarray, " sample"] | None = None,
    ) -> ClassicalModel:
        """Fit on the samples whose answer is observed; classes come one column each, 0 or 1.

        With `config.inner_folds`, hyper-parameters are chosen by cross-validation in which the samples of one subject
        stay together. A label that never varies gets its constant.
        """
        self._check(x)
        if y.shape != (len(x), self.config.outputs):
            raise ValueError(f"targets must be [{len(x)}, {self.config.outputs}], not {list(y.shape)}")
        if not observed.any():
            raise ValueError("no sample has an observed answer: there is nothing to fit")
        x, y = x[observed], y[observed]
        subjects = np.arange(len(x)) if subjects is None else subjects[observed]
        if FAMILIES[self.config.name].linear:
            self._preparation = Preparation.fit(x, self.blocks)
        x = self.prepared(x)
        targets = _targets(self.config, y)
        self.options = best_options(self.config, x, targets, subjects)
        self._set_estimators([fit_estimator(self.config, self.options, x, target) for target in targets])
        return self

    def predict_proba(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Give probabilities, or estimates for regression."""
        if not self._estimators:
            raise NotFittedError(f"{self.config.name} has not been fitted: call fit() first")
        self._check(x)
        if not len(x):
            return np.zeros((0, self.config.outputs))
        return task_answers(self.config, self._estimators, self._answers, self.prepared(x))

    @property
    def estimators(self) -> tuple[Estimator, ...]:
        """The fitted estimators: one for each output, or one for all classes of a multiclass task."""
        return tuple(self._estimators)

    def rules(self) -> str:
        """Give the decisions of a decision tree as text, with the names and units of the columns."""
        if self.config.name != "decision_tree":
            raise ValueError(f"a {self.config.name} has no rules to print: fit a decision_tree")
        if not self._estimators:
            raise NotFittedError("the decision_tree has not been fitted: call fit() first")
        return "\n".join(tree_rules(estimator, self.columns) for estimator in self._estimators)

    def save(self, path: Path) -> None:
        """Write the fitted model, atomically; no pickle is involved."""
        if not self._estimators:
            raise NotFittedError(f"{self.config.name} has not been fitted: call fit() first")
        saved = SavedModel(
            self.config, self.options, self.columns, self.blocks, self._preparation, tuple(self._estimators)
        )
        save_model(path, saved)

    @classmethod
    def load(cls, path: Path) -> ClassicalModel:
        """Read a fitted model; raises UntrustedModelError for a file that holds anything else."""
        saved = load_model(path)
        model = cls(saved.config, saved.columns, saved.blocks)
        model.options, model._preparation = saved.options, saved.preparation
        try:
            model._set_estimators(list(saved.estimators))
        except UnsoundTreeError as problem:
            raise UntrustedModelError(f"{path.name}: {problem}; do not use it") from problem
        return model

    def _set_estimators(self, estimators: list[Estimator]) -> None:
        self._estimators = estimators
        self._answers = [answerer(estimator, len(self.columns)) for estimator in estimators]

    def prepared(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Give a matrix as the estimators see it: filled, centred and scaled for linear ones."""
        return x if self._preparation is None else self._preparation(x)

    def _check(self, x: np.ndarray) -> None:
        if x.ndim != 2 or x.shape[1] != len(self.columns):
            raise ValueError(f"the matrix must have {len(self.columns)} columns, not {list(x.shape[1:])}")
        if np.isinf(x).any():
            raise ValueError("the matrix holds infinite values; unknown values are NaN")


def _targets(config: ClassicalConfig, y: np.ndarray) -> list[np.ndarray]:
    """Give the target of each estimator: one for all classes of a multiclass task, otherwise one for each output."""
    if config.kind == "multiclass":
        return [y.argmax(axis=1)]
    return list(y.T) if config.kind == "regression" else list((y > 0.5).astype(np.int64).T)
