"""Word embeddings, shared by the encoders of words."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import positions_of, used_length

UNKNOWN = 1


def word_table(encoder: Encoder) -> nn.Embedding:
    """Return the word embeddings of an encoder; raises TypeError if it has none."""
    table = getattr(encoder, "word", None) or getattr(getattr(encoder, "embedding", None), "word", None)
    if not isinstance(table, nn.Embedding):
        raise TypeError(f"{type(encoder).__name__} has no word embeddings")
    return table


class WordVectors(NamedTuple):
    """Word vectors, with all padding at the end; 0 for padding."""

    values: Float[Tensor, "batch word width"]
    mask: Bool[Tensor, "batch word"]


class WordEmbedding(nn.Module):
    """Embedding of each word plus that of its section; in training, random words are replaced by the unknown word."""

    def __init__(self, sizes: NoteSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.word = nn.Embedding(sizes.words, width, padding_idx=0)
        self.section = nn.Embedding(sizes.sections, width)
        self.dropout = dropout

    def forward(self, words: Int[Tensor, "batch word"], word_section: Int[Tensor, "batch word"]) -> WordVectors:
        """Embed; word 0 is padding, at any position."""
        order = (words == 0).to(torch.uint8).argsort(dim=1, stable=True)
        words, word_section = words.gather(1, order), word_section.gather(1, order)
        length = used_length(words != 0)
        words, word_section = words[:, :length], word_section[:, :length]
        mask = words != 0
        known = torch.where(words < self.word.num_embeddings, words, UNKNOWN)
        if self.training and self.dropout:
            known = torch.where(torch.rand(known.shape, device=known.device) < self.dropout, UNKNOWN, known)
        vectors = self.word(known) + self.section(positions_of(word_section, self.section.num_embeddings))
        return WordVectors(vectors.masked_fill(~mask[..., None], 0), mask)
