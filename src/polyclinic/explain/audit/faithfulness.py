"""Whether scores are true of the model that they explain.

**Deletion and insertion** (Petsiuk 2018, RISE, arXiv 1806.07421). Units are taken away, what speaks most for the output
first, and the logit is asked again at every twentieth; or all begin absent and come back in that order. Scores that are
true make it fall, or rise, sooner than a random order does: a smaller area under the deletion curve, a larger one under
that of insertion. Here pixels are deleted to black and inserted into a blurred picture, as in that work.

**Randomised weights** (Adebayo 2018, arXiv 1810.03292). Explanations of a network whose weights were drawn anew must
differ from those of the trained one; a method whose scores stay alike explains the input, not the model. Weights are
drawn as before training, first of heads and fusion, then of the encoders, too; frozen backbones stay.

**Stability**: small noise on the input must not reorder the scores. **Agreement**: how far methods say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from torch import nn

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import blurred
from polyclinic.explain.inputs.image import PixelInput
from polyclinic.explain.inputs.note import SentenceInput, WordInput
from polyclinic.explain.methods.unit_scores import UnitScores
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.perturbation.units import BlockUnits, Units
from polyclinic.models.network.unified import UnifiedModel

Kind = Literal["deletion", "insertion"]
KINDS: tuple[Kind, ...] = ("deletion", "insertion")
STAGES = ("heads and fusion", "all learnt weights")
STEPS = 20
SHARES = np.linspace(0, 1, STEPS + 1)
OTHER_SEEDS = 3_141_592_653
"""Of redrawn weights (of a seed, torch reads 32 bits): with that of training they would be those of its beginning."""
FEWEST_UNITS = 3
"""Of fewer, an order or a correlation says nothing."""

PIXEL_NOISE = 0.01
VALUE_NOISE = 0.05
WORD_NOISE = 0.05


class SampleCurve(NamedTuple):
    """F as units go or come in some order."""

    values: Float[np.ndarray, " share"]  # at SHARES

    @property
    def area(self) -> float:
        """The area under the curve, in units of the logit."""
        return float(np.trapezoid(self.values, SHARES))


def strongest_first(scores: Float[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    """Order units by their scores, what speaks most for the output first."""
    return np.argsort(-scores, kind="stable")


def random_orders(units: int, count: int, seed: int) -> list[Int[np.ndarray, " unit"]]:
    """Draw some orders."""
    generator = np.random.default_rng(seed)
    return [generator.permutation(units) for _ in range(count)]


def courses(
    perturbed: PerturbedSample, modality: str, orders: Mapping[str, Int[np.ndarray, " unit"]], kind: Kind
) -> dict[str, SampleCurve]:
    """Follow the logit as the units of one modality go, or come, in each order."""
    units = _shown(perturbed.units[modality], kind)
    counts = np.unique((SHARES * len(units)).round().astype(int))
    kept = np.concatenate([_kept(order, counts, kind) for order in orders.values()])
    values = perturbed.without(modality, kept, units).reshape(len(orders), len(counts))
    shares = counts / len(units)
    return {name: SampleCurve(np.interp(SHARES, shares, row)) for name, row in zip(orders, values, strict=True)}


def redrawn(networks: list[UnifiedModel], stage: str, seed: int) -> list[UnifiedModel]:
    """Draw the weights of networks anew, as before training; the encoders' only at the last of `STAGES`.

    What begins at zero, such as the embeddings of a bag of words, is drawn as well: of nothing, no order is to be seen.
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
def _draw_zeros(fresh: nn.Module, learnt: nn.Module) -> None:
    """Draw the matrices that begin at zero, and would say nothing, as wide as those that were learnt."""
    for begun, known in zip(fresh.parameters(), learnt.parameters(), strict=True):
        if begun.ndim > 1 and not begun.any():
            begun.copy_(torch.randn_like(known) * known.std() * (known != 0))


def noisy(perturbed: PerturbedSample, seed: int) -> PerturbedSample | None:
    """Give the sample with a little noise on all that is a number; None if nothing is."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {name: _noisy(input_, generator) for name, input_ in perturbed.function.inputs.items()}
    changed = any(input_ is not perturbed.function.inputs[name] for name, input_ in inputs.items())
    return perturbed.shifted(inputs) if changed else None


def rank_correlation(one: Float[np.ndarray, " unit"], other: Float[np.ndarray, " unit"]) -> float:
    """Give Spearman's rank correlation; NaN of fewer than `FEWEST_UNITS`, or where all of one are equal."""
    if len(one) < FEWEST_UNITS or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


class Likeness(NamedTuple):
    """How alike two explanations of one modality are, by rank."""

    modality: str
    shown: float  # of what people are shown: of pictures what speaks for the output, of all else the signed scores
    absolute: float  # without regard to signs


def likenesses(one: UnitScores, other: UnitScores) -> Iterator[Likeness]:
    """Compare two explanations of the same units, by modality."""
    for modality in one.units:
        if modality not in other.units:
            continue
        a, b = one.units[modality], other.units[modality]
        shown = (np.maximum(a, 0), np.maximum(b, 0)) if modality == "image" else (a, b)
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


def _noisy(input_: DifferentiableInput, generator: torch.Generator) -> DifferentiableInput:
    if isinstance(input_, WordInput):
        return input_
    changed = copy(input_)
    if isinstance(input_, SentenceInput):
        spread = WORD_NOISE * input_.embedded.std()
        changed.embedded = input_.embedded + spread * torch.randn(input_.embedded.shape, generator=generator)  # type: ignore[attr-defined]
        return changed
    noise = torch.randn(input_.end.shape, generator=generator)
    if isinstance(input_, PixelInput):
        changed.end = torch.where(input_.end > 0, (input_.end + PIXEL_NOISE * noise).clamp(0, 1), input_.end)
    else:
        changed.end = input_.end + VALUE_NOISE * noise
    return changed
