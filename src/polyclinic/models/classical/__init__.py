"""Classical models on the same features and splits as the network, behind one interface."""

from polyclinic.models.classical.config import ClassicalConfig, ClassicalKind, ClassicalName
from polyclinic.models.classical.design import LINEAR, TREES, Design, DesignOptions
from polyclinic.models.classical.estimators import FAMILIES
from polyclinic.models.classical.model import ClassicalModel, NotFittedError
from polyclinic.models.classical.preparation import Block
from polyclinic.models.classical.saving import UntrustedModelError

__all__ = [
    "LINEAR",
    "TREES",
    "Block",
    "ClassicalConfig",
    "ClassicalKind",
    "ClassicalModel",
    "ClassicalName",
    "Design",
    "DesignOptions",
    "NotFittedError",
    "UntrustedModelError",
    "design_options",
]


def design_options(name: ClassicalName) -> DesignOptions:
    """Give the design that suits a classical model."""
    return LINEAR if FAMILIES[name].linear else TREES
