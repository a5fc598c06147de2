"""The unified model: all inputs of a patient → one latent → all tasks."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.batch import Batch
from polyclinic.models.network.config import HeadConfig, ModelConfig
from polyclinic.models.network.encoders import Encoder, build_encoder, encode_present, no_tokens
from polyclinic.models.network.fusions import build_fusion
from polyclinic.models.network.heads import Head, build_head
from polyclinic.models.network.layers import AttentionPool, Dropout, masked_mean
from polyclinic.models.network.tokens import Tokens, mask_absent


class Outputs(NamedTuple):
    """Outputs for a batch."""

    logits: dict[str, Float[Tensor, "batch output"]]  # by task; `heads[task].activate` converts them to probabilities
    latent: Float[Tensor, "batch width"]
    unimodal: dict[str, Float[Tensor, "batch modality output"]]  # logits of each modality; empty without shortcut


class UnimodalHeads(nn.Module):
    """Linear heads of each modality for each task, on its pooled tokens."""

    def __init__(self, modalities: int, heads: Mapping[str, HeadConfig], width: int, dropout: float) -> None:
        super().__init__()
        self.pools = nn.ModuleList(AttentionPool(width) for _ in range(modalities))
        self.dropout = Dropout(dropout)
        self.weights = nn.ParameterDict(
            {task: torch.randn(modalities, width, head.outputs) * 0.02 for task, head in heads.items()}
        )
        self.biases = nn.ParameterDict({task: torch.zeros(modalities, head.outputs) for task, head in heads.items()})

    def predict_one(self, index: int, tokens: Tokens) -> dict[str, Float[Tensor, "batch output"]]:
        """Return the logits of one modality, given by its index."""
        pooled = self.dropout(self.pools[index](*tokens))
        return {task: pooled @ weight[index] + self.biases[task][index] for task, weight in self.weights.items()}

    def forward(self, tokens: list[Tokens]) -> dict[str, Float[Tensor, "batch modality output"]]:
        """Return the logits of each modality; constant if it is absent."""
        pooled = self.dropout(torch.stack([pool(*own) for pool, own in zip(self.pools, tokens, strict=True)], dim=1))
        return {
            task: torch.einsum("bmw,mwo->bmo", pooled, weight) + self.biases[task]
            for task, weight in self.weights.items()
        }


class UnifiedModel(nn.Module):
    """Encoders → fusion of the present modalities → shared latent → a head per task.

    With `config.shortcut`, each modality also has unimodal heads, whose logits are averaged over the present modalities
    and added to those of the head. The fusion then learns interactions of modalities, as a residual of late fusion. The
    unimodal heads also have their own loss (`Outputs.unimodal`), which keeps each modality useful when it is the only
    one.

    Any subset of modalities may be absent; absent ones are not computed.
    """

    def __init__(self, config: ModelConfig, start_from: Mapping[str, Path] | None = None) -> None:
        """Initialise at random; `start_from` maps modalities to pretrained weights of their encoders."""
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
        """Return the encoder of `modality`."""
        return cast(Encoder, self.encoders[modality])

    def head(self, task: str) -> Head:
        """Return the head of `task`."""
        return cast(Head, self.heads[task])

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """Names of the arrays that each modality's encoder needs."""
        return {modality: self.encoder(modality).reads for modality in self.modalities}

    def presence(self, batch: Batch) -> Bool[Tensor, "batch modality"]:
        """Return presence with the model's columns; modalities missing from the batch are absent."""
        if batch.modalities == self.modalities:
            return batch.present
        return torch.stack([batch.presence(modality) for modality in self.modalities], dim=1)

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Encode the present modalities; the tokens can be fused several times, e.g. with modality dropout."""
        present = self.presence(batch)
        return {
            modality: encode_present(
                self.encoder(modality), batch.inputs.get(modality, {}), present[:, index], self.config.width
            )
            for index, modality in enumerate(self.modalities)
        }

    def predict_unimodal(self, modality: str, batch: Batch) -> dict[str, Float[Tensor, "batch output"]]:
        """Return the unimodal logits of one modality for each task; only with `config.shortcut`."""
        index = self.modalities.index(modality)
        assert self.unimodal_heads is not None
        tokens = encode_present(
            self.encoder(modality), batch.inputs[modality], batch.presence(modality), self.config.width
        )
        return {
            task: unimodal_head + self.head(task).linear.bias
            for task, unimodal_head in self.unimodal_heads.predict_one(index, tokens).items()
        }

    def fuse(self, tokens: Mapping[str, Tokens], present: Bool[Tensor, "batch modality"]) -> Outputs:
        """Predict every task from the tokens of the modalities `present` (columns as in `self.modalities`)."""
        masked, has_tokens = mask_absent(tokens, self.modalities, present)
        latent: Tensor = self.fusion.fuse(masked, has_tokens)
        logits = {task: head(self.dropout(latent)) for task, head in self.heads.items()}
        if self.unimodal_heads is None:
            return Outputs(logits, latent, {})
        unimodal_logits = self.unimodal_heads(masked)
        logits = {task: logit + masked_mean(unimodal_logits[task], has_tokens) for task, logit in logits.items()}
        unimodal = {task: own + self.head(task).linear.bias for task, own in unimodal_logits.items()}
        return Outputs(logits, latent, unimodal)

    def forward(self, batch: Batch) -> Outputs:
        """Predict every task for every sample."""
        return self.fuse(self.encode(batch), self.presence(batch))

    def from_subsets(self, batch: Batch, subsets: Iterable[Collection[str]]) -> Iterator[Outputs]:
        """Predict as if only each of the subsets of the modalities had been recorded; every sample is encoded once."""
        tokens, present = self.encode(batch), self.presence(batch)
        for given in subsets:
            kept = [modality in given for modality in self.modalities]
            restricted = {
                modality: tokens[modality]
                if modality in given
                else no_tokens(self.encoder(modality), len(batch), self.config.width)
                for modality in self.modalities
            }
            yield self.fuse(restricted, present & torch.tensor(kept, device=present.device))

    def probabilities(self, outputs: Outputs) -> dict[str, Float[Tensor, "batch output"]]:
        """Convert the logits of every task to probabilities or estimates."""
        return {task: self.head(task).activate(logit) for task, logit in outputs.logits.items()}
