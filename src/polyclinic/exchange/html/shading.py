"""Stretches of a drawing, shaded by their contribution."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from polyclinic.exchange.html.formatting import position, sign_class

Write = Callable[[float], str]
FAINTEST, DARKEST = 0.03, 0.85
"""Smallest visible share of the largest contribution, and the opacity of the largest."""


class Shade(NamedTuple):
    """A shaded stretch."""

    sign: str
    x: str
    width: str
    opacity: str
    score: str


def shades(stretches: Iterable[tuple[float, float, float]], largest: float, write: Write) -> Iterator[Shade]:
    """Yield the visible shades of stretches: start and width, as shares of the box, and contribution."""
    for start, width, score in stretches:
        strength = abs(score) / largest if largest else 0.0
        if strength >= FAINTEST:
            opacity = f"{DARKEST * strength**0.7:.2f}"
            yield Shade(sign_class(score), position(start), position(width), opacity, write(score))
