"""Pictures of a cohort → what is kept of them: pixels of the network's size, and a frozen network's maps.

Both are computed once per picture, whichever studies ask, and stay in the cache's memory-mapped files.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache as once
from typing import Any, Literal

import numpy as np

from polyclinic.features.backbones import backbone
from polyclinic.features.cache.encoder_cache import MISSING, EncoderCache, Encoding, Gathered, Shelf
from polyclinic.features.featurizer import Blobs
from polyclinic.features.image.preprocessing import PREPARATION, Fit, PictureError, canonical, read_picture
from polyclinic.files import sha256
from polyclinic.progress import SILENT, Progress

"""Name of a blob → its file; a cohort's `blob` is one."""

Kind = Literal["tokens", "pixels"]

STRIDE = 16
"""Pixels of the canvas per cell: `FINE_STRIDE` of EfficientNet-lite0, whose module brings torch in."""
_HASH = re.compile(r"[0-9a-f]{64}")
_NAMED = 5  # pictures that an error names


@dataclass(frozen=True)
class PictureSize:
    """The canvas that every picture is put on."""

    side: int
    fit: Fit

    @property
    def cells(self) -> int:
        """Cells of the network's map."""
        return (-(-self.side // STRIDE)) ** 2


class PictureEncodings:
    """Encodes pictures, named by their blobs, with one backbone at one size."""

    def __init__(self, blobs: Blobs, size: PictureSize, backbone_name: str, cache: EncoderCache, device: str) -> None:
        self._blobs = blobs
        self._size = size
        self._backbone = backbone(backbone_name)
        self._cache = cache
        self._device = device

    def prepare(self, kind: Kind, names: Iterable[str], progress: Progress = SILENT) -> int:
        """Compute what the cache lacks, and give how many pictures that were.

        Raises:
            PictureError: some pictures cannot be used; all others are encoded first, so that one call names every one.
        """
        refused: list[str] = []
        encode = self._pixels if kind == "pixels" else self._tokens
        encoded = self.shelf(kind).encode_pending(
            {content_hash(name): name for name in names}, lambda items: encode(items, refused), progress=progress
        )
        if refused:
            more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
            raise PictureError("; ".join(refused[:_NAMED]) + more)
        return encoded

    def gathered(self, kind: Kind, names: np.ndarray) -> Gathered:
        """Give what is kept of pictures `[sample, view]`, zeros where a name is empty; float32 pixels get a channel.

        Raises:
            MissingEntryError: a picture is not prepared.
        """
        shelf = self.shelf(kind)
        places = np.full(names.shape, MISSING, dtype=np.int64)
        there = names != ""
        places[there] = shelf.found([content_hash(name) for name in names[there]])
        return Gathered(shelf, places, _with_channel) if kind == "pixels" else Gathered(shelf, places)

    def shelf(self, kind: Kind) -> Shelf:
        """Give the shelf where one kind of arrays is kept."""
        side, fit = self._size.side, self._size.fit
        preparation = f"{fit}{side}.{PREPARATION}"
        if kind == "pixels":
            return self._cache.shelf(Encoding("pixels", "", preparation, (side, side), "uint16"))
        fingerprint = self._backbone.fingerprint(self._cache.fingerprints)
        shape = (self._size.cells, self._backbone.width)
        return self._cache.shelf(
            Encoding(self._backbone.name, fingerprint, f"{preparation}.{self._backbone.revision}", shape)
        )

    def _pixels(self, items: Mapping[str, str], refused: list[str]) -> dict[str, np.ndarray]:
        read: dict[str, np.ndarray] = {}
        for key, name in items.items():
            try:
                read[key] = read_picture(self._content(key, name), name, self._size.side, self._size.fit)
            except PictureError as problem:
                refused.append(str(problem))
        return read

    def _tokens(self, items: Mapping[str, str], refused: list[str]) -> dict[str, np.ndarray]:
        pictures = self._pixels(items, refused)
        # On a processor one picture at a time is nearly as fast as many, and its maps are the same in any company.
        at_once = 1 if self._device == "cpu" else len(pictures)
        keys = list(pictures)
        tokens: dict[str, np.ndarray] = {}
        for start in range(0, len(keys), max(at_once, 1)):
            some = keys[start : start + at_once]
            maps = frozen_maps(self._backbone.name, self._device, np.stack([pictures[key] for key in some]))
            tokens.update(zip(some, maps, strict=True))
        return tokens

    def _content(self, key: str, name: str) -> bytes:
        try:
            content = self._blobs(name).read_bytes()
        except OSError as problem:
            raise PictureError(
                f"picture {name} cannot be read ({problem.strerror}); ingest its source again"
            ) from problem
        except ValueError as problem:
            raise PictureError(f"picture {name} is not there; ingest its source again") from problem
        if sha256(content) != key:
            raise PictureError(f"picture {name} is damaged: its content is not what its name says; ingest it again")
        return content


def content_hash(name: str) -> str:
    """Give the content hash that a blob's name begins with; raises PictureError if it is not a blob's name."""
    if not _HASH.match(name):
        raise PictureError(f"picture {name} is not named by its content; ingest its source into a cohort")
    return name[:64]


def frozen_maps(name: str, device: str, stored: np.ndarray) -> np.ndarray:
    """Run a frozen network over stored pixels `[picture, side, side]`, and give its maps `[picture, cell, width]`."""
    import torch

    from polyclinic.features.backbones.efficientnet_lite0 import canonical_to_input

    pixels = torch.from_numpy(canonical(stored))[:, None].to(device)
    with torch.inference_mode():
        pictures = canonical_to_input(pixels).contiguous(memory_format=torch.channels_last)
        maps: torch.Tensor = frozen_network(name, device).fine(pictures)
        return maps.flatten(2).transpose(1, 2).half().cpu().numpy()


@once
def frozen_network(name: str, device: str) -> Any:
    """Load a network once per process, in the form that runs fastest: batch norms folded, channels last."""
    import torch

    with torch.inference_mode(False):  # whoever asks first: others will want gradients through its weights
        network: Any = backbone(name).load()
        return network.fold().to(device, memory_format=torch.channels_last).requires_grad_(False)


def _with_channel(stored: np.ndarray) -> np.ndarray:
    return canonical(stored)[..., None, :, :]
