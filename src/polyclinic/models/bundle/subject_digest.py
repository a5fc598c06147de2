"""Digest of the subjects that a bundle was fitted to, to notice them again in another cohort.

Each id is reduced to 32 bits of its hash: many ids share one, and a subject of 4,000 others is mistaken for one of
4,000 about once in 270 evaluations.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
from jaxtyping import UInt32

_BYTES = 4


@dataclass(frozen=True, eq=False)
class SubjectDigest:
    """Sorted 32-bit hashes of subject ids."""

    hashes: UInt32[np.ndarray, " subject"]

    @classmethod
    def of(cls, subjects: Iterable[int]) -> Self:
        """Hash the ids."""
        return cls(np.unique(np.array([_hashed(int(subject)) for subject in subjects], dtype=np.uint32)))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `text` returned; raises ValueError if it is something else."""
        try:
            return cls(np.frombuffer(base64.b64decode(text, validate=True), dtype="<u4").astype(np.uint32))
        except binascii.Error as error:
            raise ValueError("not a digest of subjects") from error

    def text(self) -> str:
        """Return the hashes as base64."""
        return base64.b64encode(self.hashes.astype("<u4").tobytes()).decode("ascii")

    def count(self, subjects: Iterable[int]) -> int:
        """Count the ids that have one of the hashes."""
        found = np.array([_hashed(int(subject)) for subject in subjects], dtype=np.uint32)
        return int(np.isin(found, self.hashes).sum())


def _hashed(subject: int) -> int:
    return int.from_bytes(blake2b(subject.to_bytes(8, "little"), digest_size=_BYTES).digest(), "little")
