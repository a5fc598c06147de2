"""Heads by kind of task: shared latent → logits → probabilities or estimates."""

from collections.abc import Mapping

from polyclinic.models.network.config import HeadConfig
from polyclinic.models.network.heads.classification import BinaryHead, MulticlassHead, MultilabelHead
from polyclinic.models.network.heads.head import Head
from polyclinic.models.network.heads.regression import RegressionHead
from polyclinic.models.network.heads.time_to_event import TimeToEventHead

__all__ = [
    "HEADS",
    "BinaryHead",
    "Head",
    "MulticlassHead",
    "MultilabelHead",
    "RegressionHead",
    "TimeToEventHead",
    "build_head",
]

HEADS: Mapping[str, type[Head]] = {
    "binary": BinaryHead,
    "multiclass": MulticlassHead,
    "multilabel": MultilabelHead,
    "regression": RegressionHead,
    "time_to_event": TimeToEventHead,
}


def build_head(config: HeadConfig, width: int) -> Head:
    """Build the head of the task's kind."""
    return HEADS[config.kind](config, width)
