"""Notes as differentiable inputs: words with negation, or sentences through the frozen MiniLM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.explain.attribution import (
    NoteAttribution,
    WordScore,
)
from polyclinic.explain.inputs.base import DifferentiableInput, Kept, ModalityExplanation, Scores, Units
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays
from polyclinic.features.backbones.minilm import MiniLM, SentenceTokenizer, padded
from polyclinic.features.note.embeddings import frozen_network
from polyclinic.features.note.embeddings import frozen_network as frozen_sentences
from polyclinic.features.note.layout import NoteLayout, Piece
from polyclinic.features.note.tokenizer import words
from polyclinic.models.network.encoders import Encoder
from polyclinic.models.network.encoders.words import word_table
from polyclinic.models.network.unified import UnifiedModel

WORD_NOISE = 0.05
"""Standard deviation of the noise on embeddings, as a share of theirs."""


class Span(NamedTuple):
    """A word piece: its sentence, and the index of its word; None for punctuation and special tokens."""

    sentence: int
    word: int | None


class SentenceInput(DifferentiableInput):
    """Word pieces of sentences through the frozen MiniLM, interpolated to the baseline embedding."""

    def __init__(self, layout: NoteLayout, sections: Int[np.ndarray, " sentence"], baseline: Baseline) -> None:
        network, tokenizer = frozen_sentences("cpu")
        self.network: MiniLM = network
        self.sections = torch.from_numpy(sections)
        self.words, self.spans = _words_of_pieces(layout, tokenizer)
        pieces = torch.tensor([piece for one in layout.sentences for piece in tokenizer.ids(one.text)])
        self.embedded = network.piece.weight[pieces]
        self.empty = baseline.piece(self.embedded.shape[1])
        self.start, self.end = torch.zeros(len(pieces)), torch.ones(len(pieces))
        self.groups = _by_length(self.spans, len(layout.sentences))

    def tensors(self, x: Float[Tensor, "step piece"]) -> dict[str, Tensor]:
        """Return `sentences`, `sentence_mask` and `sentence_section`."""
        steps, sentences = len(x), len(self.sections)
        return {
            "sentences": self.vectors(x),
            "sentence_mask": torch.ones(steps, sentences, dtype=torch.bool),
            "sentence_section": self.sections.expand(steps, -1),
        }

    def vectors(self, x: Float[Tensor, "step piece"]) -> Float[Tensor, "step sentence width"]:
        """Encode all sentences at all points, batched by length."""
        steps, width = len(x), self.embedded.shape[1]
        parts = [self._embed(x, places) for places, _ in self.groups]
        sizes = [(part.shape[0] * part.shape[1], part.shape[2]) for part in parts]
        stream = torch.cat([part.reshape(-1, width) for part in parts])
        for layer in self.network.layers:
            stream = layer(stream, sizes)
        read = zip(torch.split(stream, [many * length for many, length in sizes]), sizes, strict=True)
        means = [part.view(steps, -1, length, width).mean(dim=2) for part, (_, length) in read]
        order = torch.cat([rows for _, rows in self.groups]).argsort()
        return functional.normalize(torch.cat(means, dim=1), dim=2)[:, order]

    def units(self, sample: Sample) -> WordUnits:
        """Return the words."""
        return WordUnits(self, sample.note_layout)

    def noisy(self, generator: torch.Generator) -> Self:
        """Return noisy embeddings."""
        other, spread = copy(self), WORD_NOISE * self.embedded.std()
        other.embedded = self.embedded + spread * torch.randn(self.embedded.shape, generator=generator)
        return other

    def _embed(self, x: Tensor, places: Int[Tensor, "sentence piece"]) -> Float[Tensor, "step sentence piece width"]:
        network = self.network
        vectors = self.empty + x[:, places, None] * (self.embedded[places] - self.empty)
        vectors = vectors + network.position.weight[: places.shape[1]] + network.segment.weight[0]
        embedded: Tensor = network.norm(vectors)
        return embedded


class WordInput(DifferentiableInput):
    """Words in the vocabulary of each network, interpolated to the baseline embedding."""

    hooks = True

    def __init__(self, arrays: Arrays, reads: Sequence[str], layout: NoteLayout, baseline: Baseline) -> None:
        self.read = {name: torch.from_numpy(np.asarray(arrays[name][0]))[: len(layout.words)] for name in reads}
        self.words = layout.words
        self.baseline = baseline
        self.start, self.end = self._start(baseline), torch.ones(len(self.words))

    def tensors(self, x: Float[Tensor, "step word"]) -> dict[str, Tensor]:
        """Return the encoder input of each word; the points enter by `interpolating`."""
        return {name: one.expand(len(x), -1) for name, one in self.read.items()}

    def _start(self, baseline: Baseline) -> Float[Tensor, " word"]:
        """Return the start of each word: its usual rate for a bag of words, otherwise 0."""
        if baseline.rates is None or "word_denied" not in self.read:
            return torch.zeros(len(self.words))
        return baseline.rates[self.read["word_denied"].long(), self.read["words"]]

    def with_baseline(self, baseline: Baseline) -> Self:
        """Return the same words with another baseline."""
        other = copy(self)
        other.baseline, other.start = baseline, self._start(baseline)
        return other

    def units(self, sample: Sample) -> CodeUnits:  # noqa: ARG002
        """Return the words."""
        return CodeUnits(self)

    def noisy(self, generator: torch.Generator) -> Self:  # noqa: ARG002
        """Return the input itself."""
        return self

    def from_usual(self, usual: Baseline) -> Self:
        """Return the words, starting at their shares of notes."""
        return self.with_baseline(usual)

    @contextmanager
    def interpolating(self, network: UnifiedModel, x: Float[Tensor, "step word"]) -> Iterator[None]:
        """Interpolate the word embeddings to that of the baseline during a forward pass."""
        table = word_table(network.encoder("note"))
        empty = self.baseline.words(table.weight.detach())

        def interpolated(_module: nn.Module, _codes: Any, embedded: Tensor) -> Tensor:
            return empty + x[..., None] * (embedded - empty)

        handle = table.register_forward_hook(interpolated)
        try:
            yield
        finally:
            handle.remove()


def _by_length(spans: list[Span], sentences: int) -> list[tuple[Tensor, Tensor]]:
    """Return the indices of the pieces `[sentence, piece]` and the rows, by length of sentence."""
    sentence = np.array([span.sentence for span in spans])
    lengths = np.bincount(sentence, minlength=sentences)
    first = np.cumsum(lengths) - lengths
    groups = []
    for length in sorted(set(lengths.tolist())):
        rows = np.flatnonzero(lengths == length)
        groups.append((torch.from_numpy(first[rows, None] + np.arange(length)), torch.from_numpy(rows)))
    return groups


def _words_of_pieces(layout: NoteLayout, tokenizer: SentenceTokenizer) -> tuple[tuple[Piece, ...], list[Span]]:
    """Return the words of the sentences, and the word of each piece."""
    found: list[Piece] = []
    spans: list[Span] = []
    for number, sentence in enumerate(layout.sentences):
        text = layout.notes[sentence.note].text
        inside = [word for word in words(text) if sentence.start <= word.start and word.end <= sentence.end]
        owner = {place: len(found) + k for k, word in enumerate(inside) for place in range(word.start, word.end)}
        found += [Piece(word.text, sentence.note, word.start, word.end) for word in inside]
        written = _written(text, sentence)
        for start, end in tokenizer.spans(sentence.text):
            spans.append(Span(number, owner.get(written[start]) if end > start else None))
    return tuple(found), spans


def _written(text: str, sentence: Piece) -> list[int]:
    """Return the position in the note of each character of the sentence, whose white space was normalised."""
    places: list[int] = []
    for place in range(sentence.start, sentence.end):
        if not text[place].isspace() or (places and not text[places[-1]].isspace()):
            places.append(place)
    return places


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


class NoteExplanation(ModalityExplanation):
    """See `ModalityExplanation`."""

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
        """Return words, or the pieces of sentences."""
        arrays, layout = sample.arrays["note"], sample.note_layout
        if "words" in encoder.reads:
            return WordInput(arrays, encoder.reads, layout, baseline)
        sections = np.asarray(arrays["sentence_section"][0])[: len(layout.sentences)]
        return SentenceInput(layout, sections, baseline)

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> NoteAttribution:
        """Sum the scores of the pieces of each word, and add its position."""
        assert isinstance(input_, SentenceInput | WordInput)
        layout = sample.note_layout
        of_words, marks = np.zeros(len(input_.words)), 0.0
        owners = range(len(input_.words)) if isinstance(input_, WordInput) else [span.word for span in input_.spans]
        for owner, score in zip(owners, scores.tolist(), strict=True):
            if owner is None:
                marks += score
            else:
                of_words[owner] += score
        return NoteAttribution(
            tuple(
                WordScore(
                    layout.notes[word.note].text[word.start : word.end],
                    layout.section(word),
                    word.note,
                    word.start,
                    word.end,
                    float(score),
                    layout.is_negated(word),
                )
                for word, score in zip(input_.words, of_words, strict=True)
            ),
            marks,
        )


EXPLANATION = NoteExplanation()
