"""Baselines of integrated gradients.

`zero`: black images, zero word embeddings, and the training median of numbers (0 after scaling). `usual`: the same, but
images start at the mean feature map of development images (scores are then on its cells, without a gradient through the
frozen network), and each word of a bag of words at its share of development notes (ubiquitous words then score little);
this baseline is displayed if the bundle has it. `blurred`: `zero`, but with blurred images. `mean`: the mean inputs of
training subjects. Presence, times and codes are fixed: the effect of a missing modality is measured by the Shapley
values of modalities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyclinic.cohort import Cohort
from polyclinic.explain.sample import ExplanationError
from polyclinic.features import Arrays, ImageFeaturizer, NoteFeaturizer
from polyclinic.features.blobs import ImageError, content_hash, image_content
from polyclinic.features.image.preprocessing import canonical, read_image
from polyclinic.features.known_record import known_record
from polyclinic.features.note.embeddings import frozen_network
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.development_reference import Reference
from polyclinic.tasks import Task, number_samples, prediction_times

Name = Literal["zero", "blurred", "mean", "usual"]
NAMES: tuple[Name, ...] = ("usual", "zero", "blurred", "mean")
BLUR = 1 / 16
"""Standard deviation of the blur, as a share of the image's side."""
MOST_PICTURES = 64
MOST_SENTENCES = 2000


