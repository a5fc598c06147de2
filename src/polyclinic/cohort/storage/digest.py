"""Order-independent digest of a set of events.

Each event is hashed separately and the hashes are summed, so shards can be digested independently. The mixing function
is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which is not cryptographic.
"""

import hashlib
from typing import Any

import numpy as np
import polars as pl

Words = np.ndarray[Any, np.dtype[np.uint64]]

WORD = (1 << 64) - 1


def digest(events: pl.DataFrame) -> int:
    """Return the digest of `events`, an integer below 2**128; combine those of disjoint frames with `add`.

    `code` is categorical; the other columns are those of `POLARS_EVENTS`.
    """
    words = _mixed(events.get_column("subject_id").to_numpy().view(np.uint64).copy())
    time = events.get_column("time").to_physical().fill_null(np.iinfo(np.int64).min)
    words = _mixed(words ^ time.to_numpy().view(np.uint64))
    words = _mixed(words ^ _of_codes(events.get_column("code")))
    number = events.get_column("numeric_value")
    bits = number.fill_null(float("nan")).to_numpy().view(np.uint32).astype(np.uint64)
    words = _mixed(words ^ bits)
    for column, salt in (("text_value", 1), ("blob", 2)):
        known = events.get_column(column).is_not_null().to_numpy()
        words[known] = _mixed(words[known] ^ _of_texts(events.get_column(column).drop_nulls()) ^ np.uint64(salt))
    other = _mixed(words ^ np.uint64(0x5851F42D4C957F2D))
    return _sum(words) << 64 | _sum(other)


def add(digests: list[int]) -> int:
    """Return the digest of the union of disjoint sets of events."""
    low = sum(value & WORD for value in digests) & WORD
    high = sum(value >> 64 for value in digests) & WORD
    return high << 64 | low


def _sum(words: Words) -> int:
    return int(words.sum(dtype=np.uint64))


def _mixed(words: Words) -> Words:
    """Mix each word, in place."""
    words += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    words ^= words >> np.uint64(31)
    return words


def _word(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _of_codes(codes: pl.Series) -> Words:
    numbers = codes.to_physical().to_numpy()
    distinct = codes.unique()
    table = np.zeros(int(numbers.max(initial=0)) + 1, np.uint64)
    table[distinct.to_physical().to_numpy()] = [_word(code) for code in distinct.to_list()]
    words: Words = table[numbers]
    return words


def _of_texts(texts: pl.Series) -> Words:
    distinct = texts.unique()
    hashes = pl.Series([_word(text) for text in distinct.to_list()], dtype=pl.UInt64)
    words: Words = texts.replace_strict(distinct, hashes, return_dtype=pl.UInt64).to_numpy()
    return words
