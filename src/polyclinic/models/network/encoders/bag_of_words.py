"""Notes as a bag of words, each said or denied: an embedding for either, and their sum (Iyyer 2015, ACL P15-1162)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.words import UNKNOWN
from polyclinic.models.network.layers import used_length
from polyclinic.models.network.tokens import Tokens


class BagOfWords(Encoder):
    """Adds up what each word means where it is said, and what it means where it is denied; one token.

    A few hundred notes teach what words mean, not what their order means: what a word contributes does not hang on its
    neighbours, and can be shown word by word. Embeddings start at zero, so that a word of which few notes tell stays of
    little weight, and a word that is said several times counts once: notes are copied forward.
    """

    modality = "note"
    reads = ("words", "word_denied")
    unimodal_pretraining = True

    def __init__(self, sizes: NoteSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.words = sizes.words
        self.word = nn.Embedding(2 * sizes.words, width, padding_idx=0)  # said, then denied
        nn.init.zeros_(self.word.weight)
        self.dropout = dropout / 3

    def forward(self, words: Int[Tensor, "batch word"], word_denied: Bool[Tensor, "batch word"]) -> Tokens:
        """Encode; word 0 is padding."""
        length = used_length(words != 0)
        words, word_denied = words[:, :length], word_denied[:, :length]
        there = words != 0
        if self.training and self.dropout:
            there = there & (torch.rand(words.shape, device=words.device) >= self.dropout)
        known = torch.where(words < self.words, words, UNKNOWN)
        codes = torch.where(there, known + self.words * word_denied, 0)
        total = (self.word(codes) * self._shares(codes)[..., None]).sum(dim=1)
        return Tokens(total[:, None], there.new_ones(len(words), 1))

    def _shares(self, codes: Int[Tensor, "batch word"]) -> Float[Tensor, "batch word"]:
        """Give each place its share in a word that is said several times."""
        once = torch.ones(codes.shape, dtype=self.word.weight.dtype, device=codes.device)
        times = once.new_zeros(len(codes), 2 * self.words).scatter_add(1, codes, once)
        return 1 / times.gather(1, codes)
