"""Explanations as an assessment keeps them: the largest scores, the words, the regions of images.

Complete attributions, with a score for each pixel, come from `polyclinic.explain`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from polyclinic.evaluation import Estimate
from polyclinic.explain.localisation.regions import Region


class Part(BaseModel):
    """A frozen part of an assessment, of finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModalityShare(Part):
    """The exact Shapley value of one modality, in the unit of the answer."""

    modality: str
    share: float


class FeatureScore(Part):
    """A structured feature, its value in the unit of the record, and its score."""

    name: str
    code: str
    value: float | None
    score: float


class MeasurementScore(Part):
    """A measurement of a series, its time in hours before the prediction time, and its score."""

    code: str
    hours: float
    value: float
    score: float


class WordScore(Part):
    """A word of a note, its character range, and its score."""

    text: str
    section: str
    note: int  # of the notes in reading order
    start: int
    end: int
    score: float
    negates: bool  # a cue of negation, such as `no`
    denied: bool = False  # by its sentence, as in `no effusion`


class ColumnScore(Part):
    """A column of the classical members that stands for a whole input, such as a term of the notes, and its score."""

    modality: str
    name: str
    score: float


class MemberShare(Part):
    """The sum of the scores of one member of the ensemble."""

    member: str  # `network`, or the name of a classical member
    share: float


class SegmentScore(Part):
    """A window of one lead of an electrocardiogram, in milliseconds from its start, and its score."""

    lead: str
    start_ms: float
    end_ms: float
    score: float


class RecordingScores(Part):
    """An electrocardiogram, the sum of its scores, and its segments with the largest."""

    blob: str
    hours: float | None  # before the prediction time; None: not known
    leads: tuple[str, ...]  # recorded or derived
    score: float
    segments: tuple[SegmentScore, ...]


class Trust(Part):
    """Whether the method of an explanation passed the audit's check of random weights."""

    verdict: Literal["passed", "failed", "not_audited"]
    reason: str = ""


class MapSetting(Part):
    """The map on which regions were searched, and the sensitivity."""

    method: str
    smoothing: float  # standard deviation of the blur, as a share of the map's side; 0: none
    sensitivity: float  # see `polyclinic.explain.localisation.localisation`
    chosen_on: str | None  # the split on whose known lesions an audit chose all three; None: defaults
    recall: Estimate | None = None  # of lesions, on that split
    false_regions: Estimate | None = None  # per image, on that split
    trust: Trust = Trust(verdict="not_audited")  # of the map's method


class PictureRegions(Part):
    """An image, the sum of its pixels' scores, and the regions that support the answer."""

    blob: str
    view: str
    width: int
    height: int
    score: float
    sensitivity: float  # see `polyclinic.explain.localisation.localisation`
    spacing: Literal["patient", "detector"] | None = None  # plane of the millimetres; None: unknown
    regions: tuple[Region, ...]  # in pixels of the image, and millimetres where known


class Explanation(Part):
    """The explanation of one output: modalities in the unit of the answer, all else on its log-odds scale.

    The log-odds are those of the answer as it is shown, of all members; a regression has its own unit.
    """

    output: str
    without_inputs: float  # the answer without any input; plus the shares of the modalities, the answer
    modalities: tuple[ModalityShare, ...]
    method: str | None  # of the scores; None: no scores
    baseline: str | None = None
    trust: Trust = Trust(verdict="not_audited")
    map: MapSetting | None = None  # None: no images
    gap: float | None = None  # relative completeness gap of the scores; None: not defined
    features: tuple[FeatureScore, ...] = ()  # largest scores first
    measurements: tuple[MeasurementScore, ...] = ()  # largest scores first
    words: tuple[WordScore, ...] = ()  # all, in reading order
    pictures: tuple[PictureRegions, ...] = ()
    recordings: tuple[RecordingScores, ...] = ()  # newest first
    columns: tuple[ColumnScore, ...] = ()  # largest scores first
    members: tuple[MemberShare, ...] = ()  # all members with a weight


class Outcome(Part):
    """The observed outcome of a task: the class, labels, number, yes or no; None: not observed."""

    task: str
    value: str | float | None


class InCommon(Part):
    """An unusual value that two patients share."""

    name: str
    mine: float
    theirs: float


class Similar(Part):
    """A training patient near the sample in the networks' latent."""

    subject_id: int
    prediction_time: datetime
    likeness: float  # cosine similarity of standardised latents
    outcomes: tuple[Outcome, ...]
    shares: tuple[InCommon, ...]
