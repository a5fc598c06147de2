"""Style of the plots: colours safe for colour blindness (Okabe & Ito 2008), and no frame.

In SVG, colours become CSS variables, to follow the page's light or dark theme.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from polyclinic.files import replacing
from polyclinic.html import Markup, trusted

INK, MUTED, GRID, PAPER = "#1c2430", "#6a7585", "#e2e6ec", "#fffffe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {
    c: f"series-{n}" for n, c in enumerate(SERIES)
}

OPENING = '<svg viewBox="0 0 {} {}" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="{}">'

RC: dict[Any, Any] = {
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER,
    "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": MUTED, "axes.titlecolor": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "xtick.major.size": 0, "ytick.major.size": 0, "xtick.major.pad": 5, "ytick.major.pad": 5,
    "font.family": "sans-serif", "font.sans-serif": ["Inter", "Helvetica", "Arial", "DejaVu Sans"], "font.size": 9,
    "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 10,
    "axes.labelsize": 9, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "legend.fontsize": 8.5,
    "legend.frameon": True, "legend.facecolor": PAPER, "legend.edgecolor": "none", "legend.framealpha": 0.85,
    "legend.handlelength": 1.8, "legend.borderaxespad": 0.6, "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round", "axes.prop_cycle": cycler(color=SERIES), "svg.fonttype": "none",
    "figure.constrained_layout.use": True, "figure.constrained_layout.w_pad": 0.08,
    "savefig.dpi": 200, "axes.unicode_minus": True,
    "text.parse_math": False,  # codes and classes may contain dollar signs
}  # fmt: skip


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style within a `with` block."""
    with mpl.rc_context(RC):
        yield


def canvas(width: float = 4.6, height: float = 3.9) -> tuple[Canvas, Axes]:
    """Return a figure (size in inches) with one axes, without pyplot's global state; draw within `styled()`."""
    figure = Canvas(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def svg(figure: Canvas, title: str) -> Markup:
    """Return the figure as a reproducible SVG element for a page; `title` is its text for screen readers."""
    buffer = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font(-family)?: ([\d.]+px )?[^;\"]*", lambda m: f"font-size: {m[2].strip()}" if m[2] else "", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda m: f"var(--{VARIABLES[m[0]]})" if m[0] in VARIABLES else m[0], text)
    text = _without_unused_ids(text)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups()  # type: ignore[union-attr]
    opening = trusted(OPENING).format(width, height, title)
    return trusted(re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1))


def _without_unused_ids(text: str) -> str:
    """Remove unreferenced ids, which would repeat on a page with two plots."""
    used = set(re.findall(r"#([\w-]+)", text))
    return re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text)


def save(figure: Canvas, path: Path) -> None:
    """Write the figure to `path` atomically, in the format of its suffix (.png, .svg, .pdf)."""
    with replacing(path) as temporary, mpl.rc_context(RC):
        figure.savefig(temporary, format=path.suffix.removeprefix("."))
