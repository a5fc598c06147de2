"""Text of stated encoding: damage is reported, never papered over.

UTF-8 is expected, with or without a byte-order mark; UTF-16 is recognised by its mark. Another encoding has to be named
by the user: guessing Latin-1 would turn damage into plausible letters.
"""

import codecs
import io
from typing import TextIO

from polyclinic.ingest.errors import UnreadableRecord

NOT_TEXT = "not a text file"
WRONG_ENCODING = "not UTF-8 text"
DAMAGE = "\0"  # stands where bytes could not be decoded; text has no use for it otherwise
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEAD = 4096  # bytes in which a binary file shows,
_NULS = 100  # by more than one NUL in so many; fewer are damage

codecs.register_error("polyclinic.damage", lambda error: (DAMAGE, error.end))  # type: ignore[attr-defined]


class UnreadableText(UnreadableRecord):
    """Bytes that are not the text they should be."""


def decode(content: bytes, encoding: str | None = None) -> str:
    """Decode a whole text file, without its byte-order mark.

    Raises:
        UnusableText: the file is binary, or not of its encoding (with the first bad line).
    """
    name, mark = _encoding_of(content, encoding)
    body = content[mark:]
    try:
        return body.decode(name)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise UnreadableText(WRONG_ENCODING, "save the file as UTF-8, or name its encoding", line) from None


def open_text(raw: io.RawIOBase | io.BufferedIOBase, encoding: str | None = None) -> TextIO:
    r"""Open bytes as text to be streamed; every end of line becomes `\n`, and damage becomes `DAMAGE`.

    Raises:
        UnusableText: the file is binary.
    """
    buffered = io.BufferedReader(raw, 1 << 20)
    name, mark = _encoding_of(buffered.peek(_HEAD)[:_HEAD], encoding)
    buffered.read(mark)
    return io.TextIOWrapper(buffered, encoding=name, errors="polyclinic.damage", newline=None)


def _encoding_of(head: bytes, encoding: str | None) -> tuple[str, int]:
    """Tell the encoding of a file by its first bytes, and how many bytes its byte-order mark takes."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    head = head[:_HEAD]
    if head.count(b"\0") * _NULS > len(head) and "16" not in (encoding or ""):
        raise UnreadableText(NOT_TEXT, "export the data as text (UTF-8), or name the source that reads this format")
    return encoding or "utf-8", 0
