"""Results of an explanation: a score for each feature, measurement, word or pixel, and the completeness of the scores.

All objects are immutable, including their arrays. Scores are in units of the explained logit: positive scores support
the output, negative ones oppose it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from polyclinic.features.image.preprocessing import Placement
from polyclinic.features.note.negation import is_cue


class ModalityAttribution(Protocol):
    """The scores of one modality, in what a clinician knows of it: features, measurements, words, pixels."""

    @property
    def total(self) -> float:
        """The sum of the scores."""
        ...

    def by_name(self) -> Iterator[dict[str, float]]:
        """Return the scores by name, those of each image or recording by themselves."""
        ...


class Frozen:
    """A frozen dataclass with read-only arrays."""

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False


class CodeScore(NamedTuple):
    """The sum of the scores of one code."""

    code: str
    score: float


@dataclass(frozen=True, eq=False)
class StructuredAttribution(Frozen):
    """Scores of the structured features, in the order of the featurizer; 0 for unknown features."""

    names: tuple[str, ...]  # such as `LAB//lactate//mmol/L last`
    codes: tuple[str, ...]  # of each feature
    values: Float[np.ndarray, " feature"]  # in the units of the record; NaN: unknown
    scores: Float[np.ndarray, " feature"]

    @property
    def total(self) -> float:
        """The sum of the scores."""
        return float(self.scores.sum())

    @property
    def by_code(self) -> tuple[CodeScore, ...]:
        """The codes, largest scores first."""
        return _added(zip(self.codes, self.scores.tolist(), strict=True))

    def by_name(self) -> Iterator[dict[str, float]]:
        """Return the score of each feature."""
        yield dict(zip(self.names, self.scores.tolist(), strict=True))


class Measurement(NamedTuple):
    """One measurement of a series."""

    code: str
    hours: float  # before the prediction time
    value: float  # in the unit of the code
    score: float


class ChannelGrid(NamedTuple):
    """Scores by channel and time; the last column ends at the prediction time."""

    codes: tuple[str, ...]
    edges: Float[np.ndarray, " bin+1"]  # hours before the prediction time, descending to 0
    scores: Float[np.ndarray, "code bin"]  # 0 where nothing was measured


@dataclass(frozen=True, eq=False)
class SeriesAttribution(Frozen):
    """Scores of the measurements of a series, oldest first."""

    measurements: tuple[Measurement, ...]

    @property
    def total(self) -> float:
        """The sum of the scores."""
        return float(sum(one.score for one in self.measurements))

    @property
    def by_code(self) -> tuple[CodeScore, ...]:
        """The channels, largest scores first."""
        return _added((one.code, one.score) for one in self.measurements)

    def by_name(self) -> Iterator[dict[str, float]]:
        """Return the score of each code."""
        yield {f"series {code}": score for code, score in self.by_code}

    def grid(self, bin_hours: float) -> ChannelGrid:
        """Sum the scores by channel and time bins of `bin_hours`, back to the oldest measurement."""
        if not bin_hours > 0:
            raise ValueError(f"a bin is longer than 0 hours, not {bin_hours:g}")
        codes = tuple(sorted({one.code for one in self.measurements}))
        back = [int(one.hours // bin_hours) for one in self.measurements]
        bins = max(back, default=-1) + 1
        scores = np.zeros((len(codes), bins))
        rows = [codes.index(one.code) for one in self.measurements]
        np.add.at(scores, (rows, [bins - 1 - one for one in back]), [one.score for one in self.measurements])
        return ChannelGrid(codes, bin_hours * np.arange(bins, -1, -1.0), scores)


class WordScore(NamedTuple):
    """A word (or sentence) of a note, and its character range."""

    text: str
    section: str
    note: int  # of the notes in reading order
    start: int
    end: int
    score: float
    denied: bool = False  # by its sentence, as in `no effusion`; see `features.note.negation`

    @property
    def negates(self) -> bool:
        """Whether it is a cue of negation, such as `no` or `without`."""
        return is_cue(self.text)


class SectionScore(NamedTuple):
    """The sum of the scores of one section."""

    section: str
    score: float


@dataclass(frozen=True, eq=False)
class NoteAttribution(Frozen):
    """Scores of the words of all notes, in reading order, or of sentences for methods that do not resolve words."""

    words: tuple[WordScore, ...]
    marks: float = 0.0  # of punctuation and the special tokens of sentences
    sentences: tuple[WordScore, ...] = ()  # if there are no words

    @property
    def total(self) -> float:
        """The sum of the scores, including marks."""
        return float(sum(one.score for one in (*self.words, *self.sentences)) + self.marks)

    @property
    def by_section(self) -> tuple[SectionScore, ...]:
        """The sections, largest scores first."""
        scores = _added((one.section, one.score) for one in (*self.words, *self.sentences))
        return tuple(SectionScore(*one) for one in scores)

    def by_name(self) -> Iterator[dict[str, float]]:
        """Return the score of each word (or sentence), named with its section and place."""
        yield {f"{one.section} {one.start}: {one.text}": one.score for one in (*self.words, *self.sentences)}

    @property
    def denied(self) -> tuple[WordScore, ...]:
        """The words that are denied."""
        return tuple(word for word in self.words if word.denied)

    @property
    def negations(self) -> tuple[WordScore, ...]:
        """The cues of negation among the words."""
        return tuple(word for word in self.words if word.negates)


BLOCKS = 7
"""Parts of a picture along each side, of which `blocks` adds the scores up."""


@dataclass(frozen=True)
class Canvas:
    """Placement of an image on the square input of the network; coordinates are of pixel centres."""

    side: int  # of the square, in its pixels
    placement: Placement  # of the whole image on it
    width: int  # of the image, in its pixels
    height: int

    @property
    def pixels_per_cell(self) -> tuple[float, float]:
        """Image pixels per canvas pixel, across and down."""
        return self.width / self.placement.width, self.height / self.placement.height

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """Map a point of the canvas to the image; outside it on the border of the canvas."""
        across, down = self.pixels_per_cell
        return (x + 0.5 - self.placement.left) * across - 0.5, (y + 0.5 - self.placement.top) * down - 0.5

    def to_canvas(self, x: float, y: float) -> tuple[float, float]:
        """Map a point of the image to the canvas: the inverse of `to_picture`."""
        across, down = self.pixels_per_cell
        return (x + 0.5) / across + self.placement.left - 0.5, (y + 0.5) / down + self.placement.top - 0.5


@dataclass(frozen=True, eq=False)
class PictureAttribution(Frozen):
    """Scores of the pixels of one image."""

    blob: str  # name of the image file
    view: str  # such as `CR//PA`
    scores: Float[np.ndarray, "side side"]  # float32, on the canvas
    canvas: Canvas

    @property
    def total(self) -> float:
        """The sum of the scores."""
        return float(self.scores.sum(dtype=np.float64))

    def on_picture(self) -> Float[np.ndarray, "height width"]:
        """Return the scores at the image's size, float32, by nearest neighbour."""
        left, top, width, height = self.canvas.placement
        across, down = self.canvas.pixels_per_cell
        columns = left + ((np.arange(self.canvas.width) + 0.5) / across).astype(np.int64).clip(max=width - 1)
        rows = top + ((np.arange(self.canvas.height) + 0.5) / down).astype(np.int64).clip(max=height - 1)
        full: np.ndarray = self.scores[np.ix_(rows, columns)]
        return full

    def blocks(self) -> dict[str, float]:
        """Return the sums of the scores of `BLOCKS` × `BLOCKS` parts of the canvas."""
        rows = enumerate(np.array_split(self.scores.astype(np.float64), BLOCKS), 1)
        cells = ((down, across, cell) for down, row in rows
                 for across, cell in enumerate(np.array_split(row, BLOCKS, axis=1), 1))  # fmt: skip
        return {f"picture row {down}, column {across}": float(cell.sum()) for down, across, cell in cells}