@dataclass(frozen=True, eq=False)
class TrainingMeans:
    """The mean inputs of training subjects; None for modalities that the bundle does not read."""

    structured: Float[Tensor, " feature"] | None = None  # scaled; over the samples that have it
    series: Float[Tensor, " code"] | None = None  # scaled; over all measurements of each code
    piece: Float[Tensor, " width"] | None = None  # embedding of word pieces
    picture: Float[Tensor, "side side"] | None = None  # canonical


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline; for `mean` see `training_means`, for `usual` see `usual_of`."""

    name: Name = "zero"
    means: TrainingMeans | None = None
    map: Float[Tensor, "cell channel"] | None = None  # mean feature map
    rates: Float[Tensor, "2 word"] | None = None  # share of notes with each word, affirmed and negated

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ExplanationError(f"unknown baseline {self.name!r}: choose from {', '.join(NAMES)}")
        if (self.name == "mean") != (self.means is not None):
            raise ExplanationError("the baseline `mean`, and no other, needs training_means(bundle, cohort)")
        if (self.name == "usual") != (self.map is not None or self.rates is not None):
            raise ExplanationError("the baseline `usual`, and no other, needs what is usual: take usual_of")

    def structured(self, values: Float[Tensor, " feature"]) -> Float[Tensor, " feature"]:
        """Return the start of scaled values."""
        mean = None if self.means is None else self.means.structured
        return torch.zeros_like(values) if mean is None else mean.clone()

    def series(self, codes: int) -> Float[Tensor, " code"]:
        """Return the start of the scaled values of each code."""
        mean = None if self.means is None else self.means.series
        return torch.zeros(codes) if mean is None else mean.clone()

    def piece(self, width: int) -> Float[Tensor, " width"]:
        """Return the embedding at which word pieces start."""
        mean = None if self.means is None else self.means.piece
        return torch.zeros(width) if mean is None else mean.clone()

    def words(self, table: Float[Tensor, "word width"]) -> Float[Tensor, " width"]:
        """Return the embedding at which words start, in the vocabulary of a network."""
        return table.mean(dim=0) if self.name == "mean" else table.new_zeros(table.shape[1])

    def pictures(self, pixels: Float[Tensor, "view 1 side side"]) -> Float[Tensor, "view 1 side side"]:
        """Return the start of canonical images."""
        if self.name == "blurred":
            return blurred(pixels)
        mean = None if self.means is None else self.means.picture
        return torch.zeros_like(pixels) if mean is None else mean.expand_as(pixels).clone()


ZERO = Baseline()
BLURRED = Baseline("blurred")


def usual_of(reference: Reference | None) -> Baseline:
    """Return the displayed baseline: `usual` if the reference contains one, else `zero`."""
    if reference is None or (reference.usual_picture is None and reference.usual_words is None):
        return ZERO
    values = (reference.usual_picture, reference.usual_words)
    usual = (None if one is None else torch.from_numpy(one) for one in values)
    return Baseline("usual", None, *usual)


def blurred(pixels: Float[Tensor, "view 1 side side"]) -> Float[Tensor, "view 1 side side"]:
    """Blur images by a Gaussian, with replicated edges."""
    sigma = BLUR * pixels.shape[-1]
    reach = min(round(3 * sigma), pixels.shape[-1] - 1)
    bell = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * sigma**2))
    bell = bell / bell.sum()
    padded = functional.pad(pixels, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, bell.view(1, 1, 1, -1)), bell.view(1, 1, -1, 1))


def training_means(bundle: Bundle, cohort: Cohort) -> TrainingMeans:
    """Average the inputs of the development subjects of the training cohort.

    Raises:
        ExplanationError: the cohort is not the training cohort.
    """
    samples = development_samples(bundle.tasks, bundle.origin, cohort)
    known = known_record(cohort.events(), samples, bundle.tasks)
    arrays = bundle.features.set_blobs(cohort.blob).transform(known, samples)
    features = bundle.features.featurizers
    note, image = features.get("note"), features.get("image")
    return TrainingMeans(
        structured=_mean_features(arrays["structured"]) if "structured" in arrays else None,
        series=_mean_values(arrays["series"], len(features["series"].codes)) if "series" in arrays else None,  # type: ignore[attr-defined]
        piece=_mean_piece(note, known, samples) if isinstance(note, NoteFeaturizer) else None,
        picture=_mean_picture(image, arrays["image"]) if isinstance(image, ImageFeaturizer) else None,
    )


def development_samples(tasks: Sequence[Task], origin: Mapping[str, Any], cohort: Cohort) -> pl.DataFrame:
    """Return the samples of the development subjects, at each prediction time.

    Raises:
        ExplanationError: the cohort is not the training cohort.
    """
    if cohort.fingerprint != origin.get("cohort"):
        raise ExplanationError("this is not the cohort that the bundle was trained on: give the training cohort")
    chosen = sorted({subject for split in origin["development"] for subject in cohort.subjects_in(split)})
    times = pl.concat([prediction_times(cohort, task) for task in tasks])
    return number_samples(times.filter(pl.col("subject_id").is_in(chosen)))


def _mean_features(arrays: Arrays) -> Tensor:
    known = arrays["known"] & arrays["present"][:, None]
    sums = np.where(known, arrays["values"], 0).sum(axis=0, dtype=np.float64)
    return torch.from_numpy(sums / np.maximum(known.sum(axis=0), 1)).float()


def _mean_values(arrays: Arrays, codes: int) -> Tensor:
    form = "triplet" if "triplet_code" in arrays else "grid"
    if form == "grid":
        mask = arrays["grid_mask"]
        sums, count = np.where(mask, arrays["grid_value"], 0).sum(axis=(0, 1)), mask.sum(axis=(0, 1))
    else:
        code = arrays["triplet_code"].ravel()
        sums = np.bincount(code, arrays["triplet_value"].ravel(), codes + 1)[1:]
        count = np.bincount(code, minlength=codes + 1)[1:]
    return torch.from_numpy(sums / np.maximum(count, 1)).float()


def _mean_piece(featurizer: NoteFeaturizer, known: pl.DataFrame, samples: pl.DataFrame) -> Tensor:
    network, tokenizer = frozen_network("cpu")
    sentences = sorted({one.text for layout in featurizer.layouts(known, samples) for one in layout.sentences})
    pieces = [piece for text in _spread(sentences, MOST_SENTENCES) for piece in tokenizer.ids(text)[1:-1]]
    table: Tensor = network.piece.weight
    return table[torch.tensor(pieces, dtype=torch.int64)].mean(dim=0) if pieces else table.new_zeros(table.shape[1])


def _mean_picture(featurizer: ImageFeaturizer, arrays: Arrays) -> Tensor:
    side, blobs = featurizer.options.side, featurizer.blobs
    names = sorted(set(arrays["blob"][arrays["blob"] != ""]), key=content_hash)
    assert blobs is not None  # the arrays were made with them
    total, read = np.zeros((side, side)), 0
    for name in _spread(names, MOST_PICTURES):
        with suppress(ImageError):  # damaged since it was encoded
            total += canonical(read_image(image_content(blobs, name), name, side, featurizer.options.fit))
            read += 1
    return torch.from_numpy(total / max(read, 1)).float()


def _spread(items: Sequence[str], most: int) -> list[str]:
    """Return at most `most` evenly spaced items."""
    return [items[place] for place in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]
