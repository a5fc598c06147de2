"""Faithfulness of scores to the model that they explain.

**Deletion and insertion** (Petsiuk 2018, RISE, arXiv 1806.07421). Units are removed in descending order of score and
the logit is computed at every twentieth; or all start removed and are restored in that order. With faithful scores the
logit falls, or rises, faster than with a random order: a smaller area under the deletion curve, a larger one under the
insertion curve. As in that work, pixels are deleted to black and inserted into a blurred image.

**Randomised weights** (Adebayo 2018, arXiv 1810.03292). Explanations of a network with random weights must differ from
those of the trained one; a method whose scores stay similar explains the input, not the model. Weights are drawn as
before training, first of the heads and fusion, then also of the encoders; frozen backbones stay.

**Stability**: small noise on the input must not reorder the scores. **Agreement** between methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from torch import nn

from polyclinic.explain.inputs.base import Units
from polyclinic.explain.inputs.baseline import blurred
from polyclinic.explain.inputs.image import BlockUnits
from polyclinic.explain.inputs.registry import EXPLANATIONS
from polyclinic.explain.methods.unit_scores import UnitScores
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.models.network.unified import UnifiedModel

Kind = Literal["deletion", "insertion"]
KINDS: tuple[Kind, ...] = ("deletion", "insertion")
STAGES = ("heads and fusion", "all learnt weights")
STEPS = 20
SHARES = np.linspace(0, 1, STEPS + 1)
OTHER_SEEDS = 3_141_592_653
"""Seed offset of redrawn weights (torch reads 32 bits), so that they differ from the initial weights of training."""
FEWEST_UNITS = 3
"""With fewer, an order or a correlation is meaningless."""


class SampleCurve(NamedTuple):
    """The logit as units are removed or restored in some order."""

    values: Float[np.ndarray, " share"]  # at SHARES

    @property
    def area(self) -> float:
        """Area under the curve, in units of the logit."""
        return float(np.trapezoid(self.values, SHARES))


def strongest_first(scores: Float[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    """Order units by descending score."""
    return np.argsort(-scores, kind="stable")


def random_orders(units: int, count: int, seed: int) -> list[Int[np.ndarray, " unit"]]:
    """Draw random orders."""
    generator = np.random.default_rng(seed)
    return [generator.permutation(units) for _ in range(count)]


def deletion_curves(
    perturbed: PerturbedSample, modality: str, orders: Mapping[str, Int[np.ndarray, " unit"]], kind: Kind
) -> dict[str, SampleCurve]:
    """Compute the logit as the units of one modality are removed, or restored, in each order."""
    units = _shown(perturbed.units[modality], kind)
    counts = np.unique((SHARES * len(units)).round().astype(int))
    kept = np.concatenate([_kept(order, counts, kind) for order in orders.values()])
    values = perturbed.without(modality, kept, units).reshape(len(orders), len(counts))
    shares = counts / len(units)
    return {name: SampleCurve(np.interp(SHARES, shares, row)) for name, row in zip(orders, values, strict=True)}


def redrawn(networks: list[UnifiedModel], stage: str, seed: int) -> list[UnifiedModel]:
    """Redraw the weights of networks as before training; those of the encoders only at the last of `STAGES`.

    Weights initialised to zero, such as the embeddings of a bag of words, are drawn as well: zeros give no order.
    """
    drawn = []
    with torch.random.fork_rng(devices=[]):
        for number, network in enumerate(networks):
            torch.manual_seed(OTHER_SEEDS + 1000 * seed + number)
            other = UnifiedModel(network.config).eval()
            if stage == STAGES[0]:
                other.encoders.load_state_dict(network.encoders.state_dict())
            else:
                _draw_zeros(other.encoders, network.encoders)
            drawn.append(other.requires_grad_(False))
    return drawn


@torch.no_grad()
def _draw_zeros(fresh: nn.Module, trained_module: nn.Module) -> None:
    """Draw the matrices initialised to zero, with the standard deviation of the trained ones."""
    for initial, trained in zip(fresh.parameters(), trained_module.parameters(), strict=True):
        if initial.ndim > 1 and not initial.any():
            initial.copy_(torch.randn_like(trained) * trained.std() * (trained != 0))


def noisy(perturbed: PerturbedSample, seed: int) -> PerturbedSample | None:
    """Return the sample with small noise on its numbers; None if it has none."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {name: input_.noisy(generator) for name, input_ in perturbed.function.inputs.items()}
    changed = any(input_ is not perturbed.function.inputs[name] for name, input_ in inputs.items())
    return perturbed.shifted(inputs) if changed else None


def rank_correlation(one: Float[np.ndarray, " unit"], other: Float[np.ndarray, " unit"]) -> float:
    """Return Spearman's rank correlation; NaN for fewer than `FEWEST_UNITS`, or if either is constant."""
    if len(one) < FEWEST_UNITS or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


class Likeness(NamedTuple):
    """Rank correlation of two explanations of one modality."""

    modality: str
    shown: float  # of the displayed scores: for images the positive ones, otherwise the signed ones
    absolute: float  # of absolute scores


def likenesses(one: UnitScores, other: UnitScores) -> Iterator[Likeness]:
    """Compare two explanations of the same units, by modality."""
    for modality in one.units:
        if modality not in other.units:
            continue
        a, b = one.units[modality], other.units[modality]
        shown = (np.maximum(a, 0), np.maximum(b, 0)) if not EXPLANATIONS[modality].signed else (a, b)
        yield Likeness(modality, rank_correlation(*shown), rank_correlation(np.abs(a), np.abs(b)))


def _shown(units: Units, kind: Kind) -> Units:
    if kind == "insertion" and isinstance(units, BlockUnits):
        return units.showing(blurred(units.input_.end))
    return units


def _kept(order: np.ndarray, counts: np.ndarray, kind: Kind) -> Bool[np.ndarray, "step unit"]:
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    gone: np.ndarray = rank < counts[:, None]
    return ~gone if kind == "deletion" else gone
