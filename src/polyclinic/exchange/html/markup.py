"""Shapes and words that the sections of the page share.

Everything that is drawn is placed in per cent of its box, so that text keeps its size when the page is narrow. No
element has a style of its own: the policy of the page forbids it.
"""

import re
from collections.abc import Sequence
from math import floor, log10

from polyclinic.evaluation.report.document import escape
from polyclinic.explain.display.labels import signed

PATTERNS = """<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="hatch-ground" width="6" height="6"/><rect class="hatch-line" width="2.6" height="6"/></pattern>
<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">
<circle class="dots-dot" cx="2.5" cy="2.5" r="1"/></pattern>
</defs></svg>"""


def at(share: float) -> str:
    """Give a place as per cent of the box."""
    return f"{100 * share:.2f}%"


def side(score: float) -> str:
    """Give the class of what speaks for the output, or against it."""
    return "for" if score >= 0 else "against"


def points(value: float) -> str:
    """Write a difference of probabilities in percentage points.

    >>> points(0.1824), points(-0.004)
    ('+18.2', '−0.4')
    """
    return signed(100 * value, 1)


def chance(value: float) -> str:
    """Write a probability in per cent; never as certain.

    >>> chance(0.724), chance(0.0312), chance(0.9996), chance(0.0001)
    ('72 %', '3.1 %', '> 99.9 %', '< 0.1 %')
    """
    share = 100 * value
    if share < 0.1:
        return "< 0.1 %"
    if share > 99.9:
        return "> 99.9 %"
    return f"{share:.0f} %" if 9.95 <= share <= 90.05 else f"{share:.1f} %"


def outcome(output: str) -> str:
    """Write the name of an output: a class, a label, or the time by which something happens.

    >>> outcome("heart_failure"), outcome("by 376.445 d")
    ('heart failure', 'by 376.4 d')
    """
    return re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.4g}", output.replace("_", " "))


def ticks(low: float, high: float, most: int = 7) -> tuple[float, ...]:
    """Give round numbers between two ends, at most about `most`.

    >>> ticks(-0.3, 1.1)
    (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
    """
    rough = (high - low) / max(most - 1, 1)
    if not rough > 0:
        return (low,)
    power = 10.0 ** floor(log10(rough))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * (1 - 1e-9))
    first, last = -(-low // step), high // step
    return tuple(round(step * number, 12) + 0.0 for number in range(int(first), int(last) + 1))


def section(name: str, title: str, content: str, lead: str = "") -> str:
    """Give a section with its heading; `lead` is a sentence of plain text."""
    told = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f'<section class="{name}"><h3>{escape(title)}</h3>{told}{content}</section>'


def chips(items: Sequence[tuple[str, str, str]]) -> str:
    """Give a list of short facts: a class, a mark and a text each."""
    told = "".join(
        f'<li class="{kind}"><span class="mark" aria-hidden="true">{mark}</span>{escape(text)}</li>'
        for kind, mark, text in items
    )
    return f'<ul class="chips">{told}</ul>'
