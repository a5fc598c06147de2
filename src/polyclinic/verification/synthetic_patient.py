"""A made-up patient for a bundle: from its fitted features and from constants alone, so nobody's record.

Numbers lie near the training medians, some a few robust standard deviations away; some codes are left out, so that
what is absent is read, too. The note is always the same, and the picture is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import TypeVar

import numpy as np
from PIL import Image

from polyclinic.cohort import NOMINAL_ORIGIN, kind
from polyclinic.demo.phantom import Build, Lesion, render
from polyclinic.features import ImageFeaturizer, NoteFeaturizer, SeriesFeaturizer, StructuredFeaturizer
from polyclinic.features.scaling import QuantileScale, RobustScale
from polyclinic.features.series.featurizer import SeriesState
from polyclinic.features.structured.columns import Layout
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.golden import SyntheticEvent, SyntheticPatient
from polyclinic.tasks import Task

Thing = TypeVar("Thing")

DEVIATIONS = (0.0, 1.0, -0.5, 2.0, -1.0)
"""From the training median, in turn: robust standard deviations."""
LEFT_OUT = 7
"""Every such code is left out."""
MOST_CODES = 200
"""Of each modality; a record of thousands would not be a patient's."""
SHARES = (0.9, 0.6, 0.35, 0.15, 0.02)
"""Of the usual length of a series: when it is measured, before the prediction time."""
USUAL_HOURS = 1.0
"""Before the prediction time, where training tells no other."""
NOTE = ("Short of breath for three days, no fever.", "Small left pleural effusion. No pneumothorax.")
SEED = (1902, 8888)
CHEST = Build(female=True, age=63, bmi=26, hyperinflated=False, cardiothoracic_ratio=0.46, portable=False)
EFFUSION = Lesion("effusion", side=1, extent=0.3)


def make_up(bundle: Bundle) -> SyntheticPatient:
    """Make up a patient who has every modality that the bundle reads; the same one for the same features."""
    made: dict[str, SyntheticEvent] = {}  # by code: those that are no series
    events: list[SyntheticEvent] = []
    picture = None
    for featurizer in bundle.features.featurizers.values():
        match featurizer:
            case StructuredFeaturizer():
                made = {event.code: event for event in _structured(featurizer.layout)}
            case SeriesFeaturizer():
                made = {code: event for code, event in made.items() if code not in featurizer.codes}
                events += _series(featurizer.fitted)
            case NoteFeaturizer():
                events += _notes(featurizer.sections[2:], bundle.tasks)
            case ImageFeaturizer():
                views = _visible([f"IMAGE//{view}" for view in featurizer.views[2:]], bundle.tasks)
                events += [SyntheticEvent(code, USUAL_HOURS, picture=True) for code in views[:1]]
                picture = _radiograph() if views else None
    return SyntheticPatient(NOMINAL_ORIGIN, (*made.values(), *events), picture)


def _structured(layout: Layout) -> Iterator[SyntheticEvent]:
    """Give one number, category or bare event of each code but some."""
    for place, (code, limits) in _some(list(layout.limits.items())):
        centre, spread = _usual(layout, code, limits)
        value = float(np.clip(centre + _deviation(place) * spread, *limits))
        yield SyntheticEvent(code, _hours(layout, code), number=_rounded(value))
    for _, code in _some(layout.bare):
        yield SyntheticEvent(code, _hours(layout, code))
    for place, (code, texts) in _some(list(layout.categories.items())):
        if texts:
            yield SyntheticEvent(code, _hours(layout, code), text=texts[place % len(texts)])


def _usual(layout: Layout, code: str, limits: tuple[float, float]) -> tuple[float, float]:
    """Give the median of a code's numbers and their spread, from the first of its columns that is one of values."""
    scales = {column.of: (column.centre, column.spread) for column in layout.columns if column.code == code}
    found = next((scales[of] for of in ("last", "mean", "first", "minimum", "maximum") if of in scales), None)
    return found or ((limits[0] + limits[1]) / 2, (limits[1] - limits[0]) / 4)


def _hours(layout: Layout, code: str) -> float | None:
    """Give how long ago it usually was."""
    if kind(code) == "DEMOGRAPHIC":
        return None
    usual = next((c.centre for c in layout.columns if c.code == code and c.of == "hours since last"), USUAL_HOURS)
    return round(max(usual, 0.0), 2)


def _series(fitted: SeriesState) -> Iterator[SyntheticEvent]:
    """Give a short course of each code but some."""
    channels = list(zip(fitted.codes, fitted.limits, fitted.scales, strict=True))
    for place, (code, limits, scale) in _some(channels):
        for number, share in enumerate(SHARES):
            value = float(np.clip(_standing(scale, _deviation(place + number)), *limits))
            yield SyntheticEvent(code, round(share * fitted.window_hours, 2), number=_rounded(value))


def _standing(scale: RobustScale | QuantileScale, deviation: float) -> float:
    """Give the value that is standardised to `deviation`."""
    if isinstance(scale, RobustScale):
        return scale.centre + deviation * scale.spread
    return float(np.interp(deviation, scale.ranks, scale.points))


def _notes(sections: Sequence[str], tasks: Sequence[Task]) -> Iterator[SyntheticEvent]:
    """Give the note, over two sections where there are so many."""
    codes = _visible([f"NOTE//{section}" for section in sections], tasks)[: len(NOTE)]
    texts = NOTE if len(codes) == len(NOTE) else (" ".join(NOTE),)
    for code, text in zip(codes, texts, strict=False):
        yield SyntheticEvent(code, USUAL_HOURS, text=text)


def _visible(codes: Sequence[str], tasks: Sequence[Task]) -> list[str]:
    """Give the codes that every task may see."""
    return [code for code in codes if all(task.inputs.selects(code) for task in tasks)]


def _some(things: Sequence[Thing]) -> Iterator[tuple[int, Thing]]:
    """Leave out some, and number the others as they were."""
    kept = (one for one in enumerate(things) if one[0] % LEFT_OUT != LEFT_OUT - 1)
    return islice(kept, MOST_CODES)


def _deviation(place: int) -> float:
    return DEVIATIONS[place % len(DEVIATIONS)]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _radiograph() -> bytes:
    """Draw a chest with an effusion on the left, as a PNG of 8 bits."""
    pixels = render(SEED, CHEST, (EFFUSION,)).pixels
    written = BytesIO()
    Image.fromarray((255 * pixels).round().astype(np.uint8)).save(written, "PNG")
    return written.getvalue()
