"""Images: a vision transformer (Dosovitskiy 2021, arXiv 2010.11929), from Hugging Face."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.images import PixelEncoder
from polyclinic.models.network.encoders.optional import import_optional

if TYPE_CHECKING:
    from transformers import ViTConfig

HEAD_WIDTH = 64


class ViTEncoder(PixelEncoder):
    """The transformer's patch tokens.

    Random weights by default; `start_from` loads a local folder in Hugging Face's layout, whose options `vit_options`
    reads. The default is the tiny model of Touvron 2021 (arXiv 2012.12877) with half its depth and patches of 32
    pixels, which suits a few hundred images.
    """

    def __init__(
        self,
        sizes: ImageSizes,
        width: int,
        dropout: float,
        hidden: int = 192,
        layers: int = 6,
        patch: int = 32,
        colours: int = 1,
    ) -> None:
        transformers = import_optional("transformers", extra="vit")  # imported here because it takes seconds
        across = sizes.pixels // patch
        sizes = sizes.model_copy(update={"pixels": across * patch})
        super().__init__(sizes, width, dropout, channels=hidden, cells=across * across)
        self.colours = colours
        config = _config(sizes.pixels, hidden, layers, patch, colours)
        self.backbone = transformers.ViTModel(config, add_pooling_layer=False)

    def maps(self, pixels: Float[Tensor, "image 1 side side"]) -> Float[Tensor, "image cell channel"]:
        """Return the last patch tokens, without the class token."""
        hidden: Tensor = self.backbone(pixel_values=self.colours_of(pixels)).last_hidden_state
        return hidden[:, 1:]

    def colours_of(self, pixels: Float[Tensor, "image 1 side side"]) -> Float[Tensor, "image colour side side"]:
        """Scale the images to -1 … 1 and expand them to the transformer's channels."""
        return ((pixels - 0.5) / 0.5).expand(-1, self.colours, -1, -1)

    def start_from(self, path: Path) -> None:
        """Load the weights in the folder `path`; raises ValueError if they are of another architecture."""
        from transformers import ViTModel

        pretrained = ViTModel.from_pretrained(
            path, local_files_only=True, use_safetensors=True, add_pooling_layer=False
        )
        try:
            self.backbone.load_state_dict(pretrained.state_dict())
        except RuntimeError as error:
            raise ValueError(f"{path.name}: a ViT of another shape; build it with {vit_options(path)}") from error


def vit_options(folder: Path) -> dict[str, Any]:
    """Read the encoder's options from a folder's config.json, to match its weights."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: no config.json; give a folder with a ViT's config.json and model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {
        "hidden": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "patch": config["patch_size"],
        "colours": config["num_channels"],
    }


def _config(pixels: int, hidden: int, layers: int, patch: int, colours: int) -> "ViTConfig":
    from transformers import ViTConfig

    return ViTConfig(
        image_size=pixels,
        patch_size=patch,
        num_channels=colours,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // HEAD_WIDTH),
        intermediate_size=4 * hidden,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
