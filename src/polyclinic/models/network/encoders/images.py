"""Parts shared by image encoders: several images per sample, some missing, and tokens from feature maps."""

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import Dropout, initialise, positions_of, used_length
from polyclinic.models.network.tokens import Tokens

MIN_SHARPNESS = 0.1
"""Lower bound of the sharpness of pooling; at 0 it would be the mean."""


class MapTokens(nn.Module):
    """Feature maps of the images → two tokens: soft maximum and mean over all cells.

    Each cell, with embeddings of its position and view, is convolved with its neighbours into `width` detectors. A
    lesion is visible in few cells, and a mean would dilute it. So each detector is also pooled by log-mean-exp
    (Pinheiro & Collobert 2015, arXiv 1411.6228), a maximum of learnt sharpness, whose gradients point to the relevant
    cells.
    """

    def __init__(self, channels: int, cells: int, views: int, width: int, dropout: float) -> None:
        super().__init__()
        # No affine parameters (the projection has them), so that the largest tensor needs no gradient.
        self.project = nn.Sequential(
            nn.LayerNorm(channels, elementwise_affine=False), Dropout(dropout), nn.Linear(channels, width)
        )
        self.cell = nn.Parameter(torch.zeros(cells, width))
        self.view = nn.Embedding(views, width)
        self.look = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.Conv2d(width, width, 1), nn.GELU()
        )
        self.sharpness = nn.Parameter(torch.ones(width))
        self.tokens = nn.Sequential(nn.LayerNorm(2 * width), Dropout(dropout), nn.Linear(2 * width, 2 * width))
        self.apply(initialise)

    def forward(
        self,
        maps: Float[Tensor, "image cell channel"],
        view_mask: Bool[Tensor, "batch view"],
        view_code: Int[Tensor, "batch view"],
    ) -> Tokens:
        """Apply the detectors to the maps of present images, and pool over all images of a sample."""
        length = used_length(view_mask)
        view_mask, view_code = view_mask[:, :length], view_code[:, :length]
        views = self.view(positions_of(view_code[view_mask], self.view.num_embeddings))
        pooled = self.pool(self.detect(maps, views), view_mask)
        return Tokens(pooled, view_mask.any(dim=1, keepdim=True).expand(-1, pooled.shape[1]))

    def detect(
        self, maps: Float[Tensor, "image cell channel"], views: Float[Tensor, "image width"]
    ) -> Float[Tensor, "image cell width"]:
        """Return the detectors of each cell."""
        cells = functional.gelu(self.project(maps.float()) + self.cell + views[:, None])
        side = round(maps.shape[1] ** 0.5)
        # Channels stay side by side in memory, as convolutions are computed fastest.
        around: Tensor = self.look(cells.reshape(len(cells), side, side, cells.shape[2]).permute(0, 3, 1, 2))
        return cells + around.flatten(2).transpose(1, 2)

    def pool(
        self, cells: Float[Tensor, "image cell width"], view_mask: Bool[Tensor, "batch view"]
    ) -> Float[Tensor, "batch 2 width"]:
        """Pool the cells of each image, then the images of each sample; without any, the result is meaningless."""
        sharpness = functional.softplus(self.sharpness) + MIN_SHARPNESS
        count = (view_mask.sum(dim=1, keepdim=True) * cells.shape[1]).clamp_min(1)
        logs, totals = (cells * sharpness).logsumexp(dim=1), cells.sum(dim=1)
        no_image = ~view_mask.any(dim=1)[:, None, None]
        by_view = _by_view(logs, view_mask, -torch.inf).masked_fill(no_image, 0)
        soft_maximum = (by_view.logsumexp(dim=1) - count.log()) / sharpness
        mean = _by_view(totals, view_mask, 0).sum(dim=1) / count
        tokens: Tensor = self.tokens(torch.cat([soft_maximum, mean], dim=1))
        return tokens.view(len(tokens), 2, -1)


def _by_view(
    values: Float[Tensor, "image width"], view_mask: Bool[Tensor, "batch view"], absent: float
) -> Float[Tensor, "batch view width"]:
    """Arrange the values of the images by sample and view."""
    return values.new_full((*view_mask.shape, values.shape[1]), absent).index_put((view_mask,), values)


class PixelEncoder(Encoder):
    """Base class of encoders that run a network on pixels and convert its maps to tokens.

    Images are grey, 0 = black to 1 = white; another range raises an error, since predictions would be silently wrong.
    """

    modality = "image"
    reads = ("pixels", "view_mask", "view_code")

    def __init__(self, sizes: ImageSizes, width: int, dropout: float, channels: int, cells: int) -> None:
        super().__init__()
        self.side = sizes.pixels
        self.tokens = MapTokens(channels, cells, sizes.views, width, dropout)

    def maps(self, pixels: Float[Tensor, "image 1 side side"]) -> Float[Tensor, "image cell channel"]:
        """Return the last feature map of each image, its cells in reading order."""
        raise NotImplementedError

    def forward(
        self,
        pixels: Float[Tensor, "batch view 1 height width"],
        view_mask: Bool[Tensor, "batch view"],
        view_code: Int[Tensor, "batch view"],
    ) -> Tokens:
        """Encode the present images; the others are not computed."""
        maps = self.maps(self.prepared(pixels[view_mask]))
        tokens: Tokens = self.tokens(maps, view_mask, view_code)
        return tokens

    def prepared(self, images: Float[Tensor, "image 1 height width"]) -> Float[Tensor, "image 1 side side"]:
        """Resize the images to the network's size; raises ValueError if their range is not canonical."""
        if len(images) and (images.amin() < -0.01 or images.amax() > 1.01):
            raise ValueError("images must be canonical, 0 = black to 1 = white: read them with the image featurizer")
        if images.shape[2:] == (self.side, self.side):
            return images
        return functional.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into `network`; raises ValueError if it is another file type or of another network."""
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: weights are read from .safetensors files only; convert the file first")
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ValueError(f"{path.name}: not the weights of {type(network).__name__} ({error})") from error
