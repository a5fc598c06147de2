"""Text of stated encoding: damage is reported, never papered over.

UTF-8 is expected, with or without a byte-order mark; UTF-16 is recognised by its mark. Another encoding has to be named
by the user: guessing Latin-1 would turn damage into plausible letters.
"""

import codecs

NOT_TEXT = "not a text file"
WRONG_ENCODING = "not UTF-8"
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class UnusableText(ValueError):  # noqa: N818
    """Bytes that are not the text they should be; `reason`, `remedy` and `line` are those of the reject."""

    def __init__(self, reason: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason, self.remedy, self.line = reason, remedy, line


def encoding_of(head: bytes, encoding: str | None = None) -> tuple[str, int]:
    """Tell the encoding of a file by its first bytes, and how many bytes its byte-order mark takes.

    `encoding`, if the user named one, wins over the marks' absence.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    return encoding or "utf-8", 0


def decode(content: bytes, encoding: str | None = None) -> str:
    """Decode a whole text file, without its byte-order mark.

    Raises:
        UnusableText: the file is binary, or not of its encoding (with the first bad line).
    """
    name, mark = encoding_of(content, encoding)
    body = content[mark:]
    if not name.startswith("utf-16") and b"\0" in body[:4096]:
        raise UnusableText(NOT_TEXT, "export the data as text (UTF-8), or name the source that reads this format")
    try:
        return body.decode(name)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise UnusableText(WRONG_ENCODING, "save the file as UTF-8, or name its encoding", line) from None
