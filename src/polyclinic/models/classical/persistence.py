"""Classical models on disk: arrays as safetensors, and the rest as JSON in its header; nothing is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from polyclinic.files import replacing
from polyclinic.models.classical.config import ClassicalConfig, Options
from polyclinic.models.classical.fitted import ESTIMATORS, Boosting, Constant, Estimator, Forest, Linear
from polyclinic.models.classical.flat_trees import FlatTrees
from polyclinic.models.classical.imputation_and_scaling import Block, Preparation

HEADER = "model"
VERSION = 2
REMEDY = "copy the bundle again, or train it again"
Arrays = dict[str, np.ndarray]


class UntrustedModelError(ValueError):
    """A file is not a classical model, or its content cannot be one."""


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
    names = {form: name for name, form in ESTIMATORS.items()}
    header = {
        "version": VERSION,
        "config": saved.config.model_dump(mode="json"),
        "options": saved.options,
        "columns": saved.columns,
        "blocks": [[block.name, block.columns, block.alike] for block in saved.blocks],
        "estimators": [names[type(estimator)] for estimator in saved.estimators],
    }
    parts = {str(number): _arrays(estimator) for number, estimator in enumerate(saved.estimators)}
    if saved.preparation is not None:
        parts["preparation"] = vars(saved.preparation)
    arrays = {f"{part}.{name}": _compact(array) for part, own in parts.items() for name, array in own.items()}
    with replacing(path) as temporary:
        save_file(arrays, temporary, metadata={HEADER: json.dumps(header, sort_keys=True)})


def load_model(path: Path) -> SavedModel:
    """Load a model.

    Raises:
        UntrustedModelError: the file is another, of another version, or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()[HEADER])
            arrays = {name: _wide(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UntrustedModelError(f"{path.name} is not a saved classical model, or is damaged: {REMEDY}") from error
    if not isinstance(header, dict) or header.get("version") != VERSION:
        raise UntrustedModelError(f"{path.name} is not a classical model of version {VERSION}: train the bundle again")
    try:
        return _model(header, arrays)
    except (LookupError, TypeError, ValueError) as error:
        raise UntrustedModelError(f"{path.name} holds no usable model ({error}): {REMEDY}") from error


def _model(header: Mapping[str, Any], arrays: Arrays) -> SavedModel:
    """Rebuild the model; raises a LookupError, TypeError or ValueError if the content is no model."""
    config = ClassicalConfig.model_validate(header["config"])
    columns = tuple(header["columns"])
    own = _part(arrays, "preparation")
    preparation = Preparation(**own) if own else None
    if preparation and any(array.shape != (len(columns),) for array in own.values()):
        raise ValueError("the imputation has other columns")
    estimators = [
        _estimator(ESTIMATORS[name], _part(arrays, str(number))) for number, name in enumerate(header["estimators"])
    ]
    if len(estimators) != (1 if config.kind == "multiclass" else config.outputs):
        raise ValueError("the number of estimators is another")
    for estimator in estimators:
        _check(estimator, config, len(columns))
    blocks = tuple(Block(*block) for block in header["blocks"])
    return SavedModel(config, dict(header["options"]), columns, blocks, preparation, tuple(estimators))


def _check(estimator: Estimator, config: ClassicalConfig, columns: int) -> None:
    """Check that an estimator has the classes of its task, and that its arrays fit together."""
    classes = estimator.classes
    if (classes is None) != (config.kind == "regression"):
        raise ValueError("the classes are those of another kind of task")
    if classes is not None:
        count = config.outputs if config.kind == "multiclass" else 2
        if not len(classes) or (np.diff(classes) <= 0).any() or classes[0] < 0 or classes[-1] >= count:
            raise ValueError("the classes are those of another task")
    estimator.check(columns)


def _arrays(estimator: Estimator) -> Arrays:
    own = {name: value for name, value in vars(estimator).items() if value is not None}
    trees = own.pop("trees", None)
    return own if trees is None else own | {field.name: getattr(trees, field.name) for field in fields(FlatTrees)}


def _estimator(form: type[Estimator], arrays: Arrays) -> Estimator:
    if form is Constant:
        return Constant(**arrays)
    if form is Linear:
        return Linear(**arrays)
    trees = FlatTrees(**{field.name: arrays.pop(field.name) for field in fields(FlatTrees)})
    return Forest(trees, **arrays) if form is Forest else Boosting(trees, **arrays)


def _part(arrays: Arrays, name: str) -> Arrays:
    own = f"{name}."
    return {key.removeprefix(own): array for key, array in arrays.items() if key.startswith(own)}


def _compact(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.int32 if array.dtype.kind == "i" else None)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.intp) if array.dtype.kind == "i" else array
