"""Cached embeddings of sentences by the frozen encoder, computed once per sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from typing import Any

import numpy as np

from polyclinic.compute.resources import Resources
from polyclinic.features.backbones import BACKBONES
from polyclinic.features.cache.encoder_cache import MISSING, EncoderCache, Encoding, Gathered, Shelf
from polyclinic.files import sha256
from polyclinic.progress import SILENT, Progress

WIDTH = BACKBONES["minilm"].width

_BATCH = 64


class SentenceEncodings:
    """Encode sentences with all-MiniLM-L6-v2; torch is imported only if the cache lacks one."""

    def __init__(self, cache: EncoderCache, resources: Resources | None = None) -> None:
        self._cache = cache
        self._resources = resources or Resources()

    def prepare(self, sentences: Sequence[str], progress: Progress = SILENT) -> int:
        """Encode sentences missing from the cache, the shortest first, and return their number."""
        items = {
            content_hash(sentence): sentence for sentence in sorted(set(sentences), key=lambda text: (len(text), text))
        }
        encode, resources = SentenceEncoder(self._resources.device), self._resources.of_networks()
        return self._shelf().encode_pending(items, encode, batch=_BATCH, progress=progress, resources=resources).number

    def gather(self, sentences: Sequence[str], mask: np.ndarray) -> Gathered:
        """Return the embeddings where `mask` is true, in its order, float32 `[*mask.shape, 384]`; zeros elsewhere.

        Sentences missing from the cache are encoded first; embeddings stay in its memory-mapped files.
        """
        self.prepare(sentences)
        positions = np.full(mask.shape, MISSING, dtype=np.int64)
        positions[mask] = self._shelf().existing_positions([content_hash(sentence) for sentence in sentences])
        return Gathered(self._shelf(), positions, _as_float32)

    def _shelf(self) -> Shelf:
        minilm = BACKBONES["minilm"]
        fingerprint = minilm.fingerprint(self._cache.fingerprints)
        return self._cache.shelf(
            Encoding(
                minilm.name, fingerprint, f"sentence.{minilm.revision}", (minilm.width,), device=self._resources.device
            )
        )


@dataclass(frozen=True)
class SentenceEncoder:
    """Embeds sentences, by content hash."""

    device: str

    def __call__(self, items: Mapping[str, str]) -> dict[str, np.ndarray | str]:
        """Return the embeddings of sentences."""
        from polyclinic.features.backbones.minilm import embed

        return dict(zip(items, embed(*frozen_network(self.device), list(items.values())), strict=True))


def _as_float32(stored: np.ndarray) -> np.ndarray:
    return stored.astype(np.float32)


def content_hash(sentence: str) -> str:
    """Return the SHA-256 of a sentence's text."""
    return sha256(sentence.encode())


@once
def frozen_network(device: str) -> tuple[Any, Any]:
    """Load the network and its tokeniser once per process."""
    from polyclinic.features.backbones.minilm import SentenceTokenizer, load

    return load().to(device).requires_grad_(False), SentenceTokenizer()
