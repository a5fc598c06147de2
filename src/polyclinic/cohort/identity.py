"""Subject ids: a source's own numbers are kept, any other id becomes a number that is the same at every ingest."""

import hashlib
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort.errors import CohortError

#: Numbers below this are kept; mapped ids lie at or above it, so that the two never meet.
MAPPED = 1 << 62

#: All ids lie below this.
END = (1 << 63) - 1


def subject_id_of(source_id: str) -> int:
    """Give MEDS' int64 for the id that a source gives to a subject.

    A canonical decimal number below 2**62 is kept; any other text becomes a number from 2**62 by its SHA-256.

    >>> subject_id_of("17")
    17
    >>> subject_id_of("017") == subject_id_of("017") >= 2**62
    True
    """
    if source_id.isascii() and source_id.isdigit() and len(source_id) < 20:
        number = int(source_id)
        if number < MAPPED and str(number) == source_id:
            return number
    digest = hashlib.sha256(source_id.encode()).digest()
    return MAPPED + int.from_bytes(digest[:8], "big") % (END - MAPPED)


class SubjectIds:
    """The subject ids of the source ids seen so far: each is worked out once, and looked up ever after."""

    def __init__(self) -> None:
        self._type = pl.Categorical(pl.Categories.random("polyclinic"))
        self._known: np.ndarray[Any, np.dtype[np.int64]] = np.empty(0, np.int64)
        self._names: list[pl.DataFrame] = []

    def of(self, source_ids: pl.Series) -> pl.Series:
        """Give the subject id of each source id, null for null."""
        coded = source_ids.cast(self._type)
        places = coded.to_physical()
        missing = int(places.max() or 0) + 1 - self._known.size  # type: ignore[arg-type]
        self._known = np.append(self._known, np.full(max(missing, 0), -1))
        seen = pl.Series(self._known[places.fill_null(0).to_numpy()])
        new = coded.filter(coded.is_not_null() & (seen < 0)).unique()
        if len(new):
            self._learn(new)
            seen = pl.Series(self._known[places.fill_null(0).to_numpy()])
        return seen.set(coded.is_null(), None)

    def names(self) -> pl.DataFrame:
        """Give the pairs `subject_id` and `source_id` seen, sorted by subject.

        Raises:
            CohortError: two source ids map to one subject.
        """
        schema = {"subject_id": pl.Int64(), "source_id": pl.String()}
        pairs = pl.concat([pl.DataFrame(schema=schema), *self._names]).sort("subject_id")
        if pairs.get_column("subject_id").is_duplicated().any():
            raise CohortError("two source ids map to one subject: rename one of them in the source")
        return pairs

    def _learn(self, new: pl.Series) -> None:
        names = new.cast(pl.String).alias("source_id")
        numbers = pl.Series("subject_id", [subject_id_of(name) for name in names.to_list()], dtype=pl.Int64)
        self._known[new.to_physical().to_numpy()] = numbers.to_numpy()
        self._names.append(pl.DataFrame([numbers, names]))
