"""Integrated gradients of answers with respect to all inputs at once (Sundararajan 2017, arXiv 1703.01365).

IG_i = (x_i − x′_i) · ∫₀¹ ∂F(x′ + α (x − x′)) / ∂x_i dα, on one straight line for all modalities together, so that the
scores of all of them add up to F(x) − F(x′).

Along that line the gradient of a picture is jagged, and most happens near its beginning: equally spaced steps, or those
of Gauss and Legendre, need hundreds of gradients to come within 2 %. But F itself comes with every gradient, so it is
known of every interval by how much its trapezium is wrong. The steps begin at 9, denser towards the baseline, and are
halved where the error is greatest until the whole is right; no gradient is computed twice or thrown away.

The line is the same for all answers about one sample. So several are explained at once: frozen and learnt networks run
once at each point for all of them, and only the way back is each answer's own, as long as it needs more steps.
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
from polyclinic.explain.inputs.aggregation import attributed
from polyclinic.explain.inputs.baseline import Baseline, usual_of
from polyclinic.explain.inputs.image import PixelInput
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.sample import Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.unified import UnifiedModel

METHOD = "integrated_gradients"
TOLERANCE = 0.02
"""Of the gap, as a share of F(x) − F(x′)."""
CANCELLING = 10
"""Times the tolerance: what the steps' errors may add up to without their signs, lest they cancel out by luck."""
ROUNDING = 1e-5
"""Share of F below which a difference is not told from rounding."""
FIRST_STEPS = 9
STEPS_MORE = 5
PICTURES_AT_ONCE = 9
"""Whose activations, some 50 MB each, are held for the way back."""
MOST_STEPS = 128


class Slopes(NamedTuple):
    """F of one output and its gradients at some points of the path."""

    values: Float[np.ndarray, " step"]  # F
    gradients: dict[str, Float[Tensor, "step ..."]]  # by modality


