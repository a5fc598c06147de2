"""Words of notes: convolutions (Kim 2014, arXiv 1408.5882; kernels as in Aydin 2019, arXiv 1902.08888)."""

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.words import WordEmbedding
from polyclinic.models.network.layers import Dropout, initialise
from polyclinic.models.network.tokens import Tokens

KERNELS = (3, 4, 5)


class WordCNN(Encoder):
    """Convolutions over 3, 4 and 5 words with max pooling; one token per kernel size."""

    modality = "note"
    reads = ("words", "word_section")

    def __init__(self, sizes: NoteSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = WordEmbedding(sizes, width, dropout / 3)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, kernel) for kernel in KERNELS)
        self.dropout = Dropout(dropout)
        self.projections = nn.ModuleList(nn.Linear(width, width) for _ in KERNELS)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(self, words: Int[Tensor, "batch word"], word_section: Int[Tensor, "batch word"]) -> Tokens:
        """Encode; word 0 is padding. Notes are zero-padded at both ends, so that padding has no influence."""
        vectors, mask = self.embedding(words, word_section)
        maps = vectors.transpose(1, 2)
        tokens = []
        for kernel, convolution, projection in zip(KERNELS, self.convolutions, self.projections, strict=True):
            activations = functional.relu(convolution(functional.pad(maps, ((kernel - 1) // 2, kernel // 2))))
            maximum = activations.masked_fill(~mask[:, None], 0).amax(dim=2)
            tokens.append(projection(self.dropout(maximum)))
        values = self.norm(torch.stack(tokens, dim=1))
        return Tokens(values, mask.new_ones(values.shape[:2]))
