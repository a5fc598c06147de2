"""Images as differentiable inputs: pixels, or the feature maps of the frozen backbone."""

from __future__ import annotations

from copy import copy
from io import BytesIO
from typing import ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torch.nn import functional

from polyclinic.explain.attribution import (
    Canvas,
    ImageAttribution,
    PictureAttribution,
)
from polyclinic.explain.inputs.base import DifferentiableInput, Kept, ModalityExplanation, Scores, Units
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays, ImageFeaturizer
from polyclinic.features.backbones.efficientnet_lite0 import EfficientNetLite0, canonical_to_input
from polyclinic.features.image.embeddings import frozen_network as frozen_pictures
from polyclinic.features.image.preprocessing import canonical, place, read_image
from polyclinic.models.network.encoders import Encoder

PIXEL_NOISE = 0.01
"""Standard deviation of the noise on pixels, whose values lie between 0 and 1."""


class PixelInput(DifferentiableInput):
    """Pixels of images, `[view, 1, side, side]`, through the frozen network if the encoder reads its maps."""

    def __init__(self, sample: Sample, featurizer: ImageFeaturizer, baseline: Baseline, encoder: Encoder) -> None:
        arrays, options = sample.arrays["image"], featurizer.options
        self.chosen = np.flatnonzero(arrays["view_mask"][0])
        self.names = [str(arrays["blob"][0, view]) for view in self.chosen]
        self.codes = torch.from_numpy(np.asarray(arrays["view_code"][0])[self.chosen])
        stored = [read_image(sample.blobs(name).read_bytes(), name, options.side, options.fit) for name in self.names]
        self.end = torch.from_numpy(canonical(np.stack(stored)))[:, None]
        self.start = baseline.pictures(self.end)
        self._frozen = frozen_pictures(options.backbone, "cpu") if "tokens" in encoder.reads else None

    def tensors(self, x: Float[Tensor, "step view 1 side side"]) -> dict[str, Tensor]:
        """Return `tokens` (or `pixels`), `view_mask` and `view_code`."""
        steps, views = x.shape[:2]
        views_read = {
            "view_mask": torch.ones(steps, views, dtype=torch.bool),
            "view_code": self.codes.expand(steps, -1),
        }
        if self._frozen is None:
            return {"pixels": x, **views_read}
        maps = self.maps(x).flatten(2).transpose(1, 2)
        return {"tokens": maps.reshape(steps, views, *maps.shape[1:]), **views_read}

    @property
    def images(self) -> int:
        """Number of images."""
        return self.end.shape[0]

    def units(self, sample: Sample) -> BlockUnits:  # noqa: ARG002
        """Return square blocks."""
        return BlockUnits(self)

    def noisy(self, generator: torch.Generator) -> Self:
        """Return noisy images; black borders stay black."""
        other, noise = copy(self), torch.randn(self.end.shape, generator=generator)
        other.end = torch.where(self.end > 0, (self.end + PIXEL_NOISE * noise).clamp(0, 1), self.end)
        return other

    def from_usual(self, usual: Baseline) -> DifferentiableInput:
        """Return the feature maps, starting at the usual map."""
        if usual.map is None:
            return self
        with torch.no_grad():
            tokens = self.tensors(self.end[None])["tokens"][0]
        return FeatureMapInput(self.names, self.codes, tokens, usual.map)

    @property
    def frozen(self) -> EfficientNetLite0 | None:
        """The frozen network, if the encoder reads its maps."""
        return self._frozen

    def maps(self, x: Float[Tensor, "step view 1 side side"]) -> Float[Tensor, "step*view channel h w"]:
        """Run the frozen network."""
        pictures = canonical_to_input(x.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self._frozen.fine(pictures)  # type: ignore[union-attr]
        return maps


class FeatureMapInput(DifferentiableInput):
    """Feature maps of the frozen network, `[view, cell, channel]`, starting at the usual map."""

    def __init__(
        self,
        names: list[str],
        codes: Int[Tensor, " view"],
        maps: Float[Tensor, "view cell channel"],
        usual: Float[Tensor, "cell channel"],
    ) -> None:
        self.names, self.codes = names, codes
        self.end, self.start = maps, usual.expand_as(maps).clone()

    @classmethod
    def of(cls, arrays: Arrays, usual: Float[Tensor, "cell channel"]) -> Self:
        """Make the input from the cached maps."""
        chosen = np.flatnonzero(arrays["view_mask"][0])
        names = [str(arrays["blob"][0, view]) for view in chosen]
        codes = torch.from_numpy(np.asarray(arrays["view_code"][0])[chosen])
        return cls(names, codes, torch.from_numpy(np.asarray(arrays["tokens"][0])[chosen]).float(), usual)

    def tensors(self, x: Float[Tensor, "step view cell channel"]) -> dict[str, Tensor]:
        """Return `tokens`, `view_mask` and `view_code`."""
        steps, views = x.shape[:2]
        return {
            "tokens": x,
            "view_mask": torch.ones(steps, views, dtype=torch.bool),
            "view_code": self.codes.expand(steps, -1),
        }


BLOCK = 16
"""Pixels of the canvas along the side of a block."""


PATCH = 2
"""Blocks along the side of a patch that occlusion removes at once."""


class BlockUnits(Units):
    """Square blocks of images, except those entirely in the black border."""

    def __init__(self, input_: PixelInput, removed: Float[Tensor, "view 1 side side"] | None = None) -> None:
        super().__init__(input_)
        self.removed = torch.zeros_like(input_.end) if removed is None else removed
        views, _, side, _ = input_.end.shape
        across = -(-side // BLOCK)
        place = np.arange(side) // BLOCK
        grid = place[:, None] * across + place + across**2 * np.arange(views)[:, None, None]
        inside = np.bincount(grid.ravel(), input_.end.numpy().ravel(), views * across**2) > 0
        number = np.where(inside, np.cumsum(inside) - 1, -1)
        self.grid = torch.from_numpy(number[grid])
        self.owner, self.count = self.grid.numpy().ravel(), int(inside.sum())
        wide = place // PATCH
        patches = wide[:, None] * across + wide + across**2 * np.arange(views)[:, None, None]
        first = np.unique(number[grid].ravel(), return_index=True)[1][-self.count :]
        self._patches: np.ndarray = np.unique(patches.ravel()[first], return_inverse=True)[1]

    @property
    def patches(self) -> Int[np.ndarray, " unit"]:
        """The patch of `PATCH` × `PATCH` blocks of each block."""
        return self._patches

    def showing(self, removed: Float[Tensor, "view 1 side side"]) -> Self:
        """Return the same blocks with other pixels for removed ones."""
        other = copy(self)
        other.removed = removed
        return other

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return the encoder input."""
        shown = functional.pad(kept, (0, 1), value=True)[:, self.grid][:, :, None]
        return self.input_.tensors(torch.where(shown, self.input_.end, self.removed))

    def spread(self, scores: Float[np.ndarray, " unit"]) -> Float[Tensor, "view side side"]:
        """Return the score of the block of each pixel; 0 on the border."""
        return torch.from_numpy(np.append(scores, 0.0)[self.grid.numpy()])


def canvases(sample: Sample, featurizer: ImageFeaturizer, names: list[str]) -> list[Canvas]:
    """Return the placement of images on the canvas."""
    side, fit = featurizer.options.side, featurizer.options.fit
    found = []
    for name in names:
        with Image.open(BytesIO(sample.blobs(name).read_bytes())) as picture:
            width, height = picture.size
        found.append(Canvas(side, place(width, height, side, fit), width, height))
    return found


def cells_spread(cells: Float[Tensor, "picture cell"], side: int) -> Float[Tensor, "picture 1 side side"]:
    """Resize the scores of a map's cells, in reading order, to the canvas."""
    across = round(cells.shape[1] ** 0.5)
    return resized(cells.view(len(cells), across, across), side)


def resized(maps: Float[Tensor, "picture h w"], side: int) -> Float[Tensor, "picture 1 side side"]:
    """Resize coarse maps to the canvas bilinearly, preserving the sum of each."""
    sums = maps.sum(dim=(1, 2), keepdim=True)[:, None]
    spread = torch.nn.functional.interpolate(maps[:, None], (side, side), mode="bilinear", align_corners=False)
    total = spread.sum(dim=(2, 3), keepdim=True)
    return torch.where(total == 0, spread, spread * (sums / total))


class ImageExplanation(ModalityExplanation):
    """See `ModalityExplanation`."""

    signed: ClassVar[bool] = False

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
        """Return feature maps if a usual one is known, else pixels."""
        featurizer = sample.features.featurizers["image"]
        assert isinstance(featurizer, ImageFeaturizer)
        if baseline.map is not None and "tokens" in encoder.reads:
            return FeatureMapInput.of(sample.arrays["image"], baseline.map)
        return PixelInput(sample, featurizer, baseline, encoder)

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> ImageAttribution:
        """Return the map of each image and its placement on the canvas."""
        featurizer = sample.features.featurizers["image"]
        assert isinstance(input_, PixelInput | FeatureMapInput)
        assert isinstance(featurizer, ImageFeaturizer)
        views = featurizer.views
        if isinstance(input_, FeatureMapInput):
            scores = cells_spread(scores.sum(dim=2), featurizer.options.side)
        pictures = (
            PictureAttribution(name, views[code], np.array(of_picture[0], dtype=np.float32), canvas)
            for name, code, of_picture, canvas in zip(
                input_.names,
                input_.codes.tolist(),
                scores.numpy(),
                canvases(sample, featurizer, input_.names),
                strict=True,
            )
        )
        return ImageAttribution(tuple(pictures))


EXPLANATION = ImageExplanation()
