"""Build a bundle's synthetic reference patient from its fitted features and constants, without any patient's record.

Numbers lie near the training medians, some a few robust standard deviations away; some codes are left out, so that
absence is covered too. The note is constant; radiograph and ECG are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from polyclinic.cohort import NOMINAL_ORIGIN, kind
from polyclinic.demo.ecg import MEASURED, SAMPLES, SAMPLING_HZ, P, Q, R, S, T
from polyclinic.demo.phantom import Build, Lesion, render
from polyclinic.features import ImageFeaturizer, NoteFeaturizer, SeriesFeaturizer, StructuredFeaturizer
from polyclinic.features.scaling import QuantileScale, RobustScale
from polyclinic.features.series.featurizer import SeriesState
from polyclinic.features.structured.columns import Layout
from polyclinic.features.waveform.featurizer import ECG, WaveformFeaturizer
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.modalities import MODALITIES, load
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.golden import SyntheticEvent, SyntheticPatient
from polyclinic.tasks import Task

Thing = TypeVar("Thing")

DEVIATIONS = (0.0, 1.0, -0.5, 2.0, -1.0)
"""Distances from the training median, cyclically, in robust standard deviations."""
LEFT_OUT = 7
"""Every seventh code is left out."""
MAX_CODES = 200
"""Of each modality."""
SHARES = (0.9, 0.6, 0.35, 0.15, 0.02)
"""Measurement times before the prediction time, as shares of the length of a series."""
USUAL_HOURS = 1.0
"""Hours before the prediction time, where the fitted features give none."""
NOTE = ("Short of breath for three days, no fever.", "Small left pleural effusion. No pneumothorax.")
SEED = (1902, 8888)
CHEST = Build(female=True, age=63, bmi=26, hyperinflated=False, cardiothoracic_ratio=0.46, portable=False)
EFFUSION = Lesion("effusion", side=1, extent=0.3)
BEAT_S = 0.8
"""Between two R peaks."""


class Part(NamedTuple):
    """The events of one modality, and the content of their blob."""

    events: tuple[SyntheticEvent, ...]
    blob: bytes | None = None


Synthesis = Callable[[Any, Sequence[Task]], Part]
"""From a fitted featurizer and the tasks; see `Modality.synthetic`."""


def synthetic_patient(bundle: Bundle) -> SyntheticPatient:
    """Build a patient with every modality that the bundle reads; equal features give an equal patient."""
    events: list[SyntheticEvent] = []
    blobs: dict[str, bytes] = {}
    for name, featurizer in bundle.features.featurizers.items():
        synthesis: Synthesis = load(MODALITIES[name].synthetic)
        part = synthesis(featurizer, bundle.tasks)
        events = [event for event in events if event.code not in featurizer.codes_read]  # series replace facts
        events += part.events
        blobs |= {event.blob: part.blob for event in part.events if event.blob and part.blob}
    return SyntheticPatient(NOMINAL_ORIGIN, tuple(events), blobs)


def structured(featurizer: StructuredFeaturizer, tasks: Sequence[Task]) -> Part:  # noqa: ARG001
    """Return one event of each selected code."""
    return Part(tuple({event.code: event for event in _structured(featurizer.layout)}.values()))


def series(featurizer: SeriesFeaturizer, tasks: Sequence[Task]) -> Part:  # noqa: ARG001
    """Return a short series of each selected code."""
    return Part(tuple(_series(featurizer.fitted)))


def note(featurizer: NoteFeaturizer, tasks: Sequence[Task]) -> Part:
    """Return the note."""
    return Part(tuple(_notes(featurizer.sections[2:], tasks)))


def image(featurizer: ImageFeaturizer, tasks: Sequence[Task]) -> Part:
    """Return a radiograph of the first view that every task reads."""
    views = _visible([f"IMAGE//{view}" for view in featurizer.views[2:]], tasks)
    return Part(tuple(SyntheticEvent(code, USUAL_HOURS, picture=True) for code in views[:1]), _radiograph())


def waveform(featurizer: WaveformFeaturizer, tasks: Sequence[Task]) -> Part:  # noqa: ARG001
    """Return an ECG."""
    codes = _visible([f"{ECG}//mV"], tasks)
    return Part(tuple(SyntheticEvent(code, USUAL_HOURS, waveform=True) for code in codes), _ecg())


def _structured(layout: Layout) -> Iterator[SyntheticEvent]:
    """Yield one number, category or bare event of each selected code."""
    for place, (code, limits) in _selected(list(layout.limits.items())):
        centre, spread = _usual(layout, code, limits)
        value = float(np.clip(centre + _deviation(place) * spread, *limits))
        yield SyntheticEvent(code, _hours(layout, code), number=_rounded(value))
    for _, code in _selected(layout.bare):
        yield SyntheticEvent(code, _hours(layout, code))
    for place, (code, texts) in _selected(list(layout.categories.items())):
        if texts:
            yield SyntheticEvent(code, _hours(layout, code), text=texts[place % len(texts)])


def _usual(layout: Layout, code: str, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the median and spread of a code's numbers, from the first of its columns of values."""
    scales = {column.of: (column.centre, column.spread) for column in layout.columns if column.code == code}
    found = next((scales[of] for of in ("last", "mean", "first", "minimum", "maximum") if of in scales), None)
    return found or ((limits[0] + limits[1]) / 2, (limits[1] - limits[0]) / 4)