class Integral(NamedTuple):
    """The scores by modality, each in the shape of its stem, and how complete they are."""

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
    """Attribute the logit of one answer to pixels, words, measurements and features.

    The path begins at `baseline`, or where the bundle's explanations usually begin (see `baseline.usual_of`). It stops
    as soon as the scores add up to within `tolerance` of what they explain, or after `most_steps` gradients: the
    attribution tells how far it came.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, nothing is present, or the bundle has no network.
    """
    asked = output_of(bundle, task, output)
    (found,) = integrated_gradients_of_each(
        bundle.ensemble.networks,
        sample,
        (asked,),
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
    """Attribute several answers about one sample, in less time than one after the other.

    Each is as complete as by itself; its steps may be others, since all go the same way.

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
            **attributed(sample, function.inputs, found.scores),
        )
        for output, found in zip(outputs, integrate_each(function, outputs, tolerance, most_steps), strict=True)
    )


def integrate(function: LogitFunction, tolerance: float = TOLERANCE, most_steps: int = MOST_STEPS) -> Integral:
    """Integrate along the path, with steps where they are needed."""
    return integrate_each(function, (function.output,), tolerance, most_steps)[0]


def integrate_each(
    function: LogitFunction, outputs: Sequence[Output], tolerance: float = TOLERANCE, most_steps: int = MOST_STEPS
) -> list[Integral]:
    """Integrate each output along the one path, with steps where those need them that are not yet complete."""
    lengths = {modality: input_.end - input_.start for modality, input_ in function.inputs.items()}
    shares = np.linspace(0, 1, FIRST_STEPS) ** 3
    courses = [PathIntegral(shares, seen, lengths) for seen in slopes_of_each(function, shares, outputs)]
    while len(shares) < most_steps:
        left = [k for k, course in enumerate(courses) if not course.complete(tolerance)]
        if not left:
            break
        error = np.max([np.abs(courses[k].errors) / courses[k].change for k in left], axis=0)
        worst = np.sort(np.argsort(-error, kind="stable")[: min(STEPS_MORE, most_steps - len(shares))])
        middles = (shares[worst] + shares[worst + 1]) / 2
        shares = np.insert(shares, worst + 1, middles)
        for k, new in zip(left, slopes_of_each(function, middles, [outputs[k] for k in left]), strict=True):
            courses[k] = courses[k].halved(worst, middles, new)
    return [course.integral() for course in courses]


@dataclass(frozen=True, eq=False)
class PathIntegral:
    """One output's F and gradients, as far as they are known along the path."""

    shares: Float[np.ndarray, " step"]  # of the way, ascending from 0 to 1
    seen: Slopes
    lengths: Mapping[str, Tensor]  # of the way, by modality

    @property
    def change(self) -> float:
        """|F(x) − F(x′)|, or what rounding alone may make of it."""
        values = self.seen.values
        return max(float(abs(values[-1] - values[0])), ROUNDING * float(np.abs(values).max()))

    @property
    def errors(self) -> Float[np.ndarray, " interval"]:
        """By how much the trapezium of each interval is wrong."""
        along = _along(self.seen, self.lengths)
        errors: np.ndarray = np.diff(self.shares) * (along[1:] + along[:-1]) / 2 - np.diff(self.seen.values)
        return errors

    def complete(self, tolerance: float) -> bool:
        """Tell whether the errors are small, in all and without their signs."""
        errors, allowed = self.errors, tolerance * self.change
        return bool(abs(errors.sum()) <= allowed and np.abs(errors).sum() <= CANCELLING * allowed)

    def halved(self, places: np.ndarray, middles: np.ndarray, new: Slopes) -> PathIntegral:
        """Give the same with some intervals halved, of whose middles `new` is known."""
        return PathIntegral(
            np.insert(self.shares, places + 1, middles), _inserted(self.seen, places + 1, new), self.lengths
        )

    def integral(self) -> Integral:
        """Add the trapezia up."""
        weights = torch.from_numpy(_trapezium(self.shares)).float()
        scores = {
            modality: torch.tensordot(weights, self.seen.gradients[modality], dims=1) * length
            for modality, length in self.lengths.items()
        }
        total = sum(float(score.double().sum()) for score in scores.values())
        first, last = float(self.seen.values[0]), float(self.seen.values[-1])
        uneven = float(np.abs(self.errors).sum())
        return Integral(scores, Completeness(last, first, total, len(self.shares), uneven))


def slopes(function: LogitFunction, shares: Float[np.ndarray, " step"]) -> Slopes:
    """Give F and its gradients some shares of the way along."""
    return slopes_of_each(function, shares, (function.output,))[0]


def slopes_of_each(
    function: LogitFunction, shares: Float[np.ndarray, " step"], outputs: Sequence[Output]
) -> list[Slopes]:
    """Give F and its gradients of each output some shares of the way along, a few at a time."""
    pictures = function.inputs.get("image")
    many = pictures.end.shape[0] if isinstance(pictures, PixelInput) else 1
    step = max(1, PICTURES_AT_ONCE // many)
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


def _along(seen: Slopes, lengths: Mapping[str, Tensor]) -> Float[np.ndarray, " step"]:
    """Give dF / dα at each step."""
    total = np.zeros(len(seen.values))
    for modality, gradient in seen.gradients.items():
        total += (gradient.flatten(1) @ lengths[modality].flatten()).double().numpy()
    return total


def _inserted(seen: Slopes, places: np.ndarray, new: Slopes) -> Slopes:
    order = torch.from_numpy(np.insert(np.arange(len(seen.values)), places, len(seen.values) + np.arange(len(places))))
    return Slopes(
        np.insert(seen.values, places, new.values),
        {m: torch.cat([gradient, new.gradients[m]])[order] for m, gradient in seen.gradients.items()},
    )


def _trapezium(shares: Float[np.ndarray, " step"]) -> Float[np.ndarray, " step"]:
    """Give the weight of each step."""
    widths = np.diff(shares)
    weights: np.ndarray = (np.append(widths, 0) + np.append(0, widths)) / 2
    return weights
