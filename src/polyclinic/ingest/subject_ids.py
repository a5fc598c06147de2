"""Ids of subjects that spreadsheets and programs have rewritten: restore them where that is certain, else reject them.

A column of ids that passed through floating-point numbers has `10006.0` for 10006, or `1.23E+12` for ids that cannot
be restored; a spreadsheet writes `="10006"` to keep leading zeros. Unrecognised, each splits a patient in two, or
merges several. Every reader uses these functions.
"""

import re
import unicodedata
from collections.abc import Iterable

import polars as pl

from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.missing import MISSING, PADDING

LOST = "id that lost its form"
REMEDY = (
    "export the ids as text: a spreadsheet or program has rewritten them, as 1.23E+12, 1,234, 12345678901234500 or "
    "#REF!, and the original cannot be restored"
)
RESTORED = 'id written as 10006.0 or ="10006", and read as 10006'
ALIKE = (
    "id that differs from another only in leading zeros, case, spaces or punctuation (00123 and 123): they stay two "
    "patients; if they are one, write the id in one form in every source"
)
EXACT = 1 << 53  # whole numbers up to this one are exact as floating-point numbers
_WRAPPED = re.compile(r'="(.*)"|=(\d+)|"(.*)"|\'(.*)\'|\'(\d+)|b\'(.*)\'|b"(.*)"')
_FLOAT = re.compile(r"([1-9]\d*|0)[.,]0{1,2}|([1-9]\d{3,})\.0+")
_LOST = re.compile(
    r"[+-]?\d+([.,]\d+)?[eE][+-]\d+|[+-]?\d+[.,]\d+[eE]\d+"  # floating-point numbers
    r"|[1-9]\d{0,2}(,\d{3})+([.]\d*)?|[1-9]\d{0,2}([.]000)+"  # 10.000: ten thousand, or ten?
    r"|#+|#[A-Za-z0/]+[!?]"  # a column that was too narrow; a formula's error
)


def subject_id(text: str | None) -> str:
    """Return the id that a text states.

    Raises:
        UnreadableRecord: the text means no value, or has lost the id.

    >>> subject_id(" 10006.0 "), subject_id('="00123"'), subject_id("P-7")
    ('10006', '00123', 'P-7')
    """
    if MISSING._replace(fillers=True, persons=True).holds(text):
        raise UnreadableRecord("no subject", "state the patient's id, or leave the record out")
    restored = _restored(text or "")
    if restored is None:
        raise UnreadableRecord(LOST, REMEDY)
    return restored


def restored_ids(ids: pl.Series) -> pl.Series:
    """Return the id that each text states, without padding; null for those that have lost it.

    >>> restored_ids(pl.Series(["10006.0", "1.23E+12", "00123"])).to_list()
    ['10006', None, '00123']
    """
    distinct = ids.drop_nulls().unique().to_list()
    restored = {text: _restored(text) for text in distinct}
    rounded = _rounded(text for text in restored.values() if text)
    known = {text: None if plain in rounded else plain for text, plain in restored.items()}
    return ids.replace_strict(known, default=None, return_dtype=pl.String)


def count_alike(ids: Iterable[str], others: Iterable[str]) -> int:
    """Return the number of `ids` that differ from another one, or one of `others`, in form only.

    >>> count_alike(["00123", "7"], ["123", "7", "P1"])
    1
    """
    own = pl.Series("id", list(ids), dtype=pl.String).unique()
    pairs = pl.concat([own, pl.Series("id", list(others), dtype=pl.String)]).unique().to_frame()
    alike = pairs.with_columns(key=_key(pl.col("id"))).filter((pl.col("key") != "") & pl.col("key").is_duplicated())
    return int(alike.get_column("id").is_in(own.implode()).sum())


def _restored(text: str) -> str | None:
    text = text.strip(PADDING)
    if text.isascii() and text.isalnum():
        return text
    text = unicodedata.normalize("NFC", text)
    if wrapped := _WRAPPED.fullmatch(text):
        text = next(part for part in wrapped.groups() if part is not None).strip(PADDING)
        if MISSING.holds(text):
            return None
    if number := _FLOAT.fullmatch(text):
        digits = number[1] or number[2]
        return digits if int(digits) < EXACT else None
    return None if _LOST.fullmatch(text) else text


def _rounded(ids: Iterable[str]) -> set[str]:
    """Return the long whole numbers, if all of them are rounded in a way that is hardly chance.

    Spreadsheets keep 15 digits and write zeros for the rest; others write all digits of a floating-point number.
    """
    numbers = {text: int(text) for text in ids if len(text) > 15 and re.fullmatch(r"[1-9]\d*", text)}
    long = {text: number for text, number in numbers.items() if number > EXACT}
    zeros = all(set(text[15:]) == {"0"} for text in long) and sum(len(text) - 15 for text in long) >= 2
    floats = all(_is_float(number) for number in long.values())
    chance = sum(number.bit_length() - 53 for number in long.values())
    return set(long) if zeros or (floats and chance >= 7) else set()


def _is_float(number: int) -> bool:
    return number.bit_length() < 1000 and int(float(number)) == number


def _key(ids: pl.Expr) -> pl.Expr:
    """Return what is left of ids without leading zeros, case, spaces and punctuation; a sign between digits stays."""
    key = ids.str.normalize("NFKC").str.to_lowercase().str.replace(r"^(\d+)\.0+$", "${1}")
    for _ in range(2):  # matches do not overlap
        key = key.str.replace_all(r"(\d)[^\p{L}\p{N}\x01]+(\d)", "${1}\x01${2}")
    return key.str.replace_all(r"[^\p{L}\p{N}\x01]+", "").str.replace_all(r"(^|[^\d])0+(\d)", "${1}${2}")
