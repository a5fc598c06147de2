"""Fitted scikit-learn models on disk through skops: without pickle, and with known types only.

skops checks types, but not the content of trees, which `flat_trees` checks before use.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skops import io
from skops.io.exceptions import UntrustedTypesFoundException

from polyclinic.files import replacing
from polyclinic.models.classical.canonical_skops import canonical
from polyclinic.models.classical.config import ClassicalConfig
from polyclinic.models.classical.estimators import Estimator, Options
from polyclinic.models.classical.imputation_and_scaling import Block, Preparation

TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""Types in addition to those that skops trusts."""
VERSION = 1


class UntrustedModelError(ValueError):
    """A file is not a classical model, or contains unexpected objects."""


@dataclass(frozen=True)
class SavedModel:
    """The complete state of a fitted classical model."""

    config: ClassicalConfig
    options: Options
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    preparation: Preparation | None
    estimators: tuple[Estimator, ...]


def save_model(path: Path, saved: SavedModel) -> None:
    """Write the model, atomically and reproducibly."""
    content: dict[str, Any] = {
        "version": VERSION,
        "config": saved.config.model_dump_json(),
        "options": saved.options,
        "columns": list(saved.columns),
        "blocks": [[block.name, block.columns, block.alike] for block in saved.blocks],
        "estimators": list(saved.estimators),
    }
    if saved.preparation is not None:
        content["preparation"] = list(vars(saved.preparation).values())
    with replacing(path) as temporary:
        temporary.write_bytes(canonical(io.dumps(content)))


def load_model(path: Path) -> SavedModel:
    """Load a model.

    Raises:
        UntrustedModelError: the content has another type or version.
    """
    try:
        content = io.loads(path.read_bytes(), trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise UntrustedModelError(f"{path.name} contains types that no classical model has: do not use it") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise UntrustedModelError(f"{path.name} is not a saved classical model, or is damaged") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise UntrustedModelError(f"{path.name} is not a classical model of version {VERSION}: fit it again")
    preparation = Preparation(*content["preparation"]) if "preparation" in content else None
    return SavedModel(
        ClassicalConfig.model_validate_json(content["config"]),
        content["options"],
        tuple(content["columns"]),
        tuple(Block(*block) for block in content["blocks"]),
        preparation,
        tuple(content["estimators"]),
    )
