"""Words of notes through a bidirectional LSTM with attention (Zhou 2016, ACL P16-2034)."""

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.words import WordEmbedding
from polyclinic.models.network.layers import AttentionPool, Dropout, initialise
from polyclinic.models.network.tokens import Tokens


class BiLSTMAttention(Encoder):
    """Two tokens: attention pooling of the states of a bidirectional LSTM, and its final states."""

    modality = "note"
    reads = ("words", "word_section")
    stackable = False  # vmap does not support packed sequences

    def __init__(self, sizes: NoteSizes, width: int, dropout: float) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"bilstm_attention needs an even width for its two directions, not {width}")
        self.embedding = WordEmbedding(sizes, width, dropout / 3)
        self.dropout = Dropout(dropout)
        self.lstm = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)
        self.pool = AttentionPool(width)
        self.norm = nn.LayerNorm(width)
        self.embedding.apply(initialise)

    def forward(self, words: Int[Tensor, "batch word"], word_section: Int[Tensor, "batch word"]) -> Tokens:
        """Encode; word 0 is padding, which is skipped in both directions."""
        vectors, mask = self.embedding(words, word_section)
        lengths = mask.sum(dim=1)
        packed = pack_padded_sequence(
            self.dropout(vectors), lengths.clamp_min(1).cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, (last, _) = self.lstm(packed)
        states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
        pooled = self.pool(torch.tanh(states), mask)
        ends = last.transpose(0, 1).flatten(1)
        tokens = self.norm(torch.stack([pooled, ends], dim=1))
        return Tokens(tokens, (lengths > 0)[:, None].expand(-1, 2))
