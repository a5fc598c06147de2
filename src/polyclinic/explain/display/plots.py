"""Plots of attributions for notebooks: `polyclinic.plot`. Each function returns the axes it drew on.

Without axes, a figure of suitable size is made. Support for the output is vermillion and solid, support against it blue
and hatched, dashed or thin, so that it is legible in grey.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter
from PIL import Image

from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.plot_style import GRID, INK, MUTED, PAPER, styled
from polyclinic.explain.attribution import (
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WordScore,
)
from polyclinic.explain.display.labels import label_of, signed, with_unit, writer
from polyclinic.explain.display.summaries import (
    AGAINST,
    FOR,
    LEVELS,
    MOST_STEPS,
    START,
    Lane,
    Step,
    lanes,
    levels,
    modality_steps,
    strength_of,
    structured_steps,
    tint,
)
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.regions import Region
from polyclinic.explain.shapley.modalities import ModalityShapley
from polyclinic.features.note.layout import Note

ROW = 0.3
PAGE, WRITTEN = 7.2, 0.97
"""Width of the page in inches, and the share of it used for text."""
HATCH = "////"
WORD_SIZE, LINE, GAP = 10.5, 25.0, 4.4
DASH, BETWEEN = 5.0, 0.45
"""Points; the space between dashes as a share of one."""
HINTED = 1.03


def heat_map(
    picture: PictureAttribution,
    regions: Sequence[Region] | None = None,
    image: bytes | None = None,
    *,
    sensitivity: float = START,
    opacity: float = 0.6,
    axes: Axes | None = None,
) -> Axes:
    """Draw the map of an image, with a numbered circle around each region.

    Args:
        picture: of an attribution.
        regions: in pixels of the image, from `region_in_picture`; None: those found at `sensitivity`.
        image: content of the image's file (`cohort.blob(picture.blob).read_bytes()`) to draw beneath.
        sensitivity: see `localise`.
        opacity: of the map.
        axes: to draw on.
    """
    width, height = picture.canvas.width, picture.canvas.height
    if regions is None:
        found = (region_in_picture(one, picture.canvas) for one in localise(picture.scores, sensitivity))
        regions = [one for one in found if one is not None]
    with styled():
        axes = axes or _axes(5.0, 5.0 * height / width + 0.3)
        extent = (0, width, height, 0)
        axes.imshow(_grey(image), cmap="gray", extent=extent) if image else axes.set_facecolor("black")
        strength = strength_of(picture)
        axes.imshow(tint(strength, sensitivity), extent=extent, alpha=opacity, interpolation="bilinear")
        _hatched(axes, strength, width, height)
        for rank, region in enumerate(regions, 1):
            _ring(axes, region, rank)
        axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], title=picture.view.replace("//", " "))
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    return axes


def words(note: NoteAttribution, notes: Sequence[Note] = (), *, axes: Axes | None = None) -> Axes:
    """Draw notes with underlined words: thicker for larger scores, dashed for negative ones.

    Args:
        note: of an attribution.
        notes: the texts, numbered as in the attribution; without them only the words are drawn.
        axes: to write on.
    """
    with styled():
        pieces = _pieces(note, notes)
        axes = axes or _sheet(PAGE, (_flow(None, pieces, 72 * PAGE * WRITTEN) + 4) / 72)
        box, figure = axes.get_position(), axes.figure.get_size_inches()  # type: ignore[union-attr]
        width, height = 72 * figure[0] * box.width, 72 * figure[1] * box.height
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        _flow(axes, pieces, width)
    return axes


def series(series: SeriesAttribution, most: int = 8, *, axes: Axes | None = None) -> Axes:
    """Draw the channels with the largest scores in lanes, shaded by score; higher values are further up."""
    found = lanes(series)[:most]
    with styled():
        axes = axes or _axes(7.2, 0.7 + 0.62 * max(len(found), 1))
        largest = max((float(np.abs(lane.scores).max()) for lane in found), default=0.0) or 1.0
        for place, lane in enumerate(found):
            _lane(axes, lane, place, largest)
        axes.set_yticks([place + 0.5 for place in range(len(found))], [_named(lane) for lane in found])
        axes.set(
            ylim=(max(len(found), 1), 0), xlabel="Hours before the prediction time", title="Measurements over time"
        )
        longest = max((float(lane.hours.max()) for lane in found), default=1.0)
        axes.set_xlim(longest * 1.02, -0.02 * longest)
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
    return axes


def waterfall(structured: StructuredAttribution, most: int = MOST_STEPS, *, axes: Axes | None = None) -> Axes:
    """Draw the largest contributions of structured features, in log-odds, and all others as one bar."""
    steps = structured_steps(structured, most)
    with styled():
        axes = axes or _axes(7.2, 0.9 + ROW * (len(steps) + 1))
        _waterfall(axes, steps, writer(step.score for step in steps))
        axes.set(xlabel="Log-odds", title="The structured record")
    return axes


def modalities(shapley: ModalityShapley, *, axes: Axes | None = None) -> Axes:
    """Draw the contribution of each modality to the answer; for probabilities in percentage points."""
    steps = modality_steps(shapley.answer.nothing, shapley.by_modality)
    chances = shapley.log_odds is not None
    with styled():
        axes = axes or _axes(7.2, 0.9 + ROW * (len(steps) + 1))
        _waterfall(axes, steps, (lambda score: signed(100 * score, 1)) if chances else writer(s.score for s in steps))
        for name, value in (("nothing", shapley.answer.nothing), ("all", shapley.answer.whole)):
            axes.axvline(value, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.annotate(
                name, (value, -0.75), (3, 0), textcoords="offset points", fontsize=8, color=MUTED, va="center"
            )
        if chances:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
        axes.set(xlabel="Probability" if chances else "Answer", title="What each kind of input adds")
    return axes


def _axes(width: float, height: float) -> Axes:
    """Return axes of a new figure that a notebook displays automatically."""
    from matplotlib import pyplot

    axes: Axes = pyplot.subplots(figsize=(width, height))[1]
    return axes


def _sheet(width: float, height: float) -> Axes:
    """Return axes that fill a new figure, except for side margins."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(width, height), layout="none")
    return figure.add_axes(((1 - WRITTEN) / 2, 0, WRITTEN, 1))


