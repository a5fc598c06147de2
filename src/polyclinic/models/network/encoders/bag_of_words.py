"""Notes as a bag of words, affirmed or negated: the sum of embeddings (Iyyer 2015, ACL P15-1162)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.words import UNKNOWN
from polyclinic.models.network.layers import used_length
from polyclinic.models.network.tokens import Tokens


class BagOfWords(Encoder):
    """Sum of the embeddings of affirmed and of negated words; one token.

    A few hundred notes suffice to learn words, but not word order; and the contribution of each word can be displayed.
    Embeddings start at zero, so that rare words keep a small weight. Repeated words count ones, since notes are often
    copied forward.
    """

    modality = "note"
    reads = ("words", "word_denied")
    unimodal_pretraining = True

    def __init__(self, sizes: NoteSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.words = sizes.words
        self.word = nn.Embedding(2 * sizes.words, width, padding_idx=0)  # affirmed, then negated
        nn.init.zeros_(self.word.weight)
        self.dropout = dropout / 3

    def forward(self, words: Int[Tensor, "batch word"], word_denied: Bool[Tensor, "batch word"]) -> Tokens:
        """Encode; word 0 is padding."""
        length = used_length(words != 0)
        words, word_denied = words[:, :length], word_denied[:, :length]
        is_word = words != 0
        if self.training and self.dropout:
            is_word = is_word & (torch.rand(words.shape, device=words.device) >= self.dropout)
        known = torch.where(words < self.words, words, UNKNOWN)
        codes = torch.where(is_word, known + self.words * word_denied, 0)
        total = (self.word(codes) * self._shares(codes)[..., None]).sum(dim=1)
        return Tokens(total[:, None], is_word.new_ones(len(words), 1))

    def _shares(self, codes: Int[Tensor, "batch word"]) -> Float[Tensor, "batch word"]:
        """Return 1 / the number of occurrences of each word."""
        ones = torch.ones(codes.shape, dtype=self.word.weight.dtype, device=codes.device)
        counts = ones.new_zeros(len(codes), 2 * self.words).scatter_add(1, codes, ones)
        return 1 / counts.gather(1, codes)
