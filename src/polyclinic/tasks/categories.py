"""Which texts mean yes, no or a class; any other text is no answer."""

from collections.abc import Iterable, Sequence

import polars as pl

from polyclinic.tasks.code_patterns import matches
from polyclinic.tasks.definition import Kind, Target

YES, NO, NONE = "yes", "no", "none of the classes"
LARGEST = 2.0**53
"""Numbers of this size and more are not whole for certain."""

OPPOSITES: Sequence[tuple[frozenset[str], frozenset[str]]] = (
    (
        frozenset({"dead", "died", "deceased", "death", "expired"}),
        frozenset({"alive", "lived", "living", "survived", "survivor"}),
    ),
    (frozenset({"yes"}), frozenset({"no"})),
    (frozenset({"y"}), frozenset({"n"})),
    (frozenset({"true"}), frozenset({"false"})),
    (frozenset({"t"}), frozenset({"f"})),
    (frozenset({"positive"}), frozenset({"negative"})),
    (frozenset({"present"}), frozenset({"absent"})),
)
"""Words that mean the contrary of each other: who names one side as positive has named the other as negative."""


def category() -> pl.Expr:
    """Return the category of an event: its text, or else its number as it is written, such as `2` or `-1`."""
    number = pl.col("numeric_value").cast(pl.Float64)
    is_whole = number.is_finite() & (number == number.round()) & (number.abs() < LARGEST)
    whole = pl.when(is_whole).then(number).cast(pl.Int64).cast(pl.String)
    other = pl.when(number.is_finite()).then(pl.col("numeric_value")).cast(pl.String)
    return pl.coalesce(pl.col("text_value"), whole, other)


def answers_of(texts: Iterable[str], kind: Kind, target: Target) -> dict[str, tuple[str, ...]]:
    """Return what each text means: `YES`, `NO`, classes, or `NONE`; texts that mean nothing of it are left out.

    A text that is not named is no answer, whatever the others are: it may be `unknown` or `lost to follow-up`.

    Example:
        >>> status = Target(codes="OUTCOME//status", read="category", positive="dead")
        >>> answers_of(["Dead", "alive", "unknown"], "binary", status)
        {'Dead': ('yes',), 'alive': ('no',)}
    """
    found = {text: _answer(text, kind, target) for text in texts}
    return {text: answer for text, answer in found.items() if answer}


def negatives_of(target: Target) -> tuple[str, ...]:
    """Return the patterns that mean no: those named, or else the words opposite to the positive ones."""
    return target.negative or tuple(sorted(_opposites(target.positive)))


def _answer(text: str, kind: Kind, target: Target) -> tuple[str, ...]:
    if kind == "binary":
        if _matches(text, target.positive):
            return (YES,)
        return (NO,) if _matches(text, negatives_of(target)) else ()
    classes = tuple(name for name, patterns in target.classes.items() if _matches(text, patterns))
    if kind == "multiclass":
        return classes[:1]
    return classes or ((NONE,) if _matches(text, target.negative) else ())


def _opposites(patterns: Iterable[str]) -> set[str]:
    words = {pattern.strip().casefold() for pattern in patterns}
    sides = [*OPPOSITES, *((second, first) for first, second in OPPOSITES)]
    found = {word for side, contrary in sides if words & side for word in contrary}
    return set() if found & words else found


def _matches(text: str, patterns: Iterable[str]) -> bool:
    """Match categories, ignoring case and the spaces around them."""
    return matches(text.strip().casefold(), (pattern.strip().casefold() for pattern in patterns))
