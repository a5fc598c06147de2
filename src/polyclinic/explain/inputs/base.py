"""The differentiable beginning of each input: what was recorded → what a network's encoder reads.

A stem holds one modality of one sample as numbers to which scores can be given: the pixels of pictures, the values of
measurements and features, and one number for each word or piece of a word, 1 where it is read as written and 0 where
its embedding is that of the baseline. The gradient with respect to such a number is the sum over the embedding that
integrated gradients of words are made of. What is frozen (EfficientNet-lite0, MiniLM) is run here, once for the
networks of all folds; in the cache its outputs are rounded to 16 bits, here they are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays, ImageFeaturizer, NoteFeaturizer
from polyclinic.features.backbones.efficientnet_lite0 import EfficientNetLite0, canonical_to_input
from polyclinic.features.backbones.minilm import MiniLM, SentenceTokenizer
from polyclinic.features.image.embeddings import frozen_network as frozen_pictures
from polyclinic.features.image.preprocessing import canonical, read_picture
from polyclinic.features.note.embeddings import frozen_network as frozen_sentences
from polyclinic.features.note.layout import NoteLayout, Piece
from polyclinic.features.note.tokenizer import words
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.encoders import Encoder
from polyclinic.models.network.encoders.words import word_table
from polyclinic.models.network.unified import UnifiedModel


class Stem:
    """One modality of one sample; the path runs from `start` to `end`, tensors of one shape."""

    start: Tensor
    end: Tensor
    hooks: ClassVar[bool] = False  # whether `inside` puts hooks on the network, which then must be nobody else's

    def tensors(self, x: Float[Tensor, "step ..."]) -> dict[str, Tensor]:
        """Give what the encoder reads, for each of several points between `start` and `end`."""
        raise NotImplementedError

    def inside(self, network: UnifiedModel, x: Float[Tensor, "step ..."]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Give the context in which the network must be asked, where the points enter it behind its first layer."""
        return nullcontext()


class FeatureStem(Stem):
    """Structured features: the values of those known."""

    def __init__(self, arrays: Arrays, baseline: Baseline) -> None:
        self.known = torch.from_numpy(np.asarray(arrays["known"][0]))
        values = torch.from_numpy(np.asarray(arrays["values"][0]))
        self.end = values[self.known]
        self.start = baseline.structured(values)[self.known]

    def tensors(self, x: Float[Tensor, "step known"]) -> dict[str, Tensor]:
        """Give `values` and `known`."""
        known = self.known.expand(len(x), -1)
        values = x.new_zeros(known.shape).masked_scatter(known, x)
        return {"values": values, "known": known}


class TripletStem(Stem):
    """A series as triplets: their values, with their times and codes fixed."""

    def __init__(self, arrays: Arrays, baseline: Baseline, codes: int) -> None:
        self.code = torch.from_numpy(np.asarray(arrays["triplet_code"][0]))
        there = self.code != 0
        self.code = self.code[there]
        self.time = torch.from_numpy(np.asarray(arrays["triplet_time"][0]))[there]
        self.end = torch.from_numpy(np.asarray(arrays["triplet_value"][0]))[there]
        self.start = baseline.series(codes)[self.code - 1]

    def tensors(self, x: Float[Tensor, "step triplet"]) -> dict[str, Tensor]:
        """Give `triplet_time`, `triplet_code` and `triplet_value`."""
        steps = len(x)
        return {
            "triplet_time": self.time.expand(steps, -1),
            "triplet_code": self.code.expand(steps, -1),
            "triplet_value": x,
        }


class GridStem(Stem):
    """A series on a grid: the values of the bins with measurements, with their places fixed."""

    def __init__(self, arrays: Arrays, baseline: Baseline, codes: int) -> None:
        self.mask = torch.from_numpy(np.asarray(arrays["grid_mask"][0]))
        self.since = torch.from_numpy(np.asarray(arrays["grid_since"][0]))
        self.end = torch.from_numpy(np.asarray(arrays["grid_value"][0]))[self.mask]
        self.start = baseline.series(codes)[self.mask.nonzero()[:, 1]]

    def tensors(self, x: Float[Tensor, "step cell"]) -> dict[str, Tensor]:
        """Give `grid_value`, `grid_mask` and `grid_since`."""
        mask = self.mask.expand(len(x), -1, -1)
        return {
            "grid_value": x.new_zeros(mask.shape).masked_scatter(mask, x),
            "grid_mask": mask,
            "grid_since": self.since.expand(len(x), -1, -1),
        }


