"""A sink that discards everything, to read a table for a guess."""

from collections import Counter

import polars as pl

from polyclinic.cohort import Reject
from polyclinic.files import sha256


class NullSink:
    """A sink that discards everything, and counts the rejects."""

    def __init__(self) -> None:
        self.rejects: Counter[str] = Counter()

    def add(self, frame: pl.DataFrame) -> None:
        """Discard the events."""

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Discard the blob, and return its name."""
        return sha256(content) + suffix

    def reject(self, *rejects: Reject) -> None:
        """Count the rejects by reason."""
        self.rejects.update(reject.reason for reject in rejects)
