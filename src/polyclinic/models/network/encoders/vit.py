"""Pictures through a vision transformer (Dosovitskiy 2021, arXiv 2010.11929), as Hugging Face builds it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from polyclinic.models.network.config import ImageSizes
from polyclinic.models.network.encoders.optional import import_optional
from polyclinic.models.network.encoders.pictures import PixelEncoder

if TYPE_CHECKING:
    from transformers import ViTConfig

HEAD_WIDTH = 64


class ViTEncoder(PixelEncoder):
    """The transformer's patch tokens.

    Starts at random; `start_from` takes a local folder in Hugging Face's layout, whose shape `vit_options` reads.
    The default is the tiny model of Touvron 2021 (arXiv 2012.12877) at half its depth and with patches of 32 pixels:
    a few hundred pictures have no use for more.
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

    def maps(self, pixels: Float[Tensor, "picture 1 side side"]) -> Float[Tensor, "picture cell channel"]:
        """Give the last tokens of the patches, without the class token."""
        hidden: Tensor = self.backbone(pixel_values=self.colours_of(pixels)).last_hidden_state
        return hidden[:, 1:]

    def colours_of(self, pixels: Float[Tensor, "picture 1 side side"]) -> Float[Tensor, "picture colour side side"]:
        """Give the pictures as the transformer reads them: from -1 to 1."""
        return ((pixels - 0.5) / 0.5).expand(-1, self.colours, -1, -1)

    def start_from(self, path: Path) -> None:
        """Take the weights of the folder `path`; raises ValueError if they are of another shape."""
        from transformers import ViTModel

        given = ViTModel.from_pretrained(path, local_files_only=True, use_safetensors=True, add_pooling_layer=False)
        try:
            self.backbone.load_state_dict(given.state_dict())
        except RuntimeError as problem:
            raise ValueError(f"{path.name}: a ViT of another shape; build it with {vit_options(path)}") from problem


def vit_options(folder: Path) -> dict[str, Any]:
    """Read the encoder's options from a folder's config.json, so that its weights fit."""
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder}: no config.json there; give a folder with a ViT's config.json and model.safetensors"
        )
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
