"""Summaries of attributions for display, shared by plots and pages.

Support for and against the output differ in colour and in a second way, so that they can be distinguished in grey:
solid against hatched or dashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.explain.attribution import (
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WordScore,
)
from polyclinic.explain.display.labels import feature_of, label_of, unit_of

FOR, AGAINST = "#d55e00", "#0072b2"
"""Vermillion and blue of Okabe & Ito, distinguishable with colour blindness."""
AMBER, AZURE = (255, 150, 20), (90, 170, 255)
"""The same, for dark images."""
START = 0.5
"""Default sensitivity of displayed regions."""
MOST_STEPS = 10
WIDEST = 1 / 48
"""Maximum half-width of the shading of a measurement, as a share of the displayed time."""
LEVELS = 5
FAINT = 0.04
"""Share of the largest score below which a word is not marked."""


class Step(NamedTuple):
    """One bar of a waterfall, which starts where the previous one ended."""

    label: str
    value: str  # as recorded, with its unit; empty for a sum
    start: float
    end: float

    @property
    def score(self) -> float:
        """The contribution of the step."""
        return self.end - self.start


def structured_steps(structured: StructuredAttribution, most: int = MOST_STEPS) -> tuple[Step, ...]:
    """Return the `most` features with the largest scores, then the sum of the others; from 0 to the total."""
    order = np.argsort(-np.abs(structured.scores), kind="stable")
    order = order[structured.scores[order] != 0]
    shown, others = order[:most].tolist(), order[most:]
    rows = [
        (
            *feature_of(structured.names[k], structured.codes[k], float(structured.values[k])),
            float(structured.scores[k]),
        )
        for k in shown
    ]
    if len(others):
        rows.append((f"The other {len(others)}", "", float(structured.scores[others].sum())))
    return _steps(rows, 0.0)


def modality_steps(nothing: float, shares: Mapping[str, float]) -> tuple[Step, ...]:
    """Return the contribution of each modality, largest first, starting at the answer without any input."""
    order = sorted(shares.items(), key=lambda one: -abs(one[1]))
    return _steps([(name.capitalize(), "", value) for name, value in order], nothing)


def strength_of(picture: PictureAttribution) -> Float[np.ndarray, "height width"]:
    """Return the scores within the image, as shares of the maximum of the canvas: from −1 to 1."""
    highest = float(picture.scores.max())
    scale = highest if highest > 0 else float(np.abs(picture.scores).max()) or 1.0
    left, top, width, height = picture.canvas.placement
    shares: np.ndarray = np.clip(picture.scores[top : top + height, left : left + width] / scale, -1, 1)
    return shares


def tint(strength: Float[np.ndarray, "height width"], sensitivity: float) -> np.ndarray:
    """Colour a map, uint8 [height, width, 4]: amber for, azure against; strong where kept at the sensitivity."""
    kept = (strength >= 1 - sensitivity) & (strength > 0)
    opacity = np.where(kept, 0.55 + 0.45 * strength, 0.6 * np.abs(strength))
    colour = np.where((strength > 0)[..., None], np.array(AMBER), np.array(AZURE))
    return np.concatenate([colour, 255 * opacity[..., None]], axis=2).round().astype(np.uint8)


class Lane(NamedTuple):
    """One channel of a series: its measurements, oldest first, and the time that each shades."""

    label: str
    unit: str
    hours: Float[np.ndarray, " moment"]  # before the prediction time
    values: Float[np.ndarray, " moment"]
    scores: Float[np.ndarray, " moment"]
    begins: Float[np.ndarray, " moment"]  # of the shading, in hours before the prediction time
    ends: Float[np.ndarray, " moment"]

    @property
    def weight(self) -> float:
        """The sum of absolute scores."""
        return float(np.abs(self.scores).sum())


def lanes(series: SeriesAttribution) -> tuple[Lane, ...]:
    """Return the channels, largest weight first; simultaneous measurements are merged (mean value, summed score).

    A measurement shades the time nearest to it, up to `WIDEST` of the displayed time on each side.
    """
    span = max((one.hours for one in series.measurements), default=0.0)
    ordered = sorted(series.measurements, key=lambda one: (one.code, -one.hours))
    found = []
    for code, of_code in groupby(ordered, key=lambda one: one.code):
        moments = [list(one) for _, one in groupby(of_code, key=lambda one: one.hours)]
        hours = np.array([one[0].hours for one in moments])
        middles = (hours[:-1] + hours[1:]) / 2
        reach = span * WIDEST
        found.append(
            Lane(
                label_of(code),
                unit_of(code),
                hours,
                np.array([np.mean([each.value for each in one]) for one in moments]),
                np.array([sum(each.score for each in one) for one in moments]),
                np.minimum(hours + reach, np.append(np.inf, middles)),
                np.maximum(np.maximum(hours - reach, np.append(middles, -np.inf)), 0.0),
            )
        )
    return tuple(sorted(found, key=lambda lane: -lane.weight))


def levels(note: NoteAttribution) -> tuple[int, ...]:
    """Return each word's level from 0 (not marked) to 5; negative levels oppose the output."""
    largest = max((abs(word.score) for word in note.words), default=0.0)
    return tuple(_level(word, largest) for word in note.words)


class TotalOfWord(NamedTuple):
    """A word in lower case and the sum of its scores; negated occurrences are counted separately."""

    word: str
    score: float
    times: int


def weightiest(note: NoteAttribution, most: int = 5) -> tuple[tuple[TotalOfWord, ...], tuple[TotalOfWord, ...]]:
    """Return the words that most support the output, and those that most oppose it."""
    places: dict[str, list[float]] = {}
    for word in note.words:
        label = f"{word.text.lower()} (denied)" if word.denied else word.text.lower()
        places.setdefault(label, []).append(word.score)
    largest = max((abs(word.score) for word in note.words), default=0.0)
    totals = [TotalOfWord(word, sum(scores), len(scores)) for word, scores in places.items()]
    marked = [total for total in totals if abs(total.score) >= FAINT * largest]
    marked.sort(key=lambda total: (-abs(total.score), total))
    pro, contra = [total for total in marked if total.score > 0], [total for total in marked if total.score < 0]
    return tuple(pro[:most]), tuple(contra[:most])


def _steps(rows: Sequence[tuple[str, str, float]], start: float) -> tuple[Step, ...]:
    found = []
    for label, value, score in rows:
        found.append(Step(label, value, start, start + score))
        start += score
    return tuple(found)


def _level(word: WordScore, largest: float) -> int:
    share = abs(word.score) / largest if largest else 0.0
    level = int(np.ceil(LEVELS * share)) if share >= FAINT else 0
    return level if word.score >= 0 else -level
