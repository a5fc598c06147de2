"""Cross-modal attention under a key mask (after Tsai 2019, arXiv 1906.00295)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import Fusion
from polyclinic.models.network.layers import AttentionPool, CrossBlock, initialise, masked_mean
from polyclinic.models.network.tokens import Tokens


class CrossAttention(Fusion):
    """The tokens of each modality query those of the other present ones; then each is pooled, and the pools averaged.

    All modalities look at once, in one attention whose mask hides a token's own modality and whatever is absent. A
    token with nothing left to look at stays as it is. An embedding tells the tokens which modality they are of.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float, layers: int = 1) -> None:
        super().__init__(modalities, width, dropout)
        self.modality = nn.Parameter(torch.randn(len(modalities), width) * width**-0.5)
        self.blocks = nn.ModuleList(CrossBlock(width, dropout) for _ in range(layers))
        self.pools = nn.ModuleList(AttentionPool(width) for _ in modalities)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def fuse(self, tokens: list[Tokens], present: Bool[Tensor, "batch modality"]) -> Float[Tensor, "batch width"]:
        """Exchange, pool, average."""
        lengths = [one.mask.shape[1] for one in tokens]
        marked = [one.values + embedding for one, embedding in zip(tokens, self.modality, strict=True)]
        values, mask = torch.cat(marked, dim=1), torch.cat([one.mask for one in tokens], dim=1)
        allowed = mask[:, None] & self._foreign(lengths, mask.device)
        for block in self.blocks:
            values = block(values, values, allowed)
        streams = values.split_with_sizes(lengths, dim=1)
        pooled = [pool(stream, one.mask) for pool, stream, one in zip(self.pools, streams, tokens, strict=True)]
        latent: Tensor = self.norm(masked_mean(torch.stack(pooled, dim=1), present))
        return latent

    @staticmethod
    def _foreign(lengths: list[int], device: torch.device) -> Bool[Tensor, "token token"]:
        owner = torch.repeat_interleave(
            torch.arange(len(lengths), device=device), torch.tensor(lengths, device=device), output_size=sum(lengths)
        )
        return owner[:, None] != owner[None, :]
