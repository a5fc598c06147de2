"""Subject ids: a source's own numbers are kept, any other id becomes a number that is the same at every ingest."""

import hashlib

#: Numbers below this are kept; mapped ids lie at or above it, so that the two never meet.
MAPPED = 1 << 62


def subject_id_of(source_id: str) -> int:
    """Give MEDS' int64 for the id that a source gives to a subject.

    A canonical decimal number below 2**62 is kept; any other text becomes 62 bits of its SHA-256 with bit 62 set.

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
    return MAPPED | (int.from_bytes(digest[:8], "big") & (MAPPED - 1))
