"""A figure with its interval and its n, and the difference of two figures."""

import math
from dataclasses import dataclass, replace
from typing import Self

from polyclinic.evaluation.record import Record

NO_INTERVAL = "interval not estimable"


@dataclass(frozen=True)
class Estimate(Record):
    """One figure; a value or interval that could not be estimated is None, with the `reason`.

    >>> print(Estimate("auroc", 0.8702, 0.8511, 0.8884, 4000, "DeLong, 95 %"))
    .870 [.851, .888]
    >>> print(Estimate.missing("auroc", 12, "no positives among 12 samples"))
    not estimable: no positives among 12 samples
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    reason: str = ""

    def __post_init__(self) -> None:
        numbers = [number for number in (self.value, self.low, self.high) if number is not None]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"{self.name}: a figure is finite or None with a reason; see Estimate.of")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.name}: an interval has two ends or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"{self.name}: the interval's ends are in the wrong order")
        if None in (self.value, self.low) and not self.reason:
            raise ValueError(f"{self.name}: give the `reason` why the figure or its interval is missing")

    @classmethod
    def of(
        cls,
        name: str,
        value: float,
        interval: tuple[float, float],
        n: int,
        method: str,
        reason: str = "it could not be computed",
    ) -> Self:
        """Build a figure from numbers; those that are not finite become None, explained by `reason`."""
        value, low, high = float(value), float(interval[0]), float(interval[1])
        if not math.isfinite(value):
            return cls.missing(name, n, reason)
        if not (math.isfinite(low) and math.isfinite(high)):
            return cls(name, value, None, None, n, method, reason)
        return cls(name, value, low, high, n, method)

    @classmethod
    def missing(cls, name: str, n: int, reason: str) -> Self:
        """Build a figure that could not be estimated, for `reason`."""
        return cls(name, None, None, None, n, "", reason)

    @property
    def estimable(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def width(self) -> float | None:
        """Width of the interval; None without one."""
        return None if self.low is None or self.high is None else self.high - self.low

    def contains(self, value: float) -> bool:
        """Return whether the interval contains `value`; false without an interval."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.value is None:
            return f"not estimable: {self.reason}"
        if self.low is None or self.high is None:
            return f"{decimal(self.value, places(self.value))} [{NO_INTERVAL}: {self.reason}]"
        digits = places(self.value, self.low, self.high)
        return f"{decimal(self.value, digits)} [{decimal(self.low, digits)}, {decimal(self.high, digits)}]"


P_ADJUSTED = "p (Holm)"
"""Label of a p value adjusted for the number of comparisons."""


@dataclass(frozen=True)
class Difference(Record):
    """Difference of a model's figure from the reference's on the same subjects, with a two-sided p value.

    Where the p value was adjusted for the number of comparisons, the adjusted one is printed.

    >>> gain = Estimate("auroc", 0.021, 0.004, 0.038, 4000, "paired DeLong, 95 %")
    >>> print(Difference(gain, p=0.0154))
    +.021 [+.004, +.038], p = .015
    >>> print(Difference(gain, 0.0154, p_adjusted=0.0308))
    +.021 [+.004, +.038], p (Holm) = .031
    """

    figure: Estimate
    p: float | None
    p_adjusted: float | None = None

    def adjusted(self, p: float | None) -> Self:
        """Return the difference with an adjusted p value."""
        return replace(self, p_adjusted=p)

    def __str__(self) -> str:
        figure = self.figure
        if figure.value is None or figure.low is None or figure.high is None:
            return str(figure)
        digits = places(figure.value, figure.low, figure.high)
        value, low, high = (decimal(part, digits, sign=True) for part in (figure.value, figure.low, figure.high))
        text = f"{value} [{low}, {high}]"
        if self.p_adjusted is not None:
            return f"{text}, {p_text(self.p_adjusted, P_ADJUSTED)}"
        return text if self.p is None else f"{text}, {p_text(self.p)}"


def places(*values: float) -> int:
    """Return the number of decimals for numbers of this size: three below 1, fewer as they grow."""
    largest = max(abs(value) for value in values)
    if largest <= 1:
        return 3
    return 2 if largest < 10 else 1 if largest < 1000 else 0


def decimal(value: float, digits: int = 3, sign: bool = False) -> str:
    """Format a number as medical journals do: no leading zero, a true minus sign.

    >>> decimal(0.87), decimal(-0.0421), decimal(1.0), decimal(12.25, 1)
    ('.870', '−.042', '1.000', '12.2')
    """
    text = f"{abs(value):.{digits}f}"
    text = text.removeprefix("0") if text.startswith("0.") else text
    zero = not text.strip("0.")
    minus = "−" if value < 0 and not zero else "+" if sign and not zero else ""
    return minus + text


def percent(share: float, digits: int = 0) -> str:
    """Format a share in percent.

    >>> percent(0.176, 1)
    '17.6 %'
    """
    return f"{100 * share:.{digits}f} %"


def p_text(p: float, name: str = "p") -> str:
    """Format a p value.

    >>> p_text(0.0004), p_text(0.031), p_text(0.9999)
    ('p < .001', 'p = .031', 'p > .999')
    """
    if p < 0.001:
        return f"{name} < .001"
    return f"{name} > .999" if p > 0.999 else f"{name} = {decimal(p)}"
