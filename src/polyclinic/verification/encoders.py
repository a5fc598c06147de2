"""Reference outputs of the shipped encoders for synthetic inputs, on any machine.

They are stored in `expected/`. Those of EfficientNet-lite0 for a wave were computed independently of this package, from
the packaged weights; the rest by this package, whose networks are tested against other implementations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from polyclinic.features.backbones import BACKBONES
from polyclinic.features.backbones.efficientnet_lite0 import EfficientNetLite0, canonical_to_input, load
from polyclinic.features.backbones.minilm import SentenceTokenizer, embed
from polyclinic.features.backbones.minilm import load as load_sentences
from polyclinic.features.image.preprocessing import canonical, read_image
from polyclinic.models.bundle.golden import Part

FIRST = 16
"""Compared elements of a vector."""
SIDE = 224
HEIGHT, WIDTH = 260, 300
"""Of the synthetic image, in pixels."""


class Fingerprint(NamedTuple):
    """SHA-256 of an encoder's weights: validated, and installed."""

    encoder: str
    expected: str
    here: str


def expected(name: str) -> Any:
    """Return the content of a file of `expected/`."""
    text = (files("polyclinic.verification") / "expected" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)


def fingerprints() -> list[Fingerprint]:
    """Return the fingerprints of all weights; raise `WeightsError` where they are not installed."""
    return [Fingerprint(name, known, BACKBONES[name].fingerprint()) for name, known in expected("weights").items()]


def encoded() -> Iterator[tuple[Part, Part]]:
    """Run each encoder, and yield expected and computed outputs.

    Raises:
        WeightsError: weights are not installed, or are those of another network.
    """
    network = load()
    yield _part("EfficientNet-lite0, of a wave", _of_wave(expected("efficientnet_lite0")), wave(network))
    yield _part("EfficientNet-lite0, of a picture", expected("picture"), picture(network.fold()))
    sentences = expected("minilm")
    yield _part("MiniLM, of two sentences", sentences["values"], vectors(sentences["sentences"]))


@torch.inference_mode()
def wave(network: EfficientNetLite0) -> dict[str, float]:
    """Return features and logits of a sine wave, without preprocessing."""
    pixels = torch.sin(torch.arange(3 * SIDE * SIDE, dtype=torch.float64) * 0.01).float().view(1, 3, SIDE, SIDE)
    maps = network.features(pixels)
    top = {f"logit of class {place}": logit for place, logit in enumerate(network(pixels)[0].tolist())}
    return _pooled(maps) | top


@torch.inference_mode()
def picture(network: EfficientNetLite0) -> dict[str, float]:
    """Return features of a grey image, read from a PNG like those of patients."""
    stored = read_image(rings(), "made up", SIDE)
    return _pooled(network.features(canonical_to_input(torch.from_numpy(canonical(stored))[None, None])))


def rings() -> bytes:
    """Draw grey rings in integer arithmetic, equal on every machine, as an 8-bit PNG."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    written = BytesIO()
    Image.fromarray(((rows**2 + columns**2) // 97 % 256).astype(np.uint8)).save(written, "PNG")
    return written.getvalue()


def vectors(sentences: list[str]) -> dict[str, float]:
    """Return the first elements of the vectors of two sentences, and their cosine similarity."""
    found = embed(load_sentences(), SentenceTokenizer(), sentences)
    begun = {
        f"sentence {number}, {place}": value
        for number, vector in enumerate(found.tolist(), 1)
        for place, value in enumerate(vector[:FIRST], 1)
    }
    return begun | {"likeness": float(found[0] @ found[1])}


def _pooled(maps: Float[Tensor, "1 channel h w"]) -> dict[str, float]:
    pooled = maps.mean(dim=(2, 3))[0]
    begun = {f"feature {place}": value for place, value in enumerate(pooled[:FIRST].tolist(), 1)}
    return begun | {"mean of features": pooled.mean().item(), "length of features": pooled.norm().item()}


def _of_wave(kept: Mapping[str, Any]) -> dict[str, float]:
    begun = {f"feature {place}": value for place, value in enumerate(kept["pooled_first_16"], 1)}
    logits = {f"logit of class {place}": logit for place, logit in kept["logits_top5"]}
    return begun | {"mean of features": kept["pooled_mean"], "length of features": kept["pooled_norm"]} | logits


def _part(what: str, kept: Mapping[str, float], given: Mapping[str, float]) -> tuple[Part, Part]:
    return Part(what, "encoder", kept), Part(what, "encoder", given)
