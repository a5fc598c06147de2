"""Electrocardiograms through a one-dimensional xresnet.

The network of Strodthoff et al. 2021 (arXiv 2004.13701; the best of their benchmark on PTB-XL), with the changes to
ResNet of He et al. 2019 (arXiv 1812.01187): a stem of three convolutions, shortcuts that average before they project,
and blocks that start as the identity. Narrower and shallower by default, for a few thousand recordings.

Maps are computed as images of one row whose channels lie side by side in memory, `[record, channel, 1, time]`: on a
CPU, a step of training then takes two thirds of the time.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.config import WaveformSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import Dropout, initialise
from polyclinic.models.network.tokens import Tokens

STEM_KERNEL, KERNEL = 5, 5
DAY_HOURS = 24.0


class RowConv(nn.Conv1d):
    """A convolution over time of images of one row."""

    def forward(self, input: Float[Tensor, "record channel 1 time"]) -> Float[Tensor, "record channels 1 times"]:
        """Convolve."""
        stride, padding = (1, self.stride[0]), (0, int(self.padding[0]))
        return functional.conv2d(input, self.weight[:, :, None], self.bias, stride, padding)


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and, unless `activate` is False, ReLU; keeps the length divided by the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, activate: bool = True) -> None:
        convolution = RowConv(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs)]
        super().__init__(*layers, *([nn.ReLU()] if activate else []))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which averages and projects where the shape changes (ResNet-D)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            ConvNorm(inputs, outputs, KERNEL, stride), ConvNorm(outputs, outputs, KERNEL, activate=False)
        )
        nn.init.zeros_(self.convolutions[1][1].weight)  # type: ignore[index]  # the block starts as the identity
        shortcut: list[nn.Module] = [nn.AvgPool2d((1, stride), ceil_mode=True)] if stride > 1 else []
        if inputs != outputs:
            shortcut.append(ConvNorm(inputs, outputs, 1, activate=False))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Float[Tensor, "record channel 1 time"]) -> Float[Tensor, "record channels 1 times"]:
        """Add what the convolutions find to the shortcut."""
        return functional.relu(self.shortcut(x) + self.convolutions(x))


class XResNet1d(Encoder):
    """Two tokens of each recording: the mean and the maximum over its time of the last feature map.

    Values that are not valid count as 0. Which leads are there, and each lead's scale, are added to the stem's output;
    the age of the recording to its tokens.
    """

    modality = "waveform"
    reads = ("signal", "valid", "log_scale", "age_hours", "age_known")
    unimodal_pretraining = True

    def __init__(
        self,
        sizes: WaveformSizes,
        width: int,
        dropout: float,
        stem: int = 32,
        channels: tuple[int, ...] = (48, 64, 96, 128),
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvNorm(sizes.leads, stem, STEM_KERNEL, stride=2),
            ConvNorm(stem, stem, STEM_KERNEL),
            ConvNorm(stem, channels[0], STEM_KERNEL),
        )
        self.lead = nn.Linear(2 * sizes.leads, channels[0])
        self.pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))
        inputs = (channels[0], *channels[:-1])
        self.stages = nn.Sequential(
            *(
                ResidualBlock(into if block == 0 else out, out, 2 if stage > 0 and block == 0 else 1)
                for stage, (into, out) in enumerate(zip(inputs, channels, strict=True))
                for block in range(blocks)
            )
        )
        self.halvings = len(channels) + 1
        self.tokens = nn.Sequential(
            nn.BatchNorm1d(2 * channels[-1]), Dropout(dropout), nn.Linear(2 * channels[-1], 2 * width)
        )
        self.age = nn.Linear(2, width)
        self.norm = nn.LayerNorm(width)
        for layer in (self.lead, self.tokens, self.age):
            layer.apply(initialise)

    def forward(
        self,
        signal: Float[Tensor, "batch record lead time"],
        valid: Bool[Tensor, "batch record lead time"],
        log_scale: Float[Tensor, "batch record lead"],
        age_hours: Float[Tensor, "batch record"],
        age_known: Bool[Tensor, "batch record"],
    ) -> Tokens:
        """Encode the recordings with a valid value; the others are never computed."""
        leads = valid.any(dim=3)
        there = leads.any(dim=2)
        traces = self.traces(signal[there], valid[there])
        found = self.encoded(traces, valid[there].any(dim=1), leads[there], log_scale[there])
        found = self.norm(found + self.aged(age_hours[there], age_known[there])[:, None])
        shape = (*there.shape, *found.shape[1:])
        values = found.new_zeros(shape).index_put((there,), found)
        return Tokens(values.flatten(1, 2), there.repeat_interleave(shape[2], dim=1))

    def traces(
        self, signal: Float[Tensor, "record lead time"], valid: Bool[Tensor, "record lead time"]
    ) -> Float[Tensor, "record lead time"]:
        """Set what is not valid to 0."""
        return signal.to(self.lead.weight.dtype).masked_fill(~valid, 0)

    def encoded(
        self,
        traces: Float[Tensor, "record lead time"],
        recorded: Bool[Tensor, "record time"],
        leads: Bool[Tensor, "record lead"],
        log_scale: Float[Tensor, "record lead"],
    ) -> Float[Tensor, "record 2 width"]:
        """Return the two tokens of each recording, from the times at which anything was recorded."""
        facts = torch.cat([leads.to(traces.dtype), log_scale.masked_fill(~leads, 0)], dim=1)
        rows = traces.transpose(1, 2).contiguous().transpose(1, 2)[:, :, None]
        maps = self.stages(self.pool(functional.relu(self.stem(rows) + self.lead(facts)[:, :, None, None])))[:, :, 0]
        times = self.remaining(recorded, maps.shape[2])
        mean = maps.masked_fill(~times[:, None], 0).sum(dim=2) / times.sum(dim=1, keepdim=True)
        highest = maps.masked_fill(~times[:, None], -torch.inf).amax(dim=2)
        tokens: Tensor = self.tokens(torch.cat([mean, highest], dim=1))
        return tokens.view(len(tokens), 2, -1)

    def remaining(self, recorded: Bool[Tensor, "record time"], length: int) -> Bool[Tensor, "record place"]:
        """Return which places of the last map cover a time at which anything was recorded."""
        cover = 2**self.halvings
        padded = functional.pad(recorded, (0, max(0, cover * length - recorded.shape[1])))[:, : cover * length]
        return padded.view(len(recorded), length, cover).any(dim=2)

    def aged(self, hours: Float[Tensor, " record"], known: Bool[Tensor, " record"]) -> Float[Tensor, "record width"]:
        """Return what the age of each recording adds to its tokens."""
        days = torch.log1p(hours.masked_fill(~known, 0).clamp_min(0) / DAY_HOURS)
        added: Tensor = self.age(torch.stack([days, known.to(days.dtype)], dim=1).to(self.age.weight.dtype))
        return added