def _grey(image: bytes) -> np.ndarray:
    with Image.open(BytesIO(image)) as opened:
        return np.asarray(opened.convert("F") if opened.mode.startswith(("I", "F")) else opened.convert("L"))


def _hatched(axes: Axes, strength: np.ndarray, width: int, height: int) -> None:
    """Hatch what clearly opposes the output."""
    if strength.min() > -0.3 or min(strength.shape) < 2:
        return
    rows, columns = strength.shape
    x, y = (np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows
    with mpl.rc_context({"hatch.color": "#9fd0ff", "hatch.linewidth": 0.7}):
        axes.contourf(x, y, strength, levels=[-1.01, -0.3], colors="none", hatches=[HATCH])


def _ring(axes: Axes, region: Region, rank: int) -> None:
    x, y, radius = region.circle.xyr
    for colour, thickness in (("black", 3.4), ("white", 1.5)):
        axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=colour, linewidth=thickness))
    axes.annotate(str(rank), (x + 0.71 * radius, y - 0.71 * radius), ha="center", va="center", fontsize=8,
                  fontweight="bold", color="black", annotation_clip=True,
                  bbox={"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "black"})  # fmt: skip


def _waterfall(axes: Axes, steps: Sequence[Step], write: Callable[[float], str]) -> None:
    ends = [end for step in steps for end in (step.start, step.end)] or [0.0]
    room = 0.015 * (max(ends) - min(ends) or 1.0)
    for place, step in enumerate(steps):
        _bar(axes, step, place)
        if place + 1 < len(steps):
            axes.plot([step.end] * 2, [place + 0.3, place + 0.7], color=MUTED, linewidth=0.7)
        axes.text(max(step.start, step.end) + room, place, write(step.score), va="center", fontsize=8.5)
    labels = [f"{step.label}   {step.value}" if step.value else step.label for step in steps]
    axes.set_yticks(range(len(steps)), labels)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlim(min(ends) - 2 * room, max(ends) + 10 * room)
    axes.set_ylim(len(steps) - 0.4, -1.1)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _bar(axes: Axes, step: Step, place: int) -> None:
    low, size = min(step.start, step.end), abs(step.score)
    if step.score >= 0:
        axes.barh(place, size, 0.6, low, color=FOR, linewidth=0)
    else:
        axes.barh(place, size, 0.6, low, color=PAPER, edgecolor=AGAINST, hatch=HATCH, linewidth=1)


def _named(lane: Lane) -> str:
    return f"{lane.label}\n{with_unit(float(lane.values[-1]), lane.unit)}"


def _lane(axes: Axes, lane: Lane, place: int, largest: float) -> None:
    for begin, end, score in zip(lane.begins, lane.ends, lane.scores, strict=True):
        strength = float(abs(score)) / largest
        shade = Rectangle((begin, place), end - begin, 1, linewidth=0, alpha=0.85 * strength**0.7,
                          facecolor=FOR if score >= 0 else PAPER, edgecolor=AGAINST,
                          hatch=None if score >= 0 else HATCH)  # fmt: skip
        axes.add_patch(shade)
    low, high = float(lane.values.min()), float(lane.values.max())
    shares = (lane.values - low) / (high - low) if high > low else np.full(len(lane.values), 0.5)
    axes.plot(lane.hours, place + 0.84 - 0.68 * shares, color=INK, linewidth=1, marker="o", markersize=2.4)
    axes.axhline(place + 1, color=GRID, linewidth=0.8)


class Piece(NamedTuple):
    """A text without spaces, its word if any, and its level."""

    text: str
    word: WordScore | None = None
    level: int = 0
    joined: bool = False  # to the previous piece, without a space
    heading: bool = False


BREAK = Piece("\n")


def _pieces(note: NoteAttribution, notes: Sequence[Note]) -> list[Piece]:
    """Split notes into words and the text between them, with a heading before each section."""
    marked = list(zip(note.words, levels(note), strict=True))
    pieces: list[Piece] = []
    for number in sorted({word.note for word, _ in marked}):
        own = sorted((one for one in marked if one[0].note == number), key=lambda one: one[0].start)
        heading = Piece(f"{label_of(own[0][0].section)}:", heading=True)
        alone = [Piece(word.text, word, level) for word, level in own]
        pieces += [heading, *(_in_text(own, notes[number].text) if notes else alone), BREAK]
    return pieces


def _in_text(own: Sequence[tuple[WordScore, int]], text: str) -> Iterator[Piece]:
    done = 0
    for word, level in own:
        yield from _between(text, done, word.start)
        yield Piece(text[word.start : word.end], word, level, joined=_follows(text, word.start))
        done = word.end
    yield from _between(text, done, len(text))


def _between(text: str, start: int, end: int) -> Iterator[Piece]:
    for found in re.finditer(r"\S+", text[start:end]):
        yield Piece(found[0], joined=_follows(text, start + found.start()))


def _follows(text: str, place: int) -> bool:
    """Return whether there is no space before a position."""
    return place > 0 and not text[place - 1].isspace()


def _flow(axes: Axes | None, pieces: Sequence[Piece], width: float) -> float:
    """Lay out pieces in lines `width` points wide, and draw them on axes if given; return the height in points."""
    x, y = 0.0, LINE * 0.7
    for piece in pieces:
        if piece == BREAK:
            x, y = 0.0, y + 1.25 * LINE
            continue
        size = _width(piece)
        gap = 0.0 if piece.joined or x == 0 else GAP
        if x + gap + size > width and x > 0:
            x, y, gap = 0.0, y + LINE, 0.0
        if axes is not None:
            _write(axes, x + gap, y, piece)
        x += gap + size
    return y - (0.55 * LINE if pieces and pieces[-1] == BREAK else 0)


def _font(piece: Piece) -> FontProperties:
    return FontProperties(
        size=WORD_SIZE,
        weight="bold" if piece.heading or abs(piece.level) == LEVELS else "normal",
        style="italic" if piece.word is not None and piece.word.denied else "normal",
    )


def _width(piece: Piece) -> float:
    """Return the width in points, including hinting."""
    return HINTED * float(text_to_path.get_text_width_height_descent(piece.text, _font(piece), ismath=False)[0])


def _dashes(width: float, thick: float) -> tuple[float, float]:
    """Return dash and gap in line widths, so that a line starts and ends with a whole dash."""
    spaces = max(round((width / DASH - 1) / (1 + BETWEEN)), 1)
    dash = width / (spaces + 1 + spaces * BETWEEN)
    return dash / thick, BETWEEN * dash / thick


def _write(axes: Axes, x: float, y: float, piece: Piece) -> None:
    colour, level = MUTED if piece.heading else INK, piece.level
    axes.text(x, y, piece.text, fontproperties=_font(piece), color=colour, va="baseline", parse_math=False)
    end = x + _width(piece)
    if level:
        thick = 0.6 + 0.75 * abs(level)
        axes.plot([x, end], [y + 4, y + 4], color=FOR if level > 0 else AGAINST, linewidth=thick,
                  linestyle="-" if level > 0 else (0, _dashes(end - x, thick)), solid_capstyle="butt",
                  dash_capstyle="butt")  # fmt: skip
    if piece.word is not None and piece.word.negates:
        box = Rectangle((x - 2, y - WORD_SIZE), end - x + 4, WORD_SIZE * 1.75, fill=False, edgecolor=INK, linewidth=0.9)
        axes.add_patch(box)
