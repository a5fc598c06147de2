"""The fingerprint of a cohort: a hash of its events and splits, independent of how they were ingested."""

import hashlib
from collections.abc import Sequence

import polars as pl

from polyclinic.cohort.storage import digest, versions


def fingerprint(digests: Sequence[int], splits: pl.DataFrame) -> str:
    """Return the fingerprint.

    Args:
        digests: of disjoint sets of events, such as shards.
        splits: columns `subject_id`, sorted, and `split`.
    """
    hasher = hashlib.sha256(f"{versions.LAYOUT} {digest.add(list(digests)):032x} ".encode())
    hasher.update(",".join(splits.get_column("split").to_list()).encode())
    return hasher.hexdigest()
