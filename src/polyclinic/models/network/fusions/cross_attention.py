"""Cross-modal attention under a key mask (after Tsai 2019, arXiv 1906.00295)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import Fusion
from polyclinic.models.network.layers import AttentionPool, CrossBlock, initialise, masked_mean
from polyclinic.models.network.tokens import Tokens


class CrossAttention(Fusion):
    """Each modality's tokens attend to those of the other present ones; each is pooled, and the pools are averaged.

    One attention over all modalities, whose mask excludes a token's own modality and absent ones. Tokens without any
    key skip it. Tokens have a modality embedding.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float, layers: int = 1) -> None:
        super().__init__(modalities, width, dropout)
        self.modality = nn.Parameter(torch.randn(len(modalities), width) * width**-0.5)
        self.blocks = nn.ModuleList(CrossBlock(width, dropout) for _ in range(layers))
        self.pools = nn.ModuleList(AttentionPool(width) for _ in modalities)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def fuse(self, tokens: list[Tokens], present: Bool[Tensor, "batch modality"]) -> Float[Tensor, "batch width"]:
        """Attend, pool and average."""
        lengths = [own.mask.shape[1] for own in tokens]
        embedded = [own.values + embedding for own, embedding in zip(tokens, self.modality, strict=True)]
        values, mask = torch.cat(embedded, dim=1), torch.cat([own.mask for own in tokens], dim=1)
        allowed = mask[:, None] & self._other_modality(lengths, mask.device)
        for block in self.blocks:
            values = block(values, values, allowed)
        streams = values.split_with_sizes(lengths, dim=1)
        pooled = [pool(stream, own.mask) for pool, stream, own in zip(self.pools, streams, tokens, strict=True)]
        latent: Tensor = self.norm(masked_mean(torch.stack(pooled, dim=1), present))
        return latent

    @staticmethod
    def _other_modality(lengths: list[int], device: torch.device) -> Bool[Tensor, "token token"]:
        owner = torch.repeat_interleave(
            torch.arange(len(lengths), device=device), torch.tensor(lengths, device=device), output_size=sum(lengths)
        )
        return owner[:, None] != owner[None, :]
