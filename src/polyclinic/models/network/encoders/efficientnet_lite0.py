"""Images: EfficientNet-lite0 with ImageNet weights (Tan & Le 2019, arXiv 1905.11946)."""

from typing import Self

from jaxtyping import Bool, Float, Int
from torch import Tensor

from polyclinic.features.backbones import efficientnet_lite0 as backbone
from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.images import MapTokens, PixelEncoder
from polyclinic.models.network.tokens import Tokens


class CachedEfficientNet(Encoder):
    """Projection of the frozen network's fine map, computed and cached by the image featurizer."""

    modality = "image"
    reads = ("tokens", "view_mask", "view_code")
    unimodal_pretraining = True

    def __init__(self, sizes: ImageSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.tokens = MapTokens(sizes.channels, sizes.cells, sizes.views, width, dropout)

    def forward(
        self,
        tokens: Float[Tensor, "batch view cell channel"],
        view_mask: Bool[Tensor, "batch view"],
        view_code: Int[Tensor, "batch view"],
    ) -> Tokens:
        """Project the maps of the present views."""
        projected: Tokens = self.tokens(tokens[view_mask], view_mask, view_code)
        return projected


class LiveEfficientNet(PixelEncoder):
    """The network on pixels, frozen or fine-tuned, with the same projection as for cached maps.

    Fine-tuning trains every weight, but keeps the batch-norm statistics, since batches are small.
    """

    def __init__(self, sizes: ImageSizes, width: int, dropout: float, fine_tune: bool = True) -> None:
        side = -(-sizes.pixels // backbone.FINE_STRIDE)
        super().__init__(sizes, width, dropout, channels=backbone.FINE, cells=side * side)
        self.fine_tune = fine_tune
        self.backbone = backbone.load().cut()
        self.backbone.requires_grad_(fine_tune)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all except the backbone, whose batch norms keep their statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def maps(self, pixels: Float[Tensor, "image 1 side side"]) -> Float[Tensor, "image cell 112"]:
        """Return the fine map of each image."""
        features = self.backbone.fine(backbone.canonical_to_input(pixels))
        return features.flatten(2).transpose(1, 2)


def efficientnet_lite0(
    sizes: ImageSizes, width: int, dropout: float, live: bool = False, fine_tune: bool = True
) -> Encoder:
    """Build the encoder of cached maps, or with `live` that of pixels."""
    if live:
        return LiveEfficientNet(sizes, width, dropout, fine_tune)
    return CachedEfficientNet(sizes, width, dropout)
