"""Words of notes → vectors; shared by the encoders that read words."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import positions_of, used_length

UNKNOWN = 1


def word_table(encoder: Encoder) -> nn.Embedding:
    """Give the embeddings of the words that an encoder reads; raises TypeError if it reads none."""
    table = getattr(encoder, "word", None) or getattr(getattr(encoder, "embedding", None), "word", None)
    if not isinstance(table, nn.Embedding):
        raise TypeError(f"{type(encoder).__name__} reads no words")
    return table


class WordVectors(NamedTuple):
    """Vectors of the words, all real ones before any padding; 0 where there is no word."""

    values: Float[Tensor, "batch word width"]
    mask: Bool[Tensor, "batch word"]


class WordEmbedding(nn.Module):
    """Embeds each word and the section it stands in; drops whole words in training, as if they were unknown."""

    def __init__(self, sizes: NoteSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.word = nn.Embedding(sizes.words, width, padding_idx=0)
        self.section = nn.Embedding(sizes.sections, width)
        self.dropout = dropout

    def forward(self, words: Int[Tensor, "batch word"], word_section: Int[Tensor, "batch word"]) -> WordVectors:
        """Embed; word 0 is padding, wherever it stands."""
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