def _hours(layout: Layout, code: str) -> float | None:
    """Return the usual hours since a code's last event; None for demographic facts."""
    if kind(code) == "DEMOGRAPHIC":
        return None
    usual = next((c.centre for c in layout.columns if c.code == code and c.of == "hours since last"), USUAL_HOURS)
    return round(max(usual, 0.0), 2)


def _series(fitted: SeriesState) -> Iterator[SyntheticEvent]:
    """Yield a short series of each selected code."""
    channels = list(zip(fitted.codes, fitted.limits, fitted.scales, strict=True))
    for place, (code, limits, scale) in _selected(channels):
        for number, share in enumerate(SHARES):
            value = float(np.clip(_value_at(scale, _deviation(place + number)), *limits))
            yield SyntheticEvent(code, round(share * fitted.window_hours, 2), number=_rounded(value))


def _value_at(scale: RobustScale | QuantileScale, deviation: float) -> float:
    """Return the value that is standardised to `deviation`."""
    if isinstance(scale, RobustScale):
        return scale.centre + deviation * scale.spread
    return float(np.interp(deviation, scale.ranks, scale.points))


def _notes(sections: Sequence[str], tasks: Sequence[Task]) -> Iterator[SyntheticEvent]:
    """Yield the note, in two sections where there are two."""
    codes = _visible([f"NOTE//{section}" for section in sections], tasks)[: len(NOTE)]
    texts = NOTE if len(codes) == len(NOTE) else (" ".join(NOTE),)
    for code, text in zip(codes, texts, strict=False):
        yield SyntheticEvent(code, USUAL_HOURS, text=text)


def _visible(codes: Sequence[str], tasks: Sequence[Task]) -> list[str]:
    """Return the codes that are inputs of every task."""
    return [code for code in codes if all(task.inputs.selects(code) for task in tasks)]


def _selected(things: Sequence[Thing]) -> Iterator[tuple[int, Thing]]:
    """Yield all but every seventh thing, with its number."""
    kept = (numbered for numbered in enumerate(things) if numbered[0] % LEFT_OUT != LEFT_OUT - 1)
    return islice(kept, MAX_CODES)


def _deviation(place: int) -> float:
    return DEVIATIONS[place % len(DEVIATIONS)]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _radiograph() -> bytes:
    """Draw a chest radiograph with a left effusion, as an 8-bit PNG."""
    pixels = render(SEED, CHEST, (EFFUSION,)).pixels
    written = BytesIO()
    Image.fromarray((255 * pixels).round().astype(np.uint8)).save(written, "PNG")
    return written.getvalue()


def _ecg() -> bytes:
    """Draw a regular ECG of ten seconds, as the content of a blob."""
    from_peak = (np.arange(SAMPLES) / SAMPLING_HZ) % BEAT_S - BEAT_S / 2
    waves = ((np.exp(-0.5 * ((from_peak - wave.centre_s) / wave.width_s) ** 2), wave) for wave in (P, Q, R, S, T))
    signals = sum((np.outer(shape, wave.height_mv) for shape, wave in waves), np.zeros((SAMPLES, len(MEASURED))))
    rounded = signals.round(3).astype(np.float32)
    return Waveform(rounded, SAMPLING_HZ, MEASURED, ("mV",) * len(MEASURED)).to_blob()[0]
