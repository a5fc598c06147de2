"""Notes as sentences, embedded by the frozen all-MiniLM-L6-v2 (Reimers & Gurevych 2019, arXiv 1908.10084)."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import NoteSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import Dropout, SelfBlock, initialise, positions_of, used_length
from polyclinic.models.network.tokens import Tokens


class SentenceEncoder(Encoder):
    """One token per sentence: its projected embedding plus that of its section, then self-attention."""

    modality = "note"
    reads = ("sentences", "sentence_mask", "sentence_section")

    def __init__(self, sizes: NoteSizes, width: int, dropout: float, layers: int = 1) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.LayerNorm(sizes.sentence_width), Dropout(dropout), nn.Linear(sizes.sentence_width, width)
        )
        self.section = nn.Embedding(sizes.sections, width)
        self.blocks = nn.ModuleList(SelfBlock(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(
        self,
        sentences: Float[Tensor, "batch sentence feature"],
        sentence_mask: Bool[Tensor, "batch sentence"],
        sentence_section: Int[Tensor, "batch sentence"],
    ) -> Tokens:
        """Encode the unmasked sentences."""
        length = used_length(sentence_mask)
        mask = sentence_mask[:, :length]
        tokens = self.project(sentences[:, :length].float().masked_fill(~mask[..., None], 0))
        tokens = tokens + self.section(positions_of(sentence_section[:, :length], self.section.num_embeddings))
        for block in self.blocks:
            tokens = block(tokens, mask)
        return Tokens(self.norm(tokens), mask)
