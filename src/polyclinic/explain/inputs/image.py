"""Images as differentiable inputs: pixels, or the feature maps of the frozen backbone."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays, ImageFeaturizer
from polyclinic.features.backbones.efficientnet_lite0 import EfficientNetLite0, canonical_to_input
from polyclinic.features.image.embeddings import frozen_network as frozen_pictures
from polyclinic.features.image.preprocessing import canonical, read_picture
from polyclinic.models.network.encoders import Encoder


class PixelInput(DifferentiableInput):
    """Pictures: their pixels, `[view, 1, side, side]`, through the frozen network where the encoder reads its maps."""

    def __init__(self, sample: Sample, featurizer: ImageFeaturizer, baseline: Baseline, encoder: Encoder) -> None:
        arrays, options = sample.arrays["image"], featurizer.options
        self.chosen = np.flatnonzero(arrays["view_mask"][0])
        self.names = [str(arrays["blob"][0, view]) for view in self.chosen]
        self.codes = torch.from_numpy(np.asarray(arrays["view_code"][0])[self.chosen])
        stored = [read_picture(sample.blobs(name).read_bytes(), name, options.side, options.fit) for name in self.names]
        self.end = torch.from_numpy(canonical(np.stack(stored)))[:, None]
        self.start = baseline.pictures(self.end)
        self._frozen = frozen_pictures(options.backbone, "cpu") if "tokens" in encoder.reads else None

    def tensors(self, x: Float[Tensor, "step view 1 side side"]) -> dict[str, Tensor]:
        """Give `tokens` (or `pixels`), `view_mask` and `view_code`."""
        steps, views = x.shape[:2]
        there = {
            "view_mask": torch.ones(steps, views, dtype=torch.bool),
            "view_code": self.codes.expand(steps, -1),
        }
        if self._frozen is None:
            return {"pixels": x, **there}
        maps = self.maps(x).flatten(2).transpose(1, 2)
        return {"tokens": maps.reshape(steps, views, *maps.shape[1:]), **there}

    @property
    def frozen(self) -> EfficientNetLite0 | None:
        """Give the frozen network, where the encoder reads its maps."""
        return self._frozen

    def maps(self, x: Float[Tensor, "step view 1 side side"]) -> Float[Tensor, "step*view channel h w"]:
        """Run the frozen network."""
        pictures = canonical_to_input(x.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self._frozen.fine(pictures)  # type: ignore[union-attr]
        return maps


class FeatureMapInput(DifferentiableInput):
    """Pictures as the frozen network gives them, `[view, cell, channel]`: the path begins at the usual map."""

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
        """Take the maps that the cache holds."""
        chosen = np.flatnonzero(arrays["view_mask"][0])
        names = [str(arrays["blob"][0, view]) for view in chosen]
        codes = torch.from_numpy(np.asarray(arrays["view_code"][0])[chosen])
        return cls(names, codes, torch.from_numpy(np.asarray(arrays["tokens"][0])[chosen]).float(), usual)

    def tensors(self, x: Float[Tensor, "step view cell channel"]) -> dict[str, Tensor]:
        """Give `tokens`, `view_mask` and `view_code`."""
        steps, views = x.shape[:2]
        return {
            "tokens": x,
            "view_mask": torch.ones(steps, views, dtype=torch.bool),
            "view_code": self.codes.expand(steps, -1),
        }
