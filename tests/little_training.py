"""Training in little time, where a test is not about how well a model has learnt."""

from dataclasses import replace
from typing import Any

import pytest

from polyclinic.models.classical.estimators import FAMILIES, Build
from polyclinic.training import members, output_folder
from polyclinic.training.network import unimodal_pretraining
from polyclinic.training.network.trainer import fit_network

EPOCHS, TREES = 2, 20


def few_trees(patch: pytest.MonkeyPatch) -> None:
    """Fit forests and boosted models of few trees."""

    def of(build: Build) -> Build:
        return lambda *arguments, **options: build(*arguments, **options).set_params(n_estimators=TREES)

    for name in ("random_forest", "gradient_boosting"):
        family = FAMILIES[name]
        patch.setitem(FAMILIES, name, replace(family, classifier=of(family.classifier), regressor=of(family.regressor)))


def few_epochs(patch: pytest.MonkeyPatch) -> None:
    """Train networks and pretrain encoders for few epochs."""

    def short(*arguments: Any, **options: Any) -> Any:
        config, examples, rows, network = arguments
        epochs = min(network.epochs, EPOCHS)
        return fit_network(config, examples, rows, network.model_copy(update={"epochs": epochs}), **options)

    patch.setattr(members, "fit_network", short)
    patch.setattr(unimodal_pretraining, "EPOCHS", EPOCHS)


def no_pictures(patch: pytest.MonkeyPatch) -> None:
    """Write neither plots nor the page beside a bundle that was measured."""
    patch.setattr(output_folder, "save_plots", lambda *_, **__: {})
    patch.setattr(output_folder, "write_page", lambda *_, **__: None)
