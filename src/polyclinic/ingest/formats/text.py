"""Decode text strictly: undecodable bytes are reported.

UTF-8 is expected, with or without a byte-order mark; UTF-16 is recognised by its mark. Other encodings must be named by
the user, because guessing Latin-1 would turn damage into plausible letters.
"""

import codecs
import io

from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats import encodings
from polyclinic.ingest.formats.signatures import recognised

NOT_TEXT = "not a text file"
WRONG_ENCODING = "not UTF-8 text"
DAMAGE = "\0"  # replaces undecodable bytes; does not occur in text otherwise
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEAD = 4096  # bytes inspected to detect binary files
_SAMPLE = 1 << 20  # bytes from which the encoding of undecodable text is guessed
_NULS = 100  # a file with more than one NUL in this many bytes is binary; with fewer it is damaged

codecs.register_error("polyclinic.damage", lambda error: (DAMAGE, error.end))  # type: ignore[attr-defined]


class UnreadableText(UnreadableRecord):
    """A text file or table cannot be read."""


class Text(io.TextIOWrapper):
    """A text stream, with the first bytes of its file."""

    sample = b""

    @property
    def remedy(self) -> str:
        """What to do with undecodable bytes."""
        return encodings.remedy(encodings.likely_encoding(self.sample))


def decode(content: bytes, encoding: str | None = None) -> str:
    """Decode a whole text file, without its byte-order mark.

    Raises:
        UnreadableText: the file is binary, or not in its encoding (with the first bad line).
    """
    name, mark = _encoding_of(content, encoding)
    body = content[mark:]
    try:
        return body.decode(name)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        remedy = encodings.remedy(encodings.likely_encoding(content))
        raise UnreadableText(WRONG_ENCODING, remedy, line) from None


def open_text(raw: io.RawIOBase | io.BufferedIOBase, encoding: str | None = None) -> Text:
    r"""Open bytes as a text stream with `\n` line ends; undecodable bytes become `DAMAGE`.

    Raises:
        UnreadableText: the file is binary.
    """
    buffered = io.BufferedReader(raw, _SAMPLE)
    sample = buffered.peek(_SAMPLE)
    name, mark = _encoding_of(sample[:_HEAD], encoding)
    buffered.read(mark)
    text = Text(buffered, encoding=name, errors="polyclinic.damage", newline=None)
    text.sample = sample
    return text


def _encoding_of(head: bytes, encoding: str | None) -> tuple[str, int]:
    """Return the encoding of a file, detected from its first bytes, and the length of its byte-order mark."""
    wide = encodings.wide_encoding(head[:_HEAD])
    if wide != "utf-32":  # its mark begins with that of UTF-16
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name, len(mark)
    head = head[:_HEAD]
    if known := recognised(head):
        raise UnreadableText(*known)
    if head.count(b"\0") * _NULS > len(head) and not any(bits in (encoding or "") for bits in ("16", "32")):
        if wide:
            raise UnreadableText(WRONG_ENCODING, encodings.remedy(wide))
        raise UnreadableText(NOT_TEXT, "export the data as text (UTF-8), or name the source that reads this format")
    return encoding or "utf-8", 0
