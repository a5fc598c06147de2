"""Fusions by name: tokens of the present modalities → shared latent. To add one: its module, its test, this table."""

from collections.abc import Callable, Mapping, Sequence

from polyclinic.models.network.fusions.bottleneck import Bottleneck
from polyclinic.models.network.fusions.concat import Concat
from polyclinic.models.network.fusions.cross_attention import CrossAttention
from polyclinic.models.network.fusions.fusion import Fusion, PooledFusion
from polyclinic.models.network.fusions.gated import Gated
from polyclinic.models.network.fusions.late import Late

__all__ = ["FUSIONS", "Fusion", "PooledFusion", "build_fusion"]

FUSIONS: Mapping[str, Callable[[Sequence[str], int, float], Fusion]] = {
    "concat": Concat,
    "late": Late,
    "gated": Gated,
    "cross_attention": CrossAttention,
    "bottleneck": Bottleneck,
}


def build_fusion(name: str, modalities: Sequence[str], width: int, dropout: float) -> Fusion:
    """Build the fusion called `name`; raises ValueError if it is unknown."""
    if name not in FUSIONS:
        raise ValueError(f"unknown fusion {name!r}: choose from {', '.join(sorted(FUSIONS))}")
    return FUSIONS[name](modalities, width, dropout)