@dataclass(frozen=True, eq=False)
class ImageAttribution(Frozen):
    """Of all pictures."""

    pictures: tuple[PictureAttribution, ...]

    @property
    def total(self) -> float:
        """The sum of the scores."""
        return sum(one.total for one in self.pictures)

    def by_name(self) -> Iterator[dict[str, float]]:
        """Return the scores of the blocks of each picture."""
        return (one.blocks() for one in self.pictures)


class Segment(NamedTuple):
    """A window of one lead."""

    lead: str
    start_ms: float  # from the beginning of the trace
    end_ms: float
    score: float


@dataclass(frozen=True, eq=False)
class EcgAttribution(Frozen):
    """Of the samples of one electrocardiogram."""

    blob: str  # name of the recording's content
    hours: float  # before the prediction time; NaN: not known
    sampling_hz: float
    leads: tuple[str, ...]  # those recorded or derived
    trace: Float[np.ndarray, "lead time"]  # mV; NaN where nothing was recorded
    scores: Float[np.ndarray, "lead time"]  # 0 where nothing was recorded

    @property
    def total(self) -> float:
        """The sum of the scores."""
        return float(self.scores.sum(dtype=np.float64))

    @property
    def by_lead(self) -> tuple[CodeScore, ...]:
        """The leads, the largest score in size first."""
        return _added(zip(self.leads, self.scores.sum(axis=1, dtype=np.float64).tolist(), strict=True))

    def windows(self, window_ms: float = 200) -> Float[np.ndarray, "lead window"]:
        """Sum the scores by windows of `window_ms`; raises ValueError for one shorter than a sample."""
        samples = round(window_ms * self.sampling_hz / 1000)
        if samples < 1:
            raise ValueError(f"a window is at least one sample of {1000 / self.sampling_hz:g} ms, not {window_ms:g} ms")
        starts = np.arange(0, self.scores.shape[1], samples)
        return np.add.reduceat(self.scores.astype(np.float64), starts, axis=1)

    def segments(self, window_ms: float = 200) -> tuple[Segment, ...]:
        """List the windows with a score, the largest in size first."""
        sums = self.windows(window_ms)
        width = round(window_ms * self.sampling_hz / 1000) * 1000 / self.sampling_hz
        last = self.scores.shape[1] * 1000 / self.sampling_hz
        order = np.argsort(-np.abs(sums), axis=None, kind="stable")
        places = [divmod(int(place), sums.shape[1]) for place in order if sums.flat[place] != 0]
        return tuple(
            Segment(self.leads[lead], window * width, min((window + 1) * width, last), float(sums[lead, window]))
            for lead, window in places
        )


