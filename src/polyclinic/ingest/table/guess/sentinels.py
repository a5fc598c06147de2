"""Numbers that stand for nothing, such as -9 and 999: found by the cells beside them."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from polyclinic.ingest.table.column_profile import Profile, without_bound
from polyclinic.ingest.table.guess.lines import Guess
from polyclinic.ingest.table.questions import QUESTION

#: Where no other number is negative, these stand for nothing.
_NEGATIVE = (-8, -9, -88, -98, -99, -888, -998, -999, -8888, -9999, -99_999, -999_999)
_MINUS_ONE = -1  # also an answer (uncertain): only beside many numbers
#: Where all other numbers are much smaller, these may stand for nothing, or be the greatest that a device shows.
_POSITIVE = (99, 888, 998, 999, 8888, 9998, 9999, 99_999, 999_999, 9_999_999)
_ENDINGS = ("", ".0", ".00")  # a column of floats adds them
_TEXTS: Mapping[str, float] = {
    f"{number}{ending}": float(number) for number in (*_NEGATIVE, _MINUS_ONE, *_POSITIVE) for ending in _ENDINGS
}
_MANY = 10  # other numbers beside which -1 stands for nothing
_TIMES = 3  # the greatest other number
_OFTEN = 2  # cells of a positive one


class Sentinels(NamedTuple):
    """The texts of a column that stand for nothing, and those that may."""

    certain: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


def sentinels_of(profile: Profile) -> Sentinels:
    """Return the texts of a column of numbers that stand for nothing, and those that may."""
    found = [text for text in _TEXTS if text in profile.counts]
    others = profile.counts.keys() - set(found)
    if not found or not others or not profile.numeric:
        return Sentinels()
    numbers = [number for text in others if (number := _number(text)) is not None]
    if not numbers:
        return Sentinels()
    positive = all(number >= 0 for number in numbers)
    least = {-1.0: _MANY}
    certain = [text for text in found if _TEXTS[text] < 0 and positive and len(numbers) >= least.get(_TEXTS[text], 1)]
    possible = [
        text
        for text in found
        if _TEXTS[text] >= _TIMES * max(numbers) and max(numbers) > 0 and profile.counts[text] >= _OFTEN
    ]
    return Sentinels(tuple(certain), tuple(possible))


def without(profile: Profile, sentinels: Sentinels) -> Profile:
    """Return the profile of a column without the cells that stand, or may stand, for nothing."""
    left_out = {*sentinels.certain, *sentinels.possible}
    kept = {text: count for text, count in profile.counts.items() if text not in left_out}
    return Profile(profile.name, Counter(kept)) if left_out else profile


def with_missing(guess: Guess, sentinels: Sentinels, decimal: str) -> Guess:
    """Return the guess of a column with the numbers that stand for nothing as missing, or asked for.

    Args:
        guess: of the column without them.
        sentinels: of the column.
        decimal: sign of the file, in which the mapping names cells.
    """
    texts = [text.replace(".", decimal) for text in (*sentinels.certain, *sentinels.possible)]
    if not texts or not guess.fields:
        return guess
    texts = [*json.loads(guess.fields.get("missing", "[]")), *texts]
    shown = ", ".join(texts)
    listed = json.dumps(texts, ensure_ascii=False)
    if sentinels.possible:
        asked, remark = (
            f'"{QUESTION}"',
            f"do {shown} mean not recorded? write missing: {listed}, or [] if they are numbers",
        )
    else:
        asked, remark = listed, f"do {shown} mean not recorded?"
    return guess._replace(
        fields={**guess.fields, "missing": asked}, remark="; ".join(filter(None, [remark, guess.remark]))
    )


def _number(text: str) -> float | None:
    try:
        return float(without_bound(text))
    except ValueError:
        return None
