"""The methods that an audit compares, as scores of the same units.

`integrated_gradients` is displayed to users. `gradient_input` is one gradient times the difference from the baseline
(Shrikumar 2017, arXiv 1605.01713); `occlusion` removes one unit at a time (Zeiler & Fergus 2014, arXiv 1311.2901). Two
more use the feature maps of images from a frozen backbone: `grad_cam` (Selvaraju 2017, arXiv 1610.02391), and
`map_gradients`, integrated gradients from the mean map of training images to that of the image. The latter shows what
distinguishes an image from others, as a lesion does, without a gradient through the backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from polyclinic.explain.inputs.image import BlockUnits, FeatureMapInput, PixelInput, resized
from polyclinic.explain.methods.grad_cam import GRAD_CAM, cam
from polyclinic.explain.methods.integrated_gradients import METHOD, TOLERANCE, integrate, slopes
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.models.network.encoders.images import MapTokens

MAP_STEPS = 8
SMOOTHING = 1 / 20
"""Standard deviation of the blur of maps, as a share of the image's side."""


class UnitScores(NamedTuple):
    """Scores of the units of each modality, and of each pixel."""

    units: dict[str, Float[np.ndarray, " unit"]]
    maps: Float[Tensor, "view side side"] | None = None  # None: no image


def by_integrated_gradients(
    perturbed: PerturbedSample, tolerance: float = TOLERANCE, most_steps: int = 96
) -> UnitScores:
    """Integrate along the straight path from the displayed baseline."""
    scores = integrate(perturbed.shown, tolerance, most_steps).scores
    if not isinstance(perturbed.shown.inputs.get("image"), FeatureMapInput):
        return _unit_scores(perturbed, scores)
    of_cells = _of_cells(perturbed, scores.pop("image").sum(dim=2))
    return UnitScores(_unit_scores(perturbed, scores).units | of_cells.units, of_cells.maps)


def by_gradient(perturbed: PerturbedSample) -> UnitScores:
    """Multiply the gradient at the sample by the difference from the baseline."""
    gradients = slopes(perturbed.function, np.ones(1)).gradients
    inputs = perturbed.function.inputs
    return _unit_scores(
        perturbed,
        {name: gradients[name][0] * (input_.end - input_.start) for name, input_ in inputs.items()},
    )


def by_occlusion(perturbed: PerturbedSample) -> UnitScores:
    """Return the change of the logit without each unit, or each patch of an image."""
    scores = {}
    for name, units in perturbed.units.items():
        patches = units.patches
        kept = patches != np.arange(-1, patches.max(initial=-1) + 1)[:, None]
        values = perturbed.without(name, kept)
        scores[name] = ((values[0] - values[1:]) / np.bincount(patches))[patches]
    blocks = perturbed.units.get("image")
    return UnitScores(scores, blocks.spread(scores["image"]) if isinstance(blocks, BlockUnits) else None)


def by_map_gradients(perturbed: PerturbedSample) -> UnitScores:
    """Integrate from the usual map (that of a black image if unknown) to those of the images."""
    input_ = perturbed.function.inputs.get("image")
    if not isinstance(input_, PixelInput) or input_.frozen is None:
        return UnitScores({})
    end = perturbed.whole["image"]["tokens"][0]
    with torch.no_grad():
        usual = perturbed.usual.map
        start = input_.tensors(input_.start[None])["tokens"][0] if usual is None else usual.expand_as(end)
    shares = ((torch.arange(MAP_STEPS) + 0.5) / MAP_STEPS).view(-1, 1, 1, 1)
    gradient = _map_slopes(perturbed, torch.lerp(start[None], end[None], shares)).mean(dim=0)
    return _of_cells(perturbed, (gradient * (end - start)).sum(dim=2))


def by_grad_cam(perturbed: PerturbedSample) -> UnitScores:
    """Weight the channels of each network's map by their mean gradients, and keep positive values."""
    if "image" not in perturbed.units or not isinstance(_image_tokens(perturbed), MapTokens):
        return UnitScores({})
    batch = perturbed.batch({}, {})
    heat = [cam(network, partial(perturbed.logit_of, network, batch)) for network in perturbed.function.networks]
    return _coarse(perturbed, torch.stack(heat).mean(dim=0))


METHODS: Mapping[str, Callable[[PerturbedSample], UnitScores]] = {
    METHOD: by_integrated_gradients,
    "gradient_input": by_gradient,
    "occlusion": by_occlusion,
    "map_gradients": by_map_gradients,
    GRAD_CAM: by_grad_cam,
}


def edges(pictures: Float[Tensor, "view 1 side side"]) -> Float[Tensor, "view side side"]:
    """Return the gradient magnitude of the brightness (Sobel): a baseline independent of the model."""
    down = torch.tensor([[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]])
    kernels = torch.stack([down, down.T])[:, None]
    padded = torch.nn.functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    slopes_of: Tensor = torch.nn.functional.conv2d(padded, kernels)
    steepness: Tensor = torch.linalg.vector_norm(slopes_of, dim=1)
    return steepness


def smoothed(maps: Float[Tensor, "view side side"], share: float = SMOOTHING) -> Float[Tensor, "view side side"]:
    """Blur maps by a Gaussian with a standard deviation relative to their side."""
    sigma = share * maps.shape[-1]
    return torch.from_numpy(gaussian_filter(maps.double().numpy(), (0, sigma, sigma), mode="constant"))


def _unit_scores(perturbed: PerturbedSample, scores: Mapping[str, Tensor]) -> UnitScores:
    maps = scores["image"][:, 0] if "image" in scores else None
    return UnitScores({name: perturbed.units[name].gathered(one) for name, one in scores.items()}, maps)


def _map_slopes(
    perturbed: PerturbedSample, maps: Float[Tensor, "step view cell channel"]
) -> Float[Tensor, "step view cell channel"]:
    maps = maps.detach().requires_grad_()
    whole = {name: one.expand(len(maps), *one.shape[1:]) for name, one in perturbed.whole["image"].items()}
    values = perturbed.mean_logit(perturbed.batch({"image": whole | {"tokens": maps}}, {}))
    gradient: Tensor = torch.autograd.grad(values.sum(), maps)[0]
    return gradient


def _image_tokens(perturbed: PerturbedSample) -> object:
    return getattr(perturbed.function.networks[0].encoder("image"), "tokens", None)


def _of_cells(perturbed: PerturbedSample, cells: Float[Tensor, "view cell"]) -> UnitScores:
    side = round(cells.shape[1] ** 0.5)
    return _coarse(perturbed, cells.view(len(cells), side, side))


def _coarse(perturbed: PerturbedSample, cells: Float[Tensor, "view h w"]) -> UnitScores:
    blocks = perturbed.units["image"]
    assert isinstance(blocks, BlockUnits)
    maps = resized(cells.detach(), blocks.input_.end.shape[-1])[:, 0]
    return UnitScores({"image": blocks.gathered(maps)}, maps)
