"""Changes of a training picture that do not change what it shows: a patient a little turned, another exposure."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How far pictures may be changed; each change is drawn evenly between minus and plus its limit."""

    rotation_degrees: float = 7.0
    shift: float = 0.05  # of the picture's side
    zoom: float = 0.1  # 0.1: from 1/1.1 to 1.1 times as large
    brightness: float = 0.08  # added
    contrast: float = 0.2  # 0.2: from 1/1.2 to 1.2 times, about the middle grey
    noise: float = 0.01  # standard deviation, at most
    flip: float = 0.0  # chance of left for right; 0, because the heart has a side


class Augment(nn.Module):
    """Changes every picture in its own way while training, and none in evaluation."""

    def __init__(self, limits: Augmentation | None = None) -> None:
        super().__init__()
        self.limits = limits or Augmentation()

    def forward(
        self, pixels: Float[Tensor, "picture 1 h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "picture 1 h w"]:
        """Change canonical pictures; what leaves 0..1 is cut off, and black stays black.

        The same generator in the same state gives the same pictures.
        """
        if not self.training or not len(pixels):
            return pixels
        draw = _Draw(len(pixels), pixels.device, generator)
        return self._exposed(self._moved(pixels, draw), draw)

    def _moved(self, pixels: Tensor, draw: "_Draw") -> Tensor:
        limits, (height, width) = self.limits, pixels.shape[2:]
        angle = draw.even(limits.rotation_degrees).deg2rad()
        zoom = (1 + limits.zoom) ** draw.even(1.0)
        mirror = 1 - 2 * (draw.unit() < limits.flip).float()
        across, down = draw.even(2 * limits.shift), draw.even(2 * limits.shift)
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

    def _exposed(self, pixels: Tensor, draw: "_Draw") -> Tensor:
        limits = self.limits
        contrast = (1 + limits.contrast) ** draw.even(1.0)[:, None, None, None]
        brightness = draw.even(limits.brightness)[:, None, None, None]
        noise = draw.unit()[:, None, None, None] * limits.noise * draw.normal(pixels)
        exposed = ((pixels - 0.5) * contrast + 0.5 + brightness + noise).clamp(0, 1)
        return torch.where(pixels > 0, exposed, pixels)


class _Draw:
    """Random numbers, one per picture."""

    def __init__(self, pictures: int, device: torch.device, generator: torch.Generator | None) -> None:
        self.pictures, self.device, self.generator = pictures, device, generator

    def unit(self) -> Float[Tensor, " picture"]:
        """Draw between 0 and 1."""
        return torch.rand(self.pictures, generator=self.generator, device=self._source).to(self.device)

    def even(self, limit: float) -> Float[Tensor, " picture"]:
        """Draw between minus and plus `limit`."""
        return (2 * self.unit() - 1) * limit

    def normal(self, like: Tensor) -> Tensor:
        """Draw from the normal distribution, a number for each pixel."""
        noise = torch.randn(like.shape, generator=self.generator, device=self._source, dtype=like.dtype)
        return noise.to(self.device)

    @property
    def _source(self) -> torch.device:
        """The generator's device, which need not be the pictures': one seed then gives the same on every device."""
        return self.device if self.generator is None else self.generator.device
