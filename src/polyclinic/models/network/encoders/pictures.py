"""What all image encoders share: several pictures per sample, some missing, and maps that become tokens."""

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import Dropout, initialise, masked_mean, positions_of, used_length
from polyclinic.models.network.tokens import Tokens

LEAST_SHARPNESS = 0.1
"""Of a detector's pooling: at 0 it would be the mean."""


class MapTokens(nn.Module):
    """Feature maps of the pictures → two tokens: what is seen most clearly anywhere, and what is seen on the whole.

    Each cell, which knows its place and the view, looks at its neighbours and becomes `width` detectors. A lesion is
    seen in few of a picture's cells, and a mean over all would drown it. So each detector is also pooled by the
    logarithm of the mean of exponentials (Pinheiro & Collobert 2015, arXiv 1411.6228), a maximum whose sharpness is
    learnt: gradients of an answer then lead to the cells that it rests on.
    """

    def __init__(self, channels: int, cells: int, views: int, width: int, dropout: float) -> None:
        super().__init__()
        # No scale and shift of its own (the projection has them): the largest tensor then needs no gradient.
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
        maps: Float[Tensor, "picture cell channel"],
        view_mask: Bool[Tensor, "batch view"],
        view_code: Int[Tensor, "batch view"],
    ) -> Tokens:
        """Detect in the maps of the pictures that the mask has, and pool over all of a sample's."""
        length = used_length(view_mask)
        view_mask, view_code = view_mask[:, :length], view_code[:, :length]
        views = self.view(positions_of(view_code[view_mask], self.view.num_embeddings))
        found = self.detected(maps, views)
        values = found.new_zeros(*view_mask.shape, *found.shape[1:]).index_put((view_mask,), found)
        cells = view_mask.repeat_interleave(maps.shape[1], dim=1)
        pooled = self.pooled(values.flatten(1, 2), cells)
        return Tokens(pooled, view_mask.any(dim=1, keepdim=True).expand(-1, pooled.shape[1]))

    def detected(
        self, maps: Float[Tensor, "picture cell channel"], views: Float[Tensor, "picture width"]
    ) -> Float[Tensor, "picture cell width"]:
        """Give what is seen in each cell."""
        cells = functional.gelu(self.project(maps.float()) + self.cell + views[:, None])
        side = round(maps.shape[1] ** 0.5)
        around: Tensor = self.look(cells.transpose(1, 2).reshape(len(cells), -1, side, side))
        return cells + around.flatten(2).transpose(1, 2)

    def pooled(
        self, cells: Float[Tensor, "batch cell width"], there: Bool[Tensor, "batch cell"]
    ) -> Float[Tensor, "batch 2 width"]:
        """Pool the cells that are there; a sample without any gets what means nothing."""
        sharpness = functional.softplus(self.sharpness) + LEAST_SHARPNESS
        lonely = ~there.any(dim=1, keepdim=True)
        hidden = (cells * sharpness).masked_fill(~(there | lonely)[..., None], -torch.inf)
        count = there.sum(dim=1, keepdim=True).clamp_min(1)
        clearest = (hidden.logsumexp(dim=1) - count.log()) / sharpness
        tokens: Tensor = self.tokens(torch.cat([clearest, masked_mean(cells, there)], dim=1))
        return tokens.view(len(tokens), 2, -1)


class PixelEncoder(Encoder):
    """Runs a network over the pictures that are there, and makes its maps into tokens.

    Pictures are grey, 0 = black to 1 = white; another range is refused, since it would give a bad prediction
    without a word.
    """

    modality = "image"
    reads = ("pixels", "view_mask", "view_code")

    def __init__(self, sizes: ImageSizes, width: int, dropout: float, channels: int, cells: int) -> None:
        super().__init__()
        self.side = sizes.pixels
        self.tokens = MapTokens(channels, cells, sizes.views, width, dropout)

    def maps(self, pixels: Float[Tensor, "picture 1 side side"]) -> Float[Tensor, "picture cell channel"]:
        """Give the last feature map of each picture, its cells in reading order."""
        raise NotImplementedError

    def forward(
        self,
        pixels: Float[Tensor, "batch view 1 height width"],
        view_mask: Bool[Tensor, "batch view"],
        view_code: Int[Tensor, "batch view"],
    ) -> Tokens:
        """Encode the pictures that the mask has; the others are never computed."""
        maps = self.maps(self.prepared(pixels[view_mask]))
        tokens: Tokens = self.tokens(maps, view_mask, view_code)
        return tokens

    def prepared(self, pictures: Float[Tensor, "picture 1 height width"]) -> Float[Tensor, "picture 1 side side"]:
        """Give the pictures at the network's size; raises ValueError for another range of intensities."""
        if len(pictures) and (pictures.amin() < -0.01 or pictures.amax() > 1.01):
            raise ValueError("pictures must be canonical, 0 = black to 1 = white: read them with the image featurizer")
        if pictures.shape[2:] == (self.side, self.side):
            return pictures
        return functional.interpolate(pictures, (self.side, self.side), mode="bilinear", antialias=True)


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into `network`; raises ValueError if it is another kind of file or another network's."""
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: weights are read from .safetensors files only; convert the file first")
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as problem:
        raise ValueError(f"{path.name}: not the weights of {type(network).__name__} ({problem})") from problem
