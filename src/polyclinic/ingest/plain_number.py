"""Read a number written in full: digits, with a sign, a point and an exponent or without."""

import math
import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def plain_number(text: str) -> float | None:
    """Return the number of a cell: None if it is empty, NaN if it is anything but a number.

    >>> plain_number("052"), plain_number("-1.5e2"), plain_number("")
    (52.0, -150.0, None)
    >>> [plain_number(text) for text in ("65+", "1_0", "1,5", "inf", "٦٥")]
    [nan, nan, nan, nan, nan]
    """
    if not text:
        return None
    return float(text) if _NUMBER.fullmatch(text) else math.nan
