"""What all image encoders share: several pictures per sample, some missing, and maps that become tokens."""

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.config import ImageSizes
from polyclinic.models.encoders.encoder import Encoder
from polyclinic.models.layers import Dropout, Seeds, initialise, positions_of, used_length
from polyclinic.models.tokens import Tokens

SEEDS = 8


class MapTokens(nn.Module):
    """Feature maps of the pictures → a few tokens, which learnt queries gather from cells that know place and view.

    A patient's pictures have hundreds of cells; the fusion, whose cost grows with the square of its tokens, gets
    `SEEDS` of them.
    """

    def __init__(self, channels: int, cells: int, views: int, width: int, dropout: float) -> None:
        super().__init__()
        # No scale and shift of its own (the projection has them): the largest tensor then needs no gradient.
        self.project = nn.Sequential(
            nn.LayerNorm(channels, elementwise_affine=False), Dropout(dropout), nn.Linear(channels, width)
        )
        self.cell = nn.Parameter(torch.zeros(cells, width))
        self.view = nn.Embedding(views, width)
        self.norm = nn.LayerNorm(width)
        self.seeds = Seeds(SEEDS, width, dropout)
        self.apply(initialise)

    def forward(
        self,
        maps: Float[Tensor, "picture cell channel"],
        view_mask: Bool[Tensor, "batch view"],
        view_code: Int[Tensor, "batch view"],
    ) -> Tokens:
        """Project the maps of the pictures that the mask has; the cells of one view follow one another."""
        length = used_length(view_mask)
        view_mask, view_code = view_mask[:, :length], view_code[:, :length]
        views = self.view(positions_of(view_code[view_mask], self.view.num_embeddings))
        pictures = self.norm(self.project(maps.float()) + self.cell + views[:, None])
        values = pictures.new_zeros(*view_mask.shape, *pictures.shape[1:]).index_put((view_mask,), pictures)
        cells = view_mask.repeat_interleave(maps.shape[1], dim=1)
        gathered = self.seeds(values.flatten(1, 2), cells)
        return Tokens(gathered, view_mask.any(dim=1, keepdim=True).expand(-1, gathered.shape[1]))


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
