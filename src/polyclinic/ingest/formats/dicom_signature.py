"""Recognise a DICOM file by its first bytes."""

HEAD_BYTES = 132
_MAGIC = b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")  # file meta information and identification, little endian
_BIG_ENDIAN = b"\x00\x08\x00"
_LONGEST_FIRST = 1024  # bytes of the value of a file's first element
_LEAST = 8  # bytes of an element without its value
_LETTERS = range(ord("A"), ord("Z") + 1)


def looks_like_dicom(head: bytes) -> bool:
    """Return whether a file with these first `HEAD_BYTES` bytes is DICOM, with or without its preamble.

    Without the preamble, a file begins with an element of group 0002 or 0008.
    """
    if head[128:HEAD_BYTES] == _MAGIC:
        return True
    if len(head) < _LEAST:
        return False
    explicit = all(letter in _LETTERS for letter in head[4:6])
    if head.startswith(_BIG_ENDIAN):
        return explicit
    implicit = int.from_bytes(head[4:8], "little") <= _LONGEST_FIRST
    return head.startswith(_FIRST_GROUPS) and head[3] == 0 and (explicit or implicit)
