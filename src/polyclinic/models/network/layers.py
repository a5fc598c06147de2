"""Layers shared by encoders and fusions; masked items have no influence."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 16


def smooth_clip(values: Tensor, limit: float = 3.0) -> Tensor:
    """Bound values by ±`limit`, nearly linearly for small ones (RealMLP, arXiv 2407.04491)."""
    return values / (1 + (values / limit) ** 2).sqrt()


def masked_mean(
    values: Float[Tensor, "batch item width"], mask: Bool[Tensor, "batch item"]
) -> Float[Tensor, "batch width"]:
    """Average the unmasked items; 0 if there are none."""
    total = values.masked_fill(~mask[..., None], 0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp_min(1)


def used_length(mask: Bool[Tensor, "batch item"]) -> int:
    """Return the length of the longest row, at least 1, to trim common padding."""
    used = mask.any(dim=0).nonzero()
    return int(used[-1]) + 1 if len(used) else 1


def initialise(module: nn.Module) -> None:
    """Initialise linear layers Xavier-uniform with zero bias, and embeddings with a small normal; for `apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
        if module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()


class Dropout(nn.Dropout):
    """Drop the same features in all tokens of a sample (Gal & Ghahramani 2016, arXiv 1512.05287).

    It needs one random number per sample and feature; on a CPU, drawing one per element costs more than the layers.
    """

    def forward(self, input: Float[Tensor, "batch *token width"]) -> Float[Tensor, "batch *token width"]:
        """Drop in training mode, and scale the rest to preserve the mean."""
        if not self.training or self.p == 0:
            return input
        shape = (len(input), *(1 for _ in input.shape[1:-1]), input.shape[-1])
        kept = torch.rand(shape, device=input.device) >= self.p
        return input * (kept / (1 - self.p)).to(input.dtype)


class Attention(nn.Module):
    """Multi-head scaled dot-product attention; a query without any key gives 0, not NaN."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        if width % self.heads:
            raise ValueError(f"width must be a multiple of {HEAD_WIDTH} (or below {2 * HEAD_WIDTH}), not {width}")
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        context: Float[Tensor, "batch key width"],
        allowed: Bool[Tensor, "batch _ key"],
    ) -> Float[Tensor, "batch query width"]:
        """Attend from each query to the keys of `context` in `allowed`."""
        key, value = self.split(self.key_value(context), 2)
        (query,) = self.split(self.query(queries), 1)
        no_key = ~allowed.any(dim=2, keepdim=True)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=(allowed | no_key)[:, None])
        result: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return result.masked_fill(no_key, 0)

    def split(self, projected: Float[Tensor, "batch token size"], parts: int) -> tuple[Tensor, ...]:
        """Split a projection into `parts`, each `[batch, head, token, head width]`."""
        batch, length, size = projected.shape
        each = size // parts // self.heads
        return projected.view(batch, length, parts, self.heads, each).permute(2, 0, 3, 1, 4).unbind(0)


class FeedForward(nn.Sequential):
    """Layer norm and two linear layers on each token."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(2 * width, width),
            Dropout(dropout),
        )


class SelfBlock(nn.Module):
    """Pre-norm transformer block (Xiong 2020): self-attention, then a feed-forward network."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.dropout = Dropout(dropout)
        self.feed_forward = FeedForward(width, dropout)

    def forward(
        self, tokens: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token width"]:
        """Transform the tokens; masked ones are not attended to."""
        normed = self.norm(tokens)
        tokens = tokens + self.dropout(self.attention(normed, normed, mask[:, None]))
        result: Tensor = tokens + self.feed_forward(tokens)
        return result


class CrossBlock(nn.Module):
    """Pre-norm transformer block with cross-attention; a query without any key skips it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(width)
        self.context_norm = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.dropout = Dropout(dropout)
        self.feed_forward = FeedForward(width, dropout)

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        context: Float[Tensor, "batch key width"],
        allowed: Bool[Tensor, "batch _ key"],
    ) -> Float[Tensor, "batch query width"]:
        """Transform the queries by attention to `context`."""
        attended = self.attention(self.query_norm(queries), self.context_norm(context), allowed)
        queries = queries + self.dropout(attended)
        result: Tensor = queries + self.feed_forward(queries)
        return result


class AttentionPool(nn.Module):
    """Attention pooling of the unmasked tokens, initially uniform (Ilse 2018); 0 if there are none."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.zeros(width))

    def forward(
        self, tokens: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch width"]:
        """Pool; `tokens` must be finite also where `mask` is False."""
        if tokens.shape[1] == 1:
            return tokens[:, 0] * mask
        empty = ~mask.any(dim=1, keepdim=True)
        scores = (tokens @ self.score).masked_fill(~(mask | empty), -torch.inf)
        weights = scores.softmax(dim=1).masked_fill(empty, 0)
        return (weights[:, None] @ tokens)[:, 0]


class Seeds(nn.Module):
    """Learnable queries that summarise a set as a few tokens (Lee 2019; Jaegle 2021), at linear cost."""

    def __init__(self, seeds: int, width: int, dropout: float) -> None:
        super().__init__()
        self.seeds = nn.Parameter(torch.randn(seeds, width) * width**-0.5)
        self.look = CrossBlock(width, dropout)
        self.mix = SelfBlock(width, dropout)

    def forward(
        self, tokens: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch seed width"]:
        """Summarise the unmasked tokens."""
        queries = self.seeds.expand(len(tokens), -1, -1)
        summary = self.look(queries, tokens, mask[:, None])
        all_seeds = torch.ones(summary.shape[:2], dtype=torch.bool, device=summary.device)
        mixed: Tensor = self.mix(summary, all_seeds)
        return mixed


class PresentNorm(nn.Module):
    """Batch norm per modality with statistics of the present samples only; absent ones stay 0.

    With fewer than two samples of a modality, the running statistics are used.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, modalities: int, width: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.scale = nn.Parameter(torch.ones(modalities, width))
        self.shift = nn.Parameter(torch.zeros(modalities, width))
        self.register_buffer("running_mean", torch.zeros(modalities, width))
        self.register_buffer("running_var", torch.ones(modalities, width))

    def forward(
        self, latents: Float[Tensor, "batch modality width"], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch modality width"]:
        """Normalise each modality over the batch."""
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = self._batch_statistics(latents, present[..., None])
        normed = (latents - mean) * (var + 1e-5).rsqrt() * self.scale + self.shift
        return normed.masked_fill(~present[..., None], 0)

    def _batch_statistics(self, latents: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        count = present.sum(dim=0)
        mean = latents.masked_fill(~present, 0).sum(dim=0) / count.clamp_min(1)
        var = (latents - mean).masked_fill(~present, 0).square().sum(dim=0) / count.clamp_min(1)
        enough = count >= 2
        with torch.no_grad():
            step = self.momentum * enough
            unbiased = var * count / (count - 1).clamp_min(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), step.expand_as(mean).to(self.running_mean.dtype))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), step.expand_as(var).to(self.running_var.dtype))
        return torch.where(enough, mean, self.running_mean), torch.where(enough, var, self.running_var)


def positions_of(codes: Int[Tensor, "..."], known: int) -> Int[Tensor, "..."]:
    """Map codes to rows of an embedding of size `known`; codes outside it become 0."""
    return torch.where((codes >= 0) & (codes < known), codes, 0).long()
