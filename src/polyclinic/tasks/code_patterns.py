"""Patterns over codes (shell wildcards: `LAB//*`), and the input codes of a task."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, BeforeValidator

OUTCOMES = "OUTCOME//*"
"""Outcomes recorded by the source: never inputs of any task."""


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""One or several case-sensitive shell patterns."""


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Return whether any pattern matches the whole of `text`."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def matching(texts: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the texts matched by any pattern, sorted."""
    return sorted(text for text in texts if matches(text, patterns))


def in_words(patterns: Sequence[str]) -> str:
    """Format patterns as English text.

    Example:
        >>> in_words(["LAB//*", "VITAL//*", "NOTE//*"])
        'LAB//*, VITAL//* or NOTE//*'
    """
    return " or ".join(part for part in (", ".join(patterns[:-1]), patterns[-1]) if part) if patterns else "nothing"


class Inputs(BaseModel, frozen=True, extra="forbid"):
    """The input codes of a task. Outcomes are never inputs, whatever the patterns.

    A target code may be an input (its values up to the prediction time) only with `history_of_target`: yesterday's
    lactate may help to predict tomorrow's.
    """

    include: Patterns = ("*",)
    exclude: Patterns = (OUTCOMES,)
    history_of_target: bool = False

    def selects(self, code: str) -> bool:
        """Return whether `code` is an input."""
        return matches(code, self.include) and not matches(code, (OUTCOMES, *self.exclude))

    def in_words(self) -> str:
        """Describe the inputs, such as `all codes except NOTE//impression`; the exclusion of outcomes is implied."""
        included = "all codes" if self.include == ("*",) else in_words(self.include)
        excluded = [pattern for pattern in self.exclude if pattern != OUTCOMES]
        return f"{included} except {in_words(excluded)}" if excluded else included

    def among(self, codes: Iterable[str]) -> list[str]:
        """Return the codes that are inputs, sorted."""
        return sorted(code for code in codes if self.selects(code))


def codes_of(events: pl.LazyFrame | pl.DataFrame) -> list[str]:
    """Return the codes that occur in `events`, sorted."""
    if isinstance(events, pl.DataFrame):
        return events["code"].unique().sort().to_list()
    return events.select(pl.col("code").unique()).collect(engine="streaming")["code"].sort().to_list()
