"""The units of one modality of one sample that can be removed, and the encoder input without them.

A unit is a feature, a measurement, a word, or a block of an image. Removed features and measurements are set to the
training median, blocks to other pixels; removed words are deleted and their sentence is encoded again, and a note
without words is absent.
"""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.image import PixelInput
from polyclinic.explain.inputs.note import SentenceInput, WordInput
from polyclinic.features.backbones.minilm import padded
from polyclinic.features.note.embeddings import frozen_network
from polyclinic.features.note.layout import NoteLayout

BLOCK = 16
"""Pixels of the canvas along the side of a block."""
PATCH = 2
"""Blocks along the side of a patch that occlusion removes at once."""
AT_ONCE = 16
"""Batch size: versions of a sample."""

Kept = Bool[Tensor, "step unit"]


class Units:
    """Units that are the elements of a differentiable input."""

    def __init__(self, input_: DifferentiableInput) -> None:
        self.input_ = input_
        self.count = input_.end.numel()
        self.owner: Int[np.ndarray, " number"] = np.arange(self.count)  # unit of each element; −1: none

    def __len__(self) -> int:
        return self.count

    @property
    def patches(self) -> Int[np.ndarray, " unit"]:
        """The patch of each unit; occlusion removes one patch at a time."""
        return np.arange(len(self))

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return the encoder input with only some units kept."""
        return self.input_.tensors(torch.where(kept, self.input_.end, self.input_.start))

    def present(self, kept: Kept) -> Bool[Tensor, " step"]:
        """Return whether the modality is still present."""
        return torch.ones(len(kept), dtype=torch.bool)

    def gathered(self, scores: Float[Tensor, "..."]) -> Float[np.ndarray, " unit"]:
        """Sum the scores of the input's elements by unit."""
        flat, there = scores.detach().double().numpy().ravel(), self.owner >= 0
        return np.bincount(self.owner[there], flat[there], len(self))


class BlockUnits(Units):
    """Square blocks of images, except those entirely in the black border."""

    def __init__(self, input_: PixelInput, removed: Float[Tensor, "view 1 side side"] | None = None) -> None:
        super().__init__(input_)
        self.removed = torch.zeros_like(input_.end) if removed is None else removed
        views, _, side, _ = input_.end.shape
        across = -(-side // BLOCK)
        place = np.arange(side) // BLOCK
        grid = place[:, None] * across + place + across**2 * np.arange(views)[:, None, None]
        inside = np.bincount(grid.ravel(), input_.end.numpy().ravel(), views * across**2) > 0
        number = np.where(inside, np.cumsum(inside) - 1, -1)
        self.grid = torch.from_numpy(number[grid])
        self.owner, self.count = self.grid.numpy().ravel(), int(inside.sum())
        wide = place // PATCH
        patches = wide[:, None] * across + wide + across**2 * np.arange(views)[:, None, None]
        first = np.unique(number[grid].ravel(), return_index=True)[1][-self.count :]
        self._patches: np.ndarray = np.unique(patches.ravel()[first], return_inverse=True)[1]

    @property
    def patches(self) -> Int[np.ndarray, " unit"]:
        """The patch of `PATCH` × `PATCH` blocks of each block."""
        return self._patches

    def showing(self, removed: Float[Tensor, "view 1 side side"]) -> Self:
        """Return the same blocks with other pixels for removed ones."""
        other = copy(self)
        other.removed = removed
        return other

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return the encoder input."""
        shown = functional.pad(kept, (0, 1), value=True)[:, self.grid][:, :, None]
        return self.input_.tensors(torch.where(shown, self.input_.end, self.removed))

    def spread(self, scores: Float[np.ndarray, " unit"]) -> Float[Tensor, "view side side"]:
        """Return the score of the block of each pixel; 0 on the border."""
        return torch.from_numpy(np.append(scores, 0.0)[self.grid.numpy()])


class CodeUnits(Units):
    """The words of notes in the vocabulary of a network; remaining words close up.

    A negated word stays negated when its cue is removed.
    """

    input_: WordInput

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return the encoder input of each word."""
        order = torch.argsort((~kept).int(), dim=1, stable=True)
        there = kept.gather(1, order)
        return {name: one.expand_as(kept).gather(1, order) * there for name, one in self.input_.read.items()}

    def present(self, kept: Kept) -> Bool[Tensor, " step"]:
        """Return whether any word is left."""
        return kept.any(dim=1)


class WordUnits(Units):
    """The words of sentences, which the frozen network encodes again without those removed."""

    input_: SentenceInput

    def __init__(self, input_: SentenceInput, layout: NoteLayout) -> None:
        super().__init__(input_)
        self.layout = layout
        self.owner = np.array([-1 if span.word is None else span.word for span in input_.spans])
        self.count = len(input_.words)
        owned = zip(self.owner.tolist(), (span.sentence for span in input_.spans), strict=True)
        self.sentence_of = dict(one for one in owned if one[0] >= 0)
        self._known: dict[str, Tensor] = {}

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return `sentences`, `sentence_mask` and `sentence_section`."""
        texts = [self._texts(row) for row in kept.numpy()]
        self._read({text for row in texts for text in row if text})
        width = self.input_.embedded.shape[1]
        rows = [torch.stack([self._known[text] if text else torch.zeros(width) for text in row]) for row in texts]
        return {
            "sentences": torch.stack(rows),
            "sentence_mask": torch.tensor([[bool(text) for text in row] for row in texts]),
            "sentence_section": self.input_.sections.expand(len(kept), -1),
        }

    def present(self, kept: Kept) -> Bool[Tensor, " step"]:
        """Return whether any word is left."""
        return kept.any(dim=1)

    def _texts(self, kept: Bool[np.ndarray, " unit"]) -> list[str]:
        """Return each sentence without the removed words; empty if none is left."""
        lost: dict[int, list[int]] = {}
        left = set()
        for word, sentence in self.sentence_of.items():
            if kept[word]:
                left.add(sentence)
            else:
                lost.setdefault(sentence, []).append(word)
        return [self._written(number, lost.get(number, ())) if number in left else ""
                for number in range(len(self.layout.sentences))]  # fmt: skip

    def _written(self, number: int, lost: list[int] | tuple[()]) -> str:
        sentence = self.layout.sentences[number]
        letters = list(self.layout.notes[sentence.note].text)
        for word in lost:
            place = self.input_.words[word]
            letters[place.start : place.end] = " " * (place.end - place.start)
        return " ".join("".join(letters[sentence.start : sentence.end]).split())

    def _read(self, texts: set[str]) -> None:
        new = sorted(texts - self._known.keys())
        if new:
            network, tokenizer = frozen_network("cpu")
            vectors = network.sentence_vectors(padded([tokenizer.ids(text) for text in new]))
            self._known |= dict(zip(new, vectors, strict=True))
