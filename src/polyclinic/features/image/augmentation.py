"""Random augmentation of training images: position and exposure."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Limits of the augmentation; each change is drawn uniformly between minus and plus its limit."""

    rotation_degrees: float = 7.0
    shift: float = 0.05  # of the image's side
    zoom: float = 0.1  # 0.1: factors from 1/1.1 to 1.1
    brightness: float = 0.08  # added
    contrast: float = 0.2  # 0.2: factors from 1/1.2 to 1.2, about mid-grey
    noise: float = 0.01  # maximum standard deviation
    flip: float = 0.0  # probability of a left-right flip; 0, because anatomy is asymmetric


class Augment(nn.Module):
    """Augment each image independently in training mode; do nothing in evaluation mode."""

    def __init__(self, limits: Augmentation | None = None) -> None:
        super().__init__()
        self.limits = limits or Augmentation()

    def forward(
        self, pixels: Float[Tensor, "image 1 h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "image 1 h w"]:
        """Augment canonical images; results are clipped to 0..1, and black stays black.

        Deterministic for a given generator state.
        """
        if not self.training or not len(pixels):
            return pixels
        draw = _Draw(len(pixels), pixels.device, generator)
        return self._exposure_changed(self._transformed(pixels, draw), draw)

    def _transformed(self, pixels: Tensor, draw: "_Draw") -> Tensor:
        limits, (height, width) = self.limits, pixels.shape[2:]
        angle = draw.symmetric(limits.rotation_degrees).deg2rad()
        zoom = (1 + limits.zoom) ** draw.symmetric(1.0)
        mirror = 1 - 2 * (draw.uniform() < limits.flip).float()
        across, down = draw.symmetric(2 * limits.shift), draw.symmetric(2 * limits.shift)
        sine, cosine = angle.sin() / zoom, angle.cos() / zoom
        to_source = torch.stack(
            [
                torch.stack([cosine * mirror, -sine * height / width, across], dim=1),
                torch.stack([sine * mirror * width / height, cosine, down], dim=1),
            ],
            dim=1,
        )
        grid = functional.affine_grid(to_source.to(pixels.dtype), list(pixels.shape), align_corners=False)
        return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def _exposure_changed(self, pixels: Tensor, draw: "_Draw") -> Tensor:
        limits = self.limits
        contrast = (1 + limits.contrast) ** draw.symmetric(1.0)[:, None, None, None]
        brightness = draw.symmetric(limits.brightness)[:, None, None, None]
        noise = draw.uniform()[:, None, None, None] * limits.noise * draw.normal(pixels)
        exposed = ((pixels - 0.5) * contrast + 0.5 + brightness + noise).clamp(0, 1)
        return torch.where(pixels > 0, exposed, pixels)


class _Draw:
    """Random numbers per image."""

    def __init__(self, images: int, device: torch.device, generator: torch.Generator | None) -> None:
        self.images, self.device, self.generator = images, device, generator

    def uniform(self) -> Float[Tensor, " image"]:
        """Draw uniformly from 0 to 1."""
        return torch.rand(self.images, generator=self.generator, device=self._source).to(self.device)

    def symmetric(self, limit: float) -> Float[Tensor, " image"]:
        """Draw uniformly from minus to plus `limit`."""
        return (2 * self.uniform() - 1) * limit

    def normal(self, like: Tensor) -> Tensor:
        """Draw from the standard normal distribution for each pixel."""
        noise = torch.randn(like.shape, generator=self.generator, device=self._source, dtype=like.dtype)
        return noise.to(self.device)

    @property
    def _source(self) -> torch.device:
        """The device of the generator, so that one seed gives the same numbers whatever the images' device."""
        return self.device if self.generator is None else self.generator.device
