"""Patterns over codes (shell wildcards: `LAB//*`), and which codes a task may see."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, BeforeValidator

OUTCOMES = "OUTCOME//*"
"""What sources record of how things ended: never an input of any task."""


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""One or several shell patterns; upper and lower case differ."""


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Tell whether any of the patterns matches the whole of `text`."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def matching(texts: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Give the texts that any of the patterns matches, sorted."""
    return sorted(text for text in texts if matches(text, patterns))


def in_words(patterns: Sequence[str]) -> str:
    """List patterns in English.

    Example:
        >>> in_words(["LAB//*", "VITAL//*", "NOTE//*"])
        'LAB//*, VITAL//* or NOTE//*'
    """
    return " or ".join(part for part in (", ".join(patterns[:-1]), patterns[-1]) if part) if patterns else "nothing"


class Inputs(BaseModel, frozen=True, extra="forbid"):
    """The codes a task's model may see. Outcomes are never among them, whatever is written here.

    A code that is itself the target may be seen (its values up to the prediction time) only where
    `history_of_target` says so: yesterday's lactate may help to foresee tomorrow's.
    """

    include: Patterns = ("*",)
    exclude: Patterns = (OUTCOMES,)
    history_of_target: bool = False

    def selects(self, code: str) -> bool:
        """Tell whether `code` is an input."""
        return matches(code, self.include) and not matches(code, (OUTCOMES, *self.exclude))

    def in_words(self) -> str:
        """Say what a model may see, as in `everything but NOTE//impression`; outcomes go without saying."""
        kept = "everything" if self.include == ("*",) else in_words(self.include)
        dropped = [pattern for pattern in self.exclude if pattern != OUTCOMES]
        return f"{kept} but {in_words(dropped)}" if dropped else kept

    def among(self, codes: Iterable[str]) -> list[str]:
        """Give the codes that are inputs, sorted."""
        return sorted(code for code in codes if self.selects(code))


def codes_of(events: pl.LazyFrame | pl.DataFrame) -> list[str]:
    """Give the codes that occur in `events`, sorted."""
    if isinstance(events, pl.DataFrame):
        return events["code"].unique().sort().to_list()
    return events.select(pl.col("code").unique()).collect(engine="streaming")["code"].sort().to_list()
