"""Integrated gradients of one answer with respect to all inputs at once (Sundararajan 2017, arXiv 1703.01365).

IG_i = (x_i − x′_i) · ∫₀¹ ∂F(x′ + α (x − x′)) / ∂x_i dα, on one straight line for all modalities together, so that the
scores of all of them add up to F(x) − F(x′).

Along that line the gradient of a picture is jagged, and most happens near its beginning: equally spaced steps, or those
of Gauss and Legendre, need hundreds of gradients to come within 2 %. But F itself comes with every gradient, so it is
known of every interval by how much its trapezium is wrong. The steps begin at 9, denser towards the baseline, and are
halved where the error is greatest until the whole is right; no gradient is computed twice or thrown away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.attribution import Attribution, Completeness
from polyclinic.explain.baseline import Baseline, usual_of
from polyclinic.explain.parts import attributed
from polyclinic.explain.pathway import Pathway
from polyclinic.explain.sample import Sample, output_of
from polyclinic.explain.stems import PictureStem
from polyclinic.models.bundle import Bundle

METHOD = "integrated_gradients"
TOLERANCE = 0.02
"""Of the gap, as a share of F(x) − F(x′)."""
CANCELLING = 10
"""Times the tolerance: what the steps' errors may add up to without their signs, lest they cancel out by luck."""
ROUNDING = 1e-5
"""Share of F below which a difference is not told from rounding."""
FIRST_STEPS = 9
STEPS_MORE = 8
PICTURES_AT_ONCE = 9
"""Whose activations, some 50 MB each, are held for the way back."""
MOST_STEPS = 128


class Slopes(NamedTuple):
    """F and its gradients at some points of the path."""

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
    baseline = usual_of(bundle) if baseline is None else baseline
    path = Pathway(bundle, sample, asked, baseline)
    scores, completeness = integrate(path, tolerance, most_steps)
    return Attribution(
        subject_id=sample.subject_id,
        prediction_time=sample.prediction_time,
        task=task,
        output=asked.name,
        method=METHOD,
        baseline=baseline.name,
        completeness=completeness,
        **attributed(bundle, sample, path.stems, scores),
    )


def integrate(path: Pathway, tolerance: float = TOLERANCE, most_steps: int = MOST_STEPS) -> Integral:
    """Integrate along the path, with steps where they are needed."""
    shares = np.linspace(0, 1, FIRST_STEPS) ** 3
    seen = slopes(path, shares)
    lengths = {modality: (stem.end - stem.start) for modality, stem in path.stems.items()}
    while True:
        along = _along(seen, lengths)
        errors = np.diff(shares) * (along[1:] + along[:-1]) / 2 - np.diff(seen.values)
        change = max(abs(seen.values[-1] - seen.values[0]), ROUNDING * np.abs(seen.values).max())
        complete = abs(errors.sum()) <= tolerance * change and np.abs(errors).sum() <= CANCELLING * tolerance * change
        if complete or len(shares) >= most_steps:
            break
        worst = np.sort(np.argsort(-np.abs(errors), kind="stable")[: min(STEPS_MORE, most_steps - len(shares))])
        middles = (shares[worst] + shares[worst + 1]) / 2
        seen = _inserted(seen, worst + 1, slopes(path, middles))
        shares = np.insert(shares, worst + 1, middles)
    weights = torch.from_numpy(_trapezium(shares)).float()
    scores = {
        modality: torch.tensordot(weights, seen.gradients[modality], dims=1) * length
        for modality, length in lengths.items()
    }
    total = sum(float(score.double().sum()) for score in scores.values())
    first, last = float(seen.values[0]), float(seen.values[-1])
    return Integral(scores, Completeness(last, first, total, len(shares), float(np.abs(errors).sum())))


def slopes(path: Pathway, shares: Float[np.ndarray, " step"]) -> Slopes:
    """Give F and its gradients some shares of the way along, a few at a time."""
    pictures = path.stems.get("image")
    many = pictures.end.shape[0] if isinstance(pictures, PictureStem) else 1
    step = max(1, PICTURES_AT_ONCE // many)
    parts = [_slopes(path, shares[start : start + step]) for start in range(0, len(shares), step)]
    return Slopes(
        np.concatenate([part.values for part in parts]),
        {modality: torch.cat([part.gradients[modality] for part in parts]) for modality in path.stems},
    )


def _slopes(path: Pathway, shares: np.ndarray) -> Slopes:
    points = {m: point.requires_grad_() for m, point in path.between(torch.from_numpy(shares).float()).items()}
    values = path(points)
    gradients = torch.autograd.grad(values.sum(), list(points.values()))
    return Slopes(values.detach().double().numpy(), dict(zip(points, gradients, strict=True)))


def _along(seen: Slopes, lengths: dict[str, Tensor]) -> Float[np.ndarray, " step"]:
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
