"""Classical models on the same features and splits as the network, with a common interface."""

from polyclinic.models.classical.columns.base import DesignOptions
from polyclinic.models.classical.config import LINEAR_MODELS, ClassicalConfig, ClassicalKind
from polyclinic.models.classical.design_matrix import LINEAR, TREES, Design
from polyclinic.models.classical.imputation_and_scaling import Block
from polyclinic.models.classical.model import ClassicalModel, NotFittedError
from polyclinic.models.classical.persistence import UntrustedModelError
from polyclinic.study import ClassicalName

__all__ = [
    "LINEAR",
    "TREES",
    "Block",
    "ClassicalConfig",
    "ClassicalKind",
    "ClassicalModel",
    "Design",
    "DesignOptions",
    "NotFittedError",
    "UntrustedModelError",
    "design_options",
]


def design_options(name: ClassicalName) -> DesignOptions:
    """Return the design that suits a classical model."""
    return LINEAR if name in LINEAR_MODELS else TREES
