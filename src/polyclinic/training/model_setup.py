"""Configure the network and the classical designs of a study from its fitted features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyclinic.features import Arrays
from polyclinic.features.feature_set import FEATURIZERS, FeatureSet
from polyclinic.features.featurizer import Request
from polyclinic.modalities import MODALITIES, load
from polyclinic.models import (
    ENCODERS,
    EncoderConfig,
    HeadConfig,
    ModelConfig,
    Sizes,
    UnifiedModel,
    build_encoder,
)
from polyclinic.models.classical import Design, design_options
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Targets, Task

MAX_BINS = 20
UNIMODAL_METHOD = "logistic_regression"
"""The classical method that is also fitted to each modality alone."""


def check_network(study: Study) -> None:
    """Build the study's network with the smallest sizes, to find errors before anything is read or encoded.

    Raises:
        StudyError: an encoder, one of its options, or the fusion is unknown or cannot be built.
    """
    if study.network is None:
        return
    try:
        encoders = {
            modality: encoder_config(study, modality, _sizes_of(modality).smallest()) for modality in study.modalities
        }
        options = study.network.model_dump(include={"fusion", "width", "dropout"})
        UnifiedModel(ModelConfig(encoders=encoders, heads={"any": HeadConfig(kind="binary")}, **options))
    except (ImportError, TypeError, ValueError) as problem:
        raise StudyError(f"network: {problem}") from problem


def feature_options(study: Study) -> dict[str, Any]:
    """Return the featurizers' options by modality, so that nothing is computed that the study's models do not read."""
    scale = study.network.series_scale if study.network else "robust"
    return {
        modality: FEATURIZERS[modality].options_for(
            Request(_reads(study, modality), bool(study.classical), scale, study.terms)
        )
        for modality in study.modalities
    }


def _reads(study: Study, modality: str) -> tuple[str, ...]:
    """Return the names of the arrays that the study's encoder of a modality reads."""
    if study.network is None:
        return ()
    return build_encoder(modality, encoder_config(study, modality, _sizes_of(modality).smallest()), 16, 0.0).reads


def _sizes_of(modality: str) -> type[Sizes]:
    sizes: type[Sizes] = load(MODALITIES[modality].sizes)
    return sizes


def encoder_config(study: Study, modality: Any, sizes: Any) -> EncoderConfig:
    """Return the encoder that the study names for a modality, or the default one."""
    assert study.network is not None
    name = study.network.encoders.get(modality) or next(iter(ENCODERS[modality]))
    options = study.network.encoder_options.get(modality, {})
    return EncoderConfig(name=name, sizes=sizes, options=options)


def model_config(
    study: Study, features: FeatureSet, arrays: Mapping[str, Arrays], heads: Mapping[str, HeadConfig]
) -> ModelConfig:
    """Return the configuration of the study's network."""
    assert study.network is not None
    sizes = {
        modality: _sizes_of(modality).model_validate(features.featurizers[modality].sizes(arrays[modality]))
        for modality in study.modalities
    }
    return ModelConfig(
        encoders={modality: encoder_config(study, modality, size) for modality, size in sizes.items()},
        heads=dict(heads),
        fusion=study.network.fusion,
        width=study.network.width,
        dropout=study.network.dropout,
    )


def head_config(task: Task, target: Targets, balance: bool) -> HeadConfig:
    """Return the head of a task; the bins of time to event hold equal numbers of observed events."""
    values = target.values[target.observed]
    if task.kind == "time_to_event":
        bins = survival_bins(values[:, 0], values[:, 1] > 0.5)
        return HeadConfig(kind=task.kind, outputs=len(bins), bins=bins)
    weight = 1.0
    if task.kind == "binary" and balance and 0 < values.mean() < 1:
        weight = float((1 - values.mean()) / values.mean())
    return HeadConfig(kind=task.kind, outputs=values.shape[1], positive_weight=weight)


def survival_bins(duration: np.ndarray, event: np.ndarray) -> tuple[float, ...]:
    """Return the ends of the bins: quantiles of the event times, and the longest follow-up."""
    times = duration[event & (duration > 0)]
    number = int(np.clip(len(times) // 10, 1, MAX_BINS))
    inner = np.quantile(times, np.linspace(0, 1, number + 1)[1:]) if len(times) else np.array([])
    ends = np.unique(np.concatenate([inner, [max(float(duration.max()), 1e-3)]]).astype(np.float32))
    return tuple(float(end) for end in ends if end > 0)


def designs(study: Study, features: FeatureSet, arrays: Mapping[str, Arrays]) -> dict[str, Design]:
    """Fit the design of each classical member: all inputs for each method, each input alone for `UNIMODAL_METHOD`.

    An input alone is left out where the joint design has no column of another, since both would be the same model.
    Sorted by name, as when a bundle is loaded, so that members are always summed in the same order.
    """
    names = features.names()
    kinds = {design_options(method) for method in study.classical}
    joint = {options: Design.fit(arrays, names, options=options) for options in kinds}
    by_member = {str(method): joint[design_options(method)] for method in study.classical}
    if study.stack and UNIMODAL_METHOD in study.classical and len(study.modalities) > 1:
        for modality in study.modalities:
            alone = Design.fit({modality: arrays[modality]}, names)
            if alone.columns != by_member[UNIMODAL_METHOD].columns:
                by_member[f"{UNIMODAL_METHOD}:{modality}"] = alone
    return dict(sorted(by_member.items()))
