"""Pictures through EfficientNet-lite0 with ImageNet weights (Tan & Le 2019, arXiv 1905.11946)."""

from typing import Self

from jaxtyping import Bool, Float, Int
from torch import Tensor

from polyclinic.features.backbones import efficientnet_lite0 as backbone
from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.pictures import MapTokens, PixelEncoder
from polyclinic.models.network.tokens import Tokens


class CachedEfficientNet(Encoder):
    """Projects the frozen network's fine map, which the image featurizer computed once per picture and cached."""

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
        """Project the maps of the views that are there."""
        projected: Tokens = self.tokens(tokens[view_mask], view_mask, view_code)
        return projected


class LiveEfficientNet(PixelEncoder):
    """Runs the network on the pixels, frozen or fine-tuned; the same parameters read the maps as for cached ones.

    Fine-tuning trains every weight, but keeps the statistics of the batch norms: small batches would spoil them.
    """

    def __init__(self, sizes: ImageSizes, width: int, dropout: float, fine_tune: bool = True) -> None:
        side = -(-sizes.pixels // backbone.FINE_STRIDE)
        super().__init__(sizes, width, dropout, channels=backbone.FINE, cells=side * side)
        self.fine_tune = fine_tune
        self.backbone = backbone.load().cut()
        self.backbone.requires_grad_(fine_tune)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the network, whose batch norms keep their statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def maps(self, pixels: Float[Tensor, "picture 1 side side"]) -> Float[Tensor, "picture cell 112"]:
        """Give the fine map of each picture."""
        features = self.backbone.fine(backbone.canonical_to_input(pixels))
        return features.flatten(2).transpose(1, 2)


def efficientnet_lite0(
    sizes: ImageSizes, width: int, dropout: float, live: bool = False, fine_tune: bool = True
) -> Encoder:
    """Build the encoder for cached maps, or with `live` the one for pixels."""
    if live:
        return LiveEfficientNet(sizes, width, dropout, fine_tune)
    return CachedEfficientNet(sizes, width, dropout)
