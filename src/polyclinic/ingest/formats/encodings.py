"""Name the likely encoding of a text that is not UTF-8, for the remedy; it is never used without the user's word."""

import codecs
import re
from collections.abc import Sequence
from itertools import pairwise

#: Marks at the start of a file, the longer first; UTF-32 is refused with its name.
UTF32_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"))
_WESTERN = frozenset("äöüÄÖÜßéèêëÉÈàâáãåÀÂÁÅæÆçÇñÑîïíìÍôóòõøÓØûúùÚœ°µ±²³–—’‘“”…·×€§")
_CENTRAL = frozenset("ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽöőüűÖŐÜŰ°µ")
_CYRILLIC = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЭЮЯ")
_GREEK = frozenset("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ")
_LATIN = {"cp1252": _WESTERN, "cp850": _WESTERN, "mac_roman": _WESTERN, "cp1250": _CENTRAL}
_OTHER_SCRIPTS = {"cp1251": _CYRILLIC, "koi8-r": _CYRILLIC, "cp1253": _GREEK}
_RUN, _LEAST_SCORE = 2.5, 0.5  # mean length of runs of bytes that are not ASCII: longer in scripts other than Latin
_EAST_ASIAN = ("gb18030", "shift_jis", "euc_kr", "big5")
_LEAST_NULS = 0.2  # of the bytes of UTF-16 text in Latin letters, half are zero


def likely_encoding(content: bytes) -> str | None:
    """Return the name of the likely encoding of bytes that are not UTF-8; None if it cannot be guessed."""
    if wide := wide_encoding(content):
        return wide
    damaged = b"\n".join(line for line in content.replace(b"\r", b"\n").split(b"\n") if not _is_utf8(line))
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", damaged)]
    if not runs:
        return None
    candidates = _LATIN if sum(runs) < _RUN * len(runs) else _OTHER_SCRIPTS
    scores = {name: _score(damaged, name, letters) for name, letters in candidates.items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= _LEAST_SCORE:
        return best
    return next((name for name in _EAST_ASIAN if _decodes(damaged, name)), None)


def wide_encoding(content: bytes) -> str | None:
    """Return the encoding of text with two or four bytes a character, by its zeros or its mark; else None."""
    if any(content.startswith(mark) for mark, _ in UTF32_MARKS):
        return "utf-32"
    whole = content[: len(content) // 4 * 4]
    if not whole or whole.count(0) < _LEAST_NULS * len(whole):
        return None
    zeros = [share > _LEAST_NULS for share in _zeros(whole)]
    patterns = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    name = patterns.get((zeros[0], zeros[1], zeros[2], zeros[3]))
    return name if name and _is_text(whole, name) else None


def remedy(likely: str | None) -> str:
    """Return what to do with text in another encoding."""
    if likely is None:
        return "save the file as UTF-8, or name its encoding in the mapping, such as cp1252"
    return f"save the file as UTF-8, or name its encoding in the mapping: it looks like {likely} (encoding: {likely})"


def _zeros(content: bytes) -> Sequence[float]:
    return [4 * content[start::4].count(0) / len(content) for start in range(4)]


def _is_text(content: bytes, name: str) -> bool:
    text = content.decode(name, errors="replace")
    return sum(sign.isprintable() or sign.isspace() for sign in text) > 0.95 * len(text)


def _is_utf8(line: bytes) -> bool:
    return _decodes(line, "utf-8")


def _decodes(content: bytes, name: str) -> bool:
    try:
        content.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _score(content: bytes, name: str, letters: frozenset[str]) -> float:
    """Return the usual letters less the other signs, as a share of the signs beyond ASCII.

    Capitals within words count half.
    """
    text = content.decode(name, errors="replace")
    points = [
        -1.0 if sign not in letters else 0.5 if sign.isupper() and before.isalpha() else 1.0
        for before, sign in pairwise(f" {text}")
        if not sign.isascii()
    ]
    return sum(points) / max(1, len(points))
