"""Integrated gradients with respect to all inputs jointly (Sundararajan 2017, arXiv 1703.01365).

IG_i = (x_i − x′_i) · ∫₀¹ ∂F(x′ + α (x − x′)) / ∂x_i dα, on one straight line for all modalities, so that all scores
together sum to F(x) − F(x′).

Along that line the gradient of an image is irregular and concentrated near the baseline: uniform or Gauss–Legendre
steps need hundreds of gradients for an error of 2 %. But each gradient also yields F, so the trapezoidal error of every
interval is known. Integration starts with 9 steps, denser towards the baseline, and halves the intervals with the
largest errors until the total is accurate; no gradient is computed twice or discarded.

The line is the same for all outputs of one sample, so several are explained together: the forward pass is shared, and
only the backward pass is per output, while it needs more steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.attribution import Attribution, Completeness
from polyclinic.explain.inputs.baseline import Baseline, usual_of
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.inputs.registry import attributed
from polyclinic.explain.sample import Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.unified import UnifiedModel

METHOD = "integrated_gradients"
TOLERANCE = 0.02
"""Of the residual, as a share of F(x) − F(x′)."""
CANCELLING = 10
"""Bound on the sum of absolute errors, in multiples of the tolerance, since signed errors may cancel."""
ROUNDING = 1e-5
"""Share of F below which a difference is indistinguishable from rounding."""
FIRST_STEPS = 9
STEPS_MORE = 5
PICTURES_AT_ONCE = 9
"""Images per batch; activations take about 50 MB each."""
MOST_STEPS = 128


class Slopes(NamedTuple):
    """F of one output and its gradients at some points of the path."""

    values: Float[np.ndarray, " step"]  # F
    gradients: dict[str, Float[Tensor, "step ..."]]  # by modality


class Integral(NamedTuple):
    """The scores by modality, in the shapes of the inputs, and their completeness."""

    scores: dict[str, Tensor]
    completeness: Completeness


def integrated_gradients(
    bundle: Bundle,
    sample: Sample,
    task: str,
    output: str | None = None,
    *,
    baseline: Baseline | None = None,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> Attribution:
    """Attribute the logit of one output to pixels, words, measurements and features.

    The path starts at `baseline`, by default that of `baseline.usual_of`. Integration stops when the scores sum to
    F(x) − F(x′) within `tolerance`, or after `most_steps` gradients; the attribution contains the completeness reached.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, nothing is present, or the bundle has no network.
    """
    target = output_of(bundle, task, output)
    (found,) = integrated_gradients_of_each(
        bundle.ensemble.networks,
        sample,
        (target,),
        usual_of(bundle.reference) if baseline is None else baseline,
        tolerance=tolerance,
        most_steps=most_steps,
    )
    return found


def integrated_gradients_of_each(
    networks: list[UnifiedModel],
    sample: Sample,
    outputs: Sequence[Output],
    baseline: Baseline,
    *,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> tuple[Attribution, ...]:
    """Attribute several outputs of one sample, faster than one after the other.

    Each is as complete as alone; its steps may differ, since all share the same points.

    Args:
        networks: of the bundle.
        sample: to explain.
        outputs: see `sample.output_of`; at least one.
        baseline: see `baseline.usual_of`.
        tolerance: see `integrated_gradients`.
        most_steps: for each output.

    Raises:
        ExplanationError: nothing is present, or the bundle has no network.
    """
    function = LogitFunction(networks, sample, outputs[0], baseline)
    return tuple(
        Attribution(
            subject_id=sample.subject_id,
            prediction_time=sample.prediction_time,
            task=output.task,
            output=output.name,
            method=METHOD,
            baseline=baseline.name,
            completeness=found.completeness,
            parts=attributed(sample, function.inputs, found.scores),
        )
        for output, found in zip(outputs, integrate_each(function, outputs, tolerance, most_steps), strict=True)
    )


def integrate(function: LogitFunction, tolerance: float = TOLERANCE, most_steps: int = MOST_STEPS) -> Integral:
    """Integrate along the path with adaptive steps."""
    return integrate_each(function, (function.output,), tolerance, most_steps)[0]


def integrate_each(
    function: LogitFunction, outputs: Sequence[Output], tolerance: float = TOLERANCE, most_steps: int = MOST_STEPS
) -> list[Integral]:
    """Integrate each output along the same path, with steps where the incomplete ones need them."""
    lengths = {modality: input_.end - input_.start for modality, input_ in function.inputs.items()}
    shares = np.linspace(0, 1, FIRST_STEPS) ** 3
    integrals = [PathIntegral(shares, found, lengths) for found in slopes_of_each(function, shares, outputs)]
    while len(shares) < most_steps:
        incomplete = [k for k, integral in enumerate(integrals) if not integral.complete(tolerance)]
        if not incomplete:
            break
        error = np.max([np.abs(integrals[k].errors) / integrals[k].change for k in incomplete], axis=0)
        worst = np.sort(np.argsort(-error, kind="stable")[: min(STEPS_MORE, most_steps - len(shares))])
        middles = (shares[worst] + shares[worst + 1]) / 2
        shares = np.insert(shares, worst + 1, middles)
        for k, new in zip(incomplete, slopes_of_each(function, middles, [outputs[k] for k in incomplete]), strict=True):
            integrals[k] = integrals[k].halved(worst, middles, new)
    return [integral.integral() for integral in integrals]


@dataclass(frozen=True, eq=False)
class PathIntegral:
    """F and gradients of one output at the points computed so far."""

    shares: Float[np.ndarray, " step"]  # α, ascending from 0 to 1
    known: Slopes
    lengths: Mapping[str, Tensor]  # x − x′, by modality

    @property
    def change(self) -> float:
        """|F(x) − F(x′)|, at least its rounding error."""
        values = self.known.values
        return max(float(abs(values[-1] - values[0])), ROUNDING * float(np.abs(values).max()))

    @property
    def errors(self) -> Float[np.ndarray, " interval"]:
        """The trapezoidal error of each interval."""
        along = _along(self.known, self.lengths)
        errors: np.ndarray = np.diff(self.shares) * (along[1:] + along[:-1]) / 2 - np.diff(self.known.values)
        return errors

    def complete(self, tolerance: float) -> bool:
        """Return whether the sum of the errors, and of their absolute values, is small enough."""
        errors, allowed = self.errors, tolerance * self.change
        return bool(abs(errors.sum()) <= allowed and np.abs(errors).sum() <= CANCELLING * allowed)

    def halved(self, places: np.ndarray, middles: np.ndarray, new: Slopes) -> PathIntegral:
        """Return the integral with some intervals halved, given F and gradients at their middles."""
        return PathIntegral(
            np.insert(self.shares, places + 1, middles), _inserted(self.known, places + 1, new), self.lengths
        )

    def integral(self) -> Integral:
        """Sum the trapezoids."""
        weights = torch.from_numpy(_trapezium(self.shares)).float()
        scores = {
            modality: torch.tensordot(weights, self.known.gradients[modality], dims=1) * length
            for modality, length in self.lengths.items()
        }
        total = sum(float(score.double().sum()) for score in scores.values())
        first, last = float(self.known.values[0]), float(self.known.values[-1])
        uneven = float(np.abs(self.errors).sum())
        return Integral(scores, Completeness(last, first, total, len(self.shares), uneven))


def slopes(function: LogitFunction, shares: Float[np.ndarray, " step"]) -> Slopes:
    """Return F and its gradients at some fractions of the path."""
    return slopes_of_each(function, shares, (function.output,))[0]


def slopes_of_each(
    function: LogitFunction, shares: Float[np.ndarray, " step"], outputs: Sequence[Output]
) -> list[Slopes]:
    """Return F and its gradients of each output at some fractions of the path, in batches."""
    step = max(1, PICTURES_AT_ONCE // max(input_.images for input_ in function.inputs.values()))
    parts = [_slopes(function, shares[start : start + step], outputs) for start in range(0, len(shares), step)]
    return [_joined(one) for one in zip(*parts, strict=True)]


def _slopes(function: LogitFunction, shares: np.ndarray, outputs: Sequence[Output]) -> list[Slopes]:
    points = {m: point.requires_grad_() for m, point in function.between(torch.from_numpy(shares).float()).items()}
    values = function.logits(points, outputs)
    found = []
    for k, value in enumerate(values):
        gradients = torch.autograd.grad(value.sum(), list(points.values()), retain_graph=k + 1 < len(values))
        found.append(Slopes(value.detach().double().numpy(), dict(zip(points, gradients, strict=True))))
    return found


def _joined(parts: Sequence[Slopes]) -> Slopes:
    return Slopes(
        np.concatenate([part.values for part in parts]),
        {modality: torch.cat([part.gradients[modality] for part in parts]) for modality in parts[0].gradients},
    )


def _along(known: Slopes, lengths: Mapping[str, Tensor]) -> Float[np.ndarray, " step"]:
    """Return dF / dα at each step."""
    total = np.zeros(len(known.values))
    for modality, gradient in known.gradients.items():
        total += (gradient.flatten(1) @ lengths[modality].flatten()).double().numpy()
    return total


def _inserted(known: Slopes, places: np.ndarray, new: Slopes) -> Slopes:
    order = torch.from_numpy(
        np.insert(np.arange(len(known.values)), places, len(known.values) + np.arange(len(places)))
    )
    return Slopes(
        np.insert(known.values, places, new.values),
        {m: torch.cat([gradient, new.gradients[m]])[order] for m, gradient in known.gradients.items()},
    )


def _trapezium(shares: Float[np.ndarray, " step"]) -> Float[np.ndarray, " step"]:
    """Return the trapezoidal weight of each step."""
    widths = np.diff(shares)
    weights: np.ndarray = (np.append(widths, 0) + np.append(0, widths)) / 2
    return weights
