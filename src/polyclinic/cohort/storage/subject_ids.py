"""Subject ids: numeric source ids are kept, others are hashed to a number that is stable across ingests."""

import hashlib

import numpy as np
import polars as pl

from polyclinic.cohort.errors import CohortError

#: Numbers below this are kept; hashed ids lie at or above it, so the two cannot collide.
MAPPED = 1 << 62

#: Exclusive upper bound of all ids.
END = (1 << 63) - 1


def subject_id_of(source_id: str) -> int:
    """Return the MEDS subject id (int64) of a source id.

    A canonical decimal number below 2**62 is kept; any other text is hashed (SHA-256) to a number of at least 2**62.

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
    """A cache of the subject ids of source ids."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, source_ids: pl.Series) -> pl.Series:
        """Return the subject id of each source id; null for null."""
        # Categoricals: mapping by their physical numbers is several times faster than by text.
        coded = source_ids.cast(pl.Categorical(pl.Categories.random("polyclinic")))
        distinct = coded.drop_nulls().unique()
        indices = coded.to_physical().fill_null(0).to_numpy()
        numbers = np.zeros(int(indices.max(initial=0)) + 1, np.int64)
        numbers[distinct.to_physical().to_numpy()] = [self._number(name) for name in distinct.to_list()]
        return pl.Series(numbers[indices]).set(coded.is_null(), None)

    def names(self) -> pl.DataFrame:
        """Return the cached pairs of `subject_id` and `source_id`, sorted by subject.

        Raises:
            CohortError: two source ids map to one subject.
        """
        columns = {"subject_id": list(self._numbers.values()), "source_id": list(self._numbers)}
        pairs = pl.DataFrame(columns, schema={"subject_id": pl.Int64(), "source_id": pl.String()})
        if pairs.get_column("subject_id").is_duplicated().any():
            raise CohortError("two source ids map to one subject: rename one of them in the source")
        return pairs.sort("subject_id")

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = subject_id_of(name)
        return self._numbers[name]
