"""Cached encodings of images: pixels of the network's size, and feature maps of a frozen network.

Both are computed once per image, for all studies, and stay in the cache's memory-mapped files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from typing import Any, Literal, NamedTuple

import numpy as np

from polyclinic.compute.devices import CPU
from polyclinic.compute.resources import Resources
from polyclinic.features.backbones import backbone
from polyclinic.features.blobs import ImageError, content_hash, image_content
from polyclinic.features.cache.encoder_cache import MISSING, EncoderCache, Encoding, Gathered, Shelf
from polyclinic.features.featurizer import Blobs
from polyclinic.features.image.preprocessing import PREPARATION, Fit, canonical, read_image
from polyclinic.progress import SILENT, Progress

Kind = Literal["tokens", "pixels"]

STRIDE = 16
"""Pixels of the canvas per cell: `FINE_STRIDE` of EfficientNet-lite0, whose module brings torch in."""

BATCH = 16


class Prepared(NamedTuple):
    """What `ImageEncodings.prepare` did."""

    encoded: int  # images that were missing from the cache
    unusable: dict[str, str]  # reasons, by name of the blob


@dataclass(frozen=True)
class CanvasSize:
    """The square canvas on which every image is placed."""

    side: int
    fit: Fit

    @property
    def cells(self) -> int:
        """Number of cells of the feature map."""
        return (-(-self.side // STRIDE)) ** 2


class ImageEncodings:
    """Encode images, named by their blobs, with one backbone at one size."""

    def __init__(
        self, blobs: Blobs, size: CanvasSize, backbone_name: str, cache: EncoderCache, resources: Resources
    ) -> None:
        self._blobs = blobs
        self._size = size
        self._backbone = backbone(backbone_name)
        self._cache = cache
        self._resources = resources

    def prepare(self, kind: Kind, names: Iterable[str], progress: Progress = SILENT) -> Prepared:
        """Encode the images missing from the cache; those that cannot be used are returned with their reasons."""
        unusable: dict[str, str] = {}
        pending: dict[str, str] = {}
        for name in names:
            try:
                pending[content_hash(name, ImageError, "image")] = name
            except ImageError as error:
                unusable[name] = str(error)
        encode = ImageEncoder(kind, self._blobs, self._size, self._backbone.name, self._resources.device)
        resources = self._resources if kind == "pixels" else self._resources.of_networks()
        done = self.shelf(kind).encode_pending(pending, encode, batch=BATCH, progress=progress, resources=resources)
        return Prepared(done.number, unusable | {pending[key]: reason for key, reason in done.failed.items()})

    def gather(self, kind: Kind, names: np.ndarray) -> Gathered:
        """Return the arrays of images `[sample, view]`, zeros where a name is empty; float32 pixels get a channel axis.

        Raises:
            MissingEntryError: an image has not been encoded.
        """
        shelf = self.shelf(kind)
        positions = np.full(names.shape, MISSING, dtype=np.int64)
        named = names != ""
        positions[named] = shelf.existing_positions([content_hash(name) for name in names[named]])
        return Gathered(shelf, positions, _with_channel) if kind == "pixels" else Gathered(shelf, positions)

    def shelf(self, kind: Kind) -> Shelf:
        """Return the shelf of one kind of array."""
        side, fit = self._size.side, self._size.fit
        preparation = f"{fit}{side}.{PREPARATION}"
        if kind == "pixels":
            return self._cache.shelf(Encoding("pixels", "", preparation, (side, side), "uint16"))
        fingerprint = self._backbone.fingerprint(self._cache.fingerprints)
        shape, device = (self._size.cells, self._backbone.width), self._resources.device
        return self._cache.shelf(
            Encoding(self._backbone.name, fingerprint, f"{preparation}.{self._backbone.revision}", shape, device=device)
        )


@dataclass(frozen=True)
class ImageEncoder:
    """Encodes images, by content hash; the reason instead of an array for those that cannot be used."""

    kind: Kind
    blobs: Blobs
    size: CanvasSize
    backbone_name: str
    device: str

    def __call__(self, items: Mapping[str, str]) -> dict[str, np.ndarray | str]:
        """Return the arrays of the images with these names."""
        found: dict[str, np.ndarray | str] = {key: self._pixels(name) for key, name in items.items()}
        if self.kind == "pixels":
            return found
        images = {key: image for key, image in found.items() if not isinstance(image, str)}
        return found | dict(zip(images, self._maps(list(images.values())), strict=True))

    def _pixels(self, name: str) -> np.ndarray | str:
        try:
            return read_image(image_content(self.blobs, name), name, self.size.side, self.size.fit)
        except ImageError as error:
            return str(error)

    def _maps(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the feature maps, which do not depend on the batch.

        On a CPU one by one, nearly as fast; on another device in batches of one size, filled up with black.
        """
        size = 1 if self.device == CPU else BATCH
        maps: list[np.ndarray] = []
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            black = [np.zeros_like(batch[0])] * (size - len(batch))
            maps += list(frozen_maps(self.backbone_name, self.device, np.stack([*batch, *black])))[: len(batch)]
        return maps


def frozen_maps(name: str, device: str, stored: np.ndarray) -> np.ndarray:
    """Compute the feature maps `[image, cell, width]` of stored pixels `[image, side, side]` by a frozen network."""
    import torch

    from polyclinic.features.backbones.efficientnet_lite0 import canonical_to_input

    pixels = torch.from_numpy(canonical(stored))[:, None].to(device)
    with torch.inference_mode():
        images = canonical_to_input(pixels).contiguous(memory_format=torch.channels_last)
        maps: torch.Tensor = frozen_network(name, device).fine(images)
        return maps.flatten(2).transpose(1, 2).half().cpu().numpy()


@once
def frozen_network(name: str, device: str) -> Any:
    """Load a network once per process, optimised for inference: batch norms folded, channels last."""
    import torch

    with torch.inference_mode(False):  # later callers may need gradients through the network
        network: Any = backbone(name).load()
        return network.fold().to(device, memory_format=torch.channels_last).requires_grad_(False)


def _with_channel(stored: np.ndarray) -> np.ndarray:
    return canonical(stored)[..., None, :, :]
