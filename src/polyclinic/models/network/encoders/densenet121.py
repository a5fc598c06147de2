"""Images: DenseNet-121 (Huang 2017, arXiv 1608.06993), from MONAI."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.images import PixelEncoder, load_weights
from polyclinic.models.network.encoders.optional import import_optional

CHANNELS = 1024
STRIDE = 32


class DenseNetEncoder(PixelEncoder):
    """The network with one grey channel, with random weights or those of MONAI's `features` in a safetensors file."""

    def __init__(self, sizes: ImageSizes, width: int, dropout: float) -> None:
        # imported here because it takes five seconds
        densenet = import_optional("monai.networks.nets.densenet", extra="densenet121")
        side = sizes.pixels // STRIDE
        super().__init__(sizes, width, dropout, channels=CHANNELS, cells=side * side)
        self.backbone = densenet.DenseNet121(spatial_dims=2, in_channels=1, out_channels=1).features

    def maps(self, pixels: Float[Tensor, "image 1 side side"]) -> Float[Tensor, "image cell 1024"]:
        """Return the last feature map of each image."""
        features: Tensor = functional.relu(self.backbone((pixels - 0.5) / 0.25))
        return features.flatten(2).transpose(1, 2)

    def start_from(self, path: Path) -> None:
        """Load a safetensors file; raises ValueError if it is of another network."""
        load_weights(self.backbone, path)