@dataclass(frozen=True, eq=False)
class WaveformAttribution(Frozen):
    """Of all recordings, the newest first."""

    recordings: tuple[EcgAttribution, ...]

    @property
    def total(self) -> float:
        """The sum of the scores."""
        return sum(one.total for one in self.recordings)

    def by_name(self) -> Iterator[dict[str, float]]:
        """Return the scores of the segments of each recording, named with lead and milliseconds."""
        for one in self.recordings:
            yield {f"{segment.lead} {segment.start_ms:.0f} ms": segment.score for segment in one.segments()}


class ColumnScore(NamedTuple):
    """A column of the classical members that stands for a whole input, such as a term or a component of an image."""

    modality: str
    name: str
    value: float  # NaN: unknown
    score: float


@dataclass(frozen=True)
class Completeness:
    """How far the scores sum to F(x) − F(x′) (completeness, axiom 1 of Sundararajan 2017)."""

    value: float  # F(x): the explained logit
    reference: float  # F(x′): the logit at the baseline
    total: float  # sum of all scores
    steps: int  # number of gradients along the path
    unevenness: float = 0.0  # sum over the intervals of |residual|, which may cancel in the total

    @property
    def difference(self) -> float:
        """F(x) − F(x′)."""
        return self.value - self.reference

    @property
    def residual(self) -> float:
        """Σ scores − (F(x) − F(x′))."""
        return self.total - self.difference

    @property
    def gap(self) -> float:
        """|residual| / |F(x) − F(x′)|; infinite if only the denominator is 0."""
        if self.residual == 0:
            return 0.0
        return abs(self.residual) / abs(self.difference) if self.difference else float("inf")


@dataclass(frozen=True, eq=False)
class Attribution(Frozen):
    """The attribution of one output, by modality; absent modalities are not among the parts."""

    subject_id: int
    prediction_time: datetime
    task: str
    output: str
    method: str  # such as `integrated_gradients`
    baseline: str | None  # usual, zero, blurred or mean; None: the method has none
    completeness: Completeness | None  # None: not defined for the method
    parts: Mapping[str, ModalityAttribution] = field(default_factory=dict)
    columns: tuple[ColumnScore, ...] = ()  # of the whole answer: what has no place in the parts, largest scores first
    members: Mapping[str, float] = field(default_factory=dict)  # of the whole answer: the sum of each member's scores

    def __getitem__(self, modality: str) -> Any:
        return self.parts[modality]

    def get(self, modality: str) -> Any:
        """Return the scores of a modality, such as `NoteAttribution`; None if the sample lacks it."""
        return self.parts.get(modality)

    @property
    def pictures(self) -> tuple[PictureAttribution, ...]:
        """The maps of all pictures."""
        image: ImageAttribution | None = self.get("image")
        return () if image is None else image.pictures

    def with_pictures(self, pictures: tuple[PictureAttribution, ...]) -> Attribution:
        """Return the same scores with other maps of the pictures."""
        return replace(self, parts={**self.parts, "image": ImageAttribution(pictures)}) if pictures else self

    @property
    def by_modality(self) -> dict[str, float]:
        """The sum of the scores of each modality that is there."""
        sums = {name: part.total for name, part in self.parts.items()}
        for column in self.columns:
            sums[column.modality] = sums.get(column.modality, 0.0) + column.score
        return sums

    @property
    def total(self) -> float:
        """The sum of all scores."""
        return sum(self.by_modality.values())


def _added(scores: Iterable[tuple[str, float]]) -> tuple[CodeScore, ...]:
    """Sum scores by name; largest absolute sums first, then by name."""
    sums: dict[str, float] = {}
    for name, score in scores:
        sums[name] = sums.get(name, 0.0) + score
    return tuple(CodeScore(*one) for one in sorted(sums.items(), key=lambda one: (-abs(one[1]), one[0])))