class PictureStem(Stem):
    """Pictures: their pixels, `[view, 1, side, side]`, through the frozen network where the encoder reads its maps."""

    def __init__(self, sample: Sample, featurizer: ImageFeaturizer, baseline: Baseline, encoder: Encoder) -> None:
        arrays, options = sample.arrays["image"], featurizer.options
        self.chosen = np.flatnonzero(arrays["view_mask"][0])
        self.names = [str(arrays["blob"][0, view]) for view in self.chosen]
        self.codes = torch.from_numpy(np.asarray(arrays["view_code"][0])[self.chosen])
        stored = [read_picture(sample.blobs(name).read_bytes(), name, options.side, options.fit) for name in self.names]
        self.end = torch.from_numpy(canonical(np.stack(stored)))[:, None]
        self.start = baseline.pictures(self.end)
        self._frozen = frozen_pictures(options.backbone, "cpu") if "tokens" in encoder.reads else None

    def tensors(self, x: Float[Tensor, "step view 1 side side"]) -> dict[str, Tensor]:
        """Give `tokens` (or `pixels`), `view_mask` and `view_code`."""
        steps, views = x.shape[:2]
        there = {
            "view_mask": torch.ones(steps, views, dtype=torch.bool),
            "view_code": self.codes.expand(steps, -1),
        }
        if self._frozen is None:
            return {"pixels": x, **there}
        maps = self.maps(x).flatten(2).transpose(1, 2)
        return {"tokens": maps.reshape(steps, views, *maps.shape[1:]), **there}

    @property
    def frozen(self) -> EfficientNetLite0 | None:
        """Give the frozen network, where the encoder reads its maps."""
        return self._frozen

    def maps(self, x: Float[Tensor, "step view 1 side side"]) -> Float[Tensor, "step*view channel h w"]:
        """Run the frozen network."""
        pictures = canonical_to_input(x.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self._frozen.fine(pictures)  # type: ignore[union-attr]
        return maps


class MapStem(Stem):
    """Pictures as the frozen network gives them, `[view, cell, channel]`: the path begins at the usual map."""

    def __init__(
        self,
        names: list[str],
        codes: Int[Tensor, " view"],
        maps: Float[Tensor, "view cell channel"],
        usual: Float[Tensor, "cell channel"],
    ) -> None:
        self.names, self.codes = names, codes
        self.end, self.start = maps, usual.expand_as(maps).clone()

    @classmethod
    def of(cls, arrays: Arrays, usual: Float[Tensor, "cell channel"]) -> Self:
        """Take the maps that the cache holds."""
        chosen = np.flatnonzero(arrays["view_mask"][0])
        names = [str(arrays["blob"][0, view]) for view in chosen]
        codes = torch.from_numpy(np.asarray(arrays["view_code"][0])[chosen])
        return cls(names, codes, torch.from_numpy(np.asarray(arrays["tokens"][0])[chosen]).float(), usual)

    def tensors(self, x: Float[Tensor, "step view cell channel"]) -> dict[str, Tensor]:
        """Give `tokens`, `view_mask` and `view_code`."""
        steps, views = x.shape[:2]
        return {
            "tokens": x,
            "view_mask": torch.ones(steps, views, dtype=torch.bool),
            "view_code": self.codes.expand(steps, -1),
        }


class Span(NamedTuple):
    """A piece of a sentence, and the place of the word that it is of; None for punctuation and marks."""

    sentence: int
    word: int | None


class SentenceStem(Stem):
    """Notes as sentences: how far each piece of a word is read as written, through the frozen MiniLM."""

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
        """Give `sentences`, `sentence_mask` and `sentence_section`."""
        steps, sentences = len(x), len(self.sections)
        return {
            "sentences": self.vectors(x),
            "sentence_mask": torch.ones(steps, sentences, dtype=torch.bool),
            "sentence_section": self.sections.expand(steps, -1),
        }

    def vectors(self, x: Float[Tensor, "step piece"]) -> Float[Tensor, "step sentence width"]:
        """Run the frozen network over all sentences at all points, those of one length beside one another."""
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

    def _embed(self, x: Tensor, places: Int[Tensor, "sentence piece"]) -> Float[Tensor, "step sentence piece width"]:
        network = self.network
        vectors = self.empty + x[:, places, None] * (self.embedded[places] - self.empty)
        vectors = vectors + network.position.weight[: places.shape[1]] + network.segment.weight[0]
        embedded: Tensor = network.norm(vectors)
        return embedded


class WordStem(Stem):
    """Notes as words: how far each is read as written, in the vocabulary of each network itself."""

    hooks = True

    def __init__(self, arrays: Arrays, reads: Sequence[str], layout: NoteLayout, baseline: Baseline) -> None:
        self.read = {name: torch.from_numpy(np.asarray(arrays[name][0]))[: len(layout.words)] for name in reads}
        self.words = layout.words
        self.baseline = baseline
        self.start, self.end = self.starting(baseline), torch.ones(len(self.words))

    def tensors(self, x: Float[Tensor, "step word"]) -> dict[str, Tensor]:
        """Give what is read of each word, which does not depend on the points: those enter by `inside`."""
        return {name: one.expand(len(x), -1) for name, one in self.read.items()}

    def starting(self, baseline: Baseline) -> Float[Tensor, " word"]:
        """Give how far each word is read at the start; only where their order does not matter, it can be usual."""
        if baseline.rates is None or "word_denied" not in self.read:
            return torch.zeros(len(self.words))
        return baseline.rates[self.read["word_denied"].long(), self.read["words"]]

    def beginning(self, baseline: Baseline) -> Self:
        """Give the same words, whose path begins elsewhere."""
        other = copy(self)
        other.baseline, other.start = baseline, self.starting(baseline)
        return other

    @contextmanager
    def inside(self, network: UnifiedModel, x: Float[Tensor, "step word"]) -> Iterator[None]:
        """Draw the embeddings of the words to that of the baseline while the network is asked."""
        table = word_table(network.encoder("note"))
        empty = self.baseline.words(table.weight.detach())

        def drawn(_module: nn.Module, _codes: Any, embedded: Tensor) -> Tensor:
            return empty + x[..., None] * (embedded - empty)

        handle = table.register_forward_hook(drawn)
        try:
            yield
        finally:
            handle.remove()


def stems_of(bundle: Bundle, sample: Sample, baseline: Baseline) -> dict[str, Stem]:
    """Give the stem of each modality that the sample has and the networks read."""
    network = bundle.ensemble.networks[0]
    present = [modality for modality in network.modalities if modality in sample.present]
    return {modality: _STEMS[modality](bundle, sample, baseline, network.encoder(modality)) for modality in present}


def _structured(_bundle: Bundle, sample: Sample, baseline: Baseline, _encoder: Encoder) -> Stem:
    return FeatureStem(sample.arrays["structured"], baseline)


def _series(bundle: Bundle, sample: Sample, baseline: Baseline, encoder: Encoder) -> Stem:
    codes = len(bundle.features.featurizers["series"].codes)  # type: ignore[attr-defined]
    stem = GridStem if "grid_value" in encoder.reads else TripletStem
    return stem(sample.arrays["series"], baseline, codes)


def _note(bundle: Bundle, sample: Sample, baseline: Baseline, encoder: Encoder) -> Stem:
    featurizer, arrays = bundle.features.featurizers["note"], sample.arrays["note"]
    assert isinstance(featurizer, NoteFeaturizer)
    (layout,) = featurizer.layouts(sample.known, sample.frame)
    if "words" in encoder.reads:
        return WordStem(arrays, encoder.reads, layout, baseline)
    sections = np.asarray(arrays["sentence_section"][0])[: len(layout.sentences)]
    return SentenceStem(layout, sections, baseline)


def _image(bundle: Bundle, sample: Sample, baseline: Baseline, encoder: Encoder) -> Stem:
    featurizer = bundle.features.featurizers["image"]
    assert isinstance(featurizer, ImageFeaturizer)
    if baseline.map is not None and "tokens" in encoder.reads:
        return MapStem.of(sample.arrays["image"], baseline.map)
    return PictureStem(sample, featurizer, baseline, encoder)


_STEMS: Mapping[str, Callable[[Bundle, Sample, Baseline, Encoder], Stem]] = {
    "structured": _structured,
    "series": _series,
    "note": _note,
    "image": _image,
}


def _by_length(spans: list[Span], sentences: int) -> list[tuple[Tensor, Tensor]]:
    """Give, for each length of sentences, the places of their pieces `[sentence, piece]` and their rows."""
    sentence = np.array([span.sentence for span in spans])
    lengths = np.bincount(sentence, minlength=sentences)
    first = np.cumsum(lengths) - lengths
    groups = []
    for length in sorted(set(lengths.tolist())):
        rows = np.flatnonzero(lengths == length)
        groups.append((torch.from_numpy(first[rows, None] + np.arange(length)), torch.from_numpy(rows)))
    return groups


def _words_of_pieces(layout: NoteLayout, tokenizer: SentenceTokenizer) -> tuple[tuple[Piece, ...], list[Span]]:
    """Find the words of the sentences, and the word that each piece is of."""
    found: list[Piece] = []
    spans: list[Span] = []
    for number, sentence in enumerate(layout.sentences):
        text = layout.notes[sentence.note].text
        inside = [word for word in words(text) if sentence.start <= word.start and word.end <= sentence.end]
        owner = {place: len(found) + k for k, word in enumerate(inside) for place in range(word.start, word.end)}
        found += [Piece(word.text, sentence.note, word.start, word.end) for word in inside]
        written = _written(text, sentence)
        for start, end in tokenizer.places(sentence.text):
            spans.append(Span(number, owner.get(written[start]) if end > start else None))
    return tuple(found), spans


def _written(text: str, sentence: Piece) -> list[int]:
    """Give where each character of the sentence stands in its note: its white space was made even."""
    places: list[int] = []
    for place in range(sentence.start, sentence.end):
        if not text[place].isspace() or (places and not text[places[-1]].isspace()):
            places.append(place)
    return places
