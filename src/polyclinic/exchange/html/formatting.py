"""Numbers, names and positions as the sections of the page write them.

Drawings are positioned in per cent of their box, so that text keeps its size on a narrow page. No element has a style
attribute: the content security policy forbids it.
"""

import re
from math import floor, log10

from polyclinic.explain.display.labels import signed
from polyclinic.tasks.durations import UNIT_WORDS


def position(share: float) -> str:
    """Format a position or length, as a share of the box, in per cent."""
    return f"{100 * share:.2f}%"


def sign_class(score: float) -> str:
    """Return the CSS class of a contribution: "for" the output or "against" it."""
    return "for" if score >= 0 else "against"


def percentage_points(value: float) -> str:
    """Format a difference of probabilities in percentage points.

    >>> percentage_points(0.1824), percentage_points(-0.004)
    ('+18.2', '−0.4')
    """
    return signed(100 * value, 1)


def probability(value: float) -> str:
    """Format a probability in per cent; never as certain.

    >>> probability(0.724), probability(0.0312), probability(0.9996), probability(0.0001)
    ('72 %', '3.1 %', '> 99.9 %', '< 0.1 %')
    """
    share = 100 * value
    if share < 0.1:
        return "< 0.1 %"
    if share > 99.9:
        return "> 99.9 %"
    return f"{share:.0f} %" if 9.95 <= share <= 90.05 else f"{share:.1f} %"


def output_name(output: str) -> str:
    """Format the name of an output: a class, a label, or the time by which an event happens.

    >>> output_name("heart_failure"), output_name("by 376.445 d"), output_name("by 1 d")
    ('heart failure', 'within 376 days', 'within 1 day')
    """
    horizon = re.fullmatch(r"by (\S+) (\S+)", output)
    if horizon is None:
        return output.replace("_", " ")
    number, unit = float(horizon[1]), UNIT_WORDS.get(horizon[2], horizon[2])
    shown = f"{number:.0f}" if number >= 99.5 else f"{number:.3g}"
    return f"within {shown} {unit}" + ("" if shown == "1" or unit.endswith("s") else "s")


def ticks(low: float, high: float, most: int = 7) -> tuple[float, ...]:
    """Return round numbers between `low` and `high`, about `most` at the most.

    >>> ticks(-0.3, 1.1)
    (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
    """
    rough = (high - low) / max(most - 1, 1)
    if not rough > 0:
        return (low,)
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = -(-low // step), high // step
    return tuple(round(step * number, 12) + 0.0 for number in range(int(first), int(last) + 1))
