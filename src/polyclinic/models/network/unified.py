"""The unified model: every input a patient has → one latent → every task asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.batch import Batch
from polyclinic.models.network.config import HeadConfig, ModelConfig
from polyclinic.models.network.encoders import Encoder, build_encoder, encode_present
from polyclinic.models.network.fusions import build_fusion
from polyclinic.models.network.heads import Head, build_head
from polyclinic.models.network.layers import AttentionPool, Dropout, masked_mean
from polyclinic.models.network.tokens import Tokens, emptied


class Outputs(NamedTuple):
    """What the model says of a batch."""

    logits: dict[str, Float[Tensor, "batch output"]]  # by task; `heads[task].activate` gives probabilities
    latent: Float[Tensor, "batch width"]
    unimodal: dict[str, Float[Tensor, "batch modality output"]]  # each modality's own logits; empty without shortcut


class UnimodalHeads(nn.Module):
    """What each modality alone says of each task: a linear read-out of its pooled tokens."""

    def __init__(self, modalities: int, heads: Mapping[str, HeadConfig], width: int, dropout: float) -> None:
        super().__init__()
        self.pools = nn.ModuleList(AttentionPool(width) for _ in range(modalities))
        self.dropout = Dropout(dropout)
        self.weights = nn.ParameterDict(
            {task: torch.randn(modalities, width, head.outputs) * 0.02 for task, head in heads.items()}
        )
        self.biases = nn.ParameterDict({task: torch.zeros(modalities, head.outputs) for task, head in heads.items()})

    def of(self, place: int, tokens: Tokens) -> dict[str, Float[Tensor, "batch output"]]:
        """Read one modality out, by its place."""
        pooled = self.dropout(self.pools[place](*tokens))
        return {task: pooled @ weight[place] + self.biases[task][place] for task, weight in self.weights.items()}

    def forward(self, tokens: list[Tokens]) -> dict[str, Float[Tensor, "batch modality output"]]:
        """Read each modality out; one that is absent gives a constant."""
        pooled = self.dropout(torch.stack([pool(*one) for pool, one in zip(self.pools, tokens, strict=True)], dim=1))
        return {
            task: torch.einsum("bmw,mwo->bmo", pooled, weight) + self.biases[task]
            for task, weight in self.weights.items()
        }


class UnifiedModel(nn.Module):
    """Encoders → fusion of the modalities present → shared latent → a head for each task.

    With `config.shortcut`, each modality also speaks for itself: its own read-out is averaged over the modalities
    present and added to the head's logits. The fusion then learns what the modalities say *together*, as a residual
    of late fusion; each read-out can be trained on its own as well (`Outputs.unimodal`), which keeps a modality
    useful when it is the only one, and keeps small data sets from drowning a good one.

    Any subset of modalities may be absent; an absent one is not even computed.
    """

    def __init__(self, config: ModelConfig, start_from: Mapping[str, Path] | None = None) -> None:
        """Build with random weights; `start_from` gives pretrained ones to the encoders of some modalities."""
        super().__init__()
        self.config = config
        self.modalities = config.modalities
        width, dropout = config.width, config.dropout
        self.encoders = nn.ModuleDict(
            {name: build_encoder(name, config.encoders[name], width, dropout) for name in self.modalities}
        )
        self.fusion = build_fusion(config.fusion, self.modalities, width, dropout)
        self.dropout = Dropout(dropout)
        self.heads = nn.ModuleDict({task: build_head(head, width) for task, head in config.heads.items()})
        self.unimodal_heads = (
            UnimodalHeads(len(self.modalities), config.heads, width, dropout) if config.shortcut else None
        )
        for modality, path in (start_from or {}).items():
            self.encoder(modality).start_from(path)

    def encoder(self, modality: str) -> Encoder:
        """Give the encoder of `modality`."""
        return cast(Encoder, self.encoders[modality])

    def head(self, task: str) -> Head:
        """Give the head of `task`."""
        return cast(Head, self.heads[task])

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """Names of the arrays that are read of each modality; no others need be made."""
        return {modality: self.encoder(modality).reads for modality in self.modalities}

    def presence(self, batch: Batch) -> Bool[Tensor, "batch modality"]:
        """Give presence with the model's own columns; a modality that the batch does not know is absent."""
        if batch.modalities == self.modalities:
            return batch.present
        return torch.stack([batch.presence(modality) for modality in self.modalities], dim=1)

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Encode what is present; the tokens can be fused several times, e.g. with and without modality dropout."""
        present = self.presence(batch)
        return {
            modality: encode_present(
                self.encoder(modality), batch.inputs.get(modality, {}), present[:, place], self.config.width
            )
            for place, modality in enumerate(self.modalities)
        }

    def alone(self, modality: str, batch: Batch) -> dict[str, Float[Tensor, "batch output"]]:
        """Give what one modality alone says of each task; only with `config.shortcut`."""
        place = self.modalities.index(modality)
        assert self.unimodal_heads is not None
        tokens = encode_present(
            self.encoder(modality), batch.inputs[modality], batch.presence(modality), self.config.width
        )
        return {
            task: unimodal_head + self.head(task).linear.bias
            for task, unimodal_head in self.unimodal_heads.of(place, tokens).items()
        }

    def fuse(self, tokens: Mapping[str, Tokens], present: Bool[Tensor, "batch modality"]) -> Outputs:
        """Answer every task from the tokens of the modalities `present` (columns as in `self.modalities`)."""
        clean, there = emptied(tokens, self.modalities, present)
        latent: Tensor = self.fusion.fuse(clean, there)
        logits = {task: head(self.dropout(latent)) for task, head in self.heads.items()}
        if self.unimodal_heads is None:
            return Outputs(logits, latent, {})
        said = self.unimodal_heads(clean)
        logits = {task: logit + masked_mean(said[task], there) for task, logit in logits.items()}
        unimodal = {task: unimodal_head + self.head(task).linear.bias for task, unimodal_head in said.items()}
        return Outputs(logits, latent, unimodal)

    def forward(self, batch: Batch) -> Outputs:
        """Answer every task for every sample."""
        return self.fuse(self.encode(batch), self.presence(batch))

    def probabilities(self, outputs: Outputs) -> dict[str, Float[Tensor, "batch output"]]:
        """Turn the logits of every task into probabilities or estimates."""
        return {task: self.head(task).activate(logit) for task, logit in outputs.logits.items()}
