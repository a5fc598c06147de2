"""Compare units by what they mean: case, spaces and the two signs for micro do not matter, a change of magnitude does.

`mg/dL`, `MG/DL` and `mg / dl` are one unit, and so are `µmol/L` with either sign and `umol/L`. `Mmol` is not `mmol`,
and `G/L` (10^9 per litre) is not `g/L`: where case could change the magnitude, only the same spelling is the same unit.
"""

import re
import unicodedata
from collections.abc import Iterable

#: Usual symbols in their own spelling; a symbol in capitals or small letters only is the same, unless in `_BY_CASE`.
_SYMBOLS = (
    "kg", "g", "mg", "ug", "ng", "pg", "fg", "L", "dL", "mL", "uL", "nL", "fL", "mol", "mmol", "umol", "nmol", "pmol",
    "fmol", "U", "kU", "mU", "uU", "IU", "kIU", "mIU", "uIU", "Eq", "mEq", "uEq", "Osm", "mOsm", "mosmol", "mmHg",
    "cmH2O", "Pa", "kPa", "hPa", "bar", "mbar", "Hz", "kHz", "bpm", "cm", "mm", "um", "nm", "m", "m2", "cm2", "mm2",
    "mm3", "cm3", "s", "sec", "ms", "min", "h", "hr", "d", "day", "week", "month", "year", "yr", "kcal", "cal", "kJ",
    "J", "W", "V", "mV", "uV", "A", "mA", "kat", "ukat", "nkat", "%", "ppm", "ppb", "INR", "pH",
)  # fmt: skip
#: Symbols of which another case is another magnitude or unit (mM and mm, G and g, MU and mU), folded.
_BY_CASE = frozenset({"g", "m", "mm", "um", "nm", "mu", "miu", "mv", "ma", "ms", "mbar", "s", "d", "pa", "a", "v", "h"})
_SAFE_CAPITALS = frozenset({"PA", "V", "H"})  # there is no other unit of this name here
_SYNONYMS = {
    "cel": "cel", "mcg": "ug", "mcl": "ul", "mcmol": "umol", "°c": "cel", "degc": "cel", "celsius": "cel", "c": "cel",
    "°f": "degf", "fahrenheit": "degf", "f": "degf", "percent": "%",
}  # fmt: skip
_KNOWN = {*_SYMBOLS, "cel", "degf"}
_SHOWN = {"cel": "C", "degf": "F"}
_PART = re.compile(r"(?:10\^\d+|\d+(?:\.\d+)?)?(?P<symbol>[^\W\d_]+[23]?|cmH2O|%)?")
_FOLDED = {symbol.casefold(): symbol for symbol in _SYMBOLS}
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b"
_LOWERED = str.maketrans(_RAISED, "0123456789-")
_SIGNS = {"\u2044": "/", "\u2215": "/", "\u00b7": "*", "\u22c5": "*", "\u00d7": "*", "\u2212": "-"}


def same_unit(unit: str) -> str:
    """Return a spelling that is the same for all spellings of a unit.

    >>> same_unit("MG/DL") == same_unit(" mg / dl "), same_unit("\u00b5mol/L") == same_unit("\u03bcmol/l")
    (True, True)
    >>> same_unit("Mmol/L") == same_unit("mmol/L"), same_unit("G/L") == same_unit("g/L")
    (False, False)
    """
    text = re.sub(f"[{_RAISED}]+", lambda raised: "^" + raised[0].translate(_LOWERED), unit)
    text = unicodedata.normalize("NFKC", "".join(_SIGNS.get(sign, sign) for sign in text)).replace("\u03bc", "u")
    text = re.sub(r"[\s.*]*\b([A-Za-z]+)\^?-1\b", r"/\1", text)  # mmol.L-1
    text = re.sub(r"(?<=[A-Za-z])\^(?=[23]\b)", "", text)  # m^2
    text = re.sub(r"[\s\u200b\ufeff]|(?<=mm)\[(?=Hg\])|(?<=mm\[Hg)\]|(?<=mmHg)\]", "", text)
    text = re.sub(r"(?i)^[x*]?10(?:\*\*|\*|\^|e)(?=\d)", "10^", text)  # 10*9/L, x10^9/L and 10e9/L
    return re.sub(r"[^\W\d_]+[23]?|%|°[CcFf]", lambda symbol: _symbol(symbol[0]), text)


def known_unit(text: str) -> str | None:
    """Return a unit in its usual spelling if all its symbols are known here, otherwise None.

    >>> known_unit("mg/dl"), known_unit("\u00b5mol/L"), known_unit("\u00b0C"), known_unit("x10\u2079/l")
    ('mg/dL', 'umol/L', 'C', '10^9/L')
    >>> known_unit("mL/min/1.73 m\u00b2"), known_unit("serum"), known_unit("K/uL")
    ('mL/min/1.73m2', None, None)
    """
    unit = same_unit(text)
    parts = [re.fullmatch(_PART, part) for part in re.split(r"[/*]", unit)]
    if not all(parts) or not re.search(r"[A-Za-z%]", unit):
        return None
    return (
        _SHOWN.get(unit, unit) if all(part["symbol"] in _KNOWN for part in parts if part and part["symbol"]) else None
    )


def spellings(units: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the known unit that each unit means, for those that mean exactly one.

    >>> spellings(["MMOL/L", "mmol/l", "Mmol/L"], ["mmol/L"])
    {'MMOL/L': 'mmol/L', 'mmol/l': 'mmol/L'}
    """
    exact = list(known)
    alike: dict[str, set[str]] = {}
    for unit in exact:
        alike.setdefault(same_unit(unit), set()).add(unit)
    found = {}
    for unit in units:
        meant = {unit} if unit in exact else alike.get(same_unit(unit), set())
        if len(meant) == 1:
            found[unit] = next(iter(meant))
    return found


def _symbol(text: str) -> str:
    folded = text.casefold()
    if folded in _SYNONYMS:
        return _SYNONYMS[folded]
    known = _FOLDED.get(folded)
    if text == known or known is None:
        return text if known or not _is_word(text) else folded
    if folded in _BY_CASE and text not in _SAFE_CAPITALS:
        return text
    if text.islower() or text.isupper() or not text.startswith("M"):
        return known
    return text


def _is_word(text: str) -> bool:
    """Return whether a text is a word, not a symbol with a prefix: cells, Beats, SCORE."""
    return len(text) > 3
