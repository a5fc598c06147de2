"""What an answer rests on, as an assessment keeps it: the weightiest scores, the words, the regions of pictures.

Whole attributions, with a score for each pixel, come from `polyclinic.explain`.
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
    """What one modality adds to the answer, in its unit: its exact Shapley value."""

    modality: str
    share: float


class FeatureScore(Part):
    """A structured feature, its value in the record's own unit, and its score."""

    name: str
    code: str
    value: float | None
    score: float


class MeasurementScore(Part):
    """A measurement of a series, so many hours before the prediction time, and its score."""

    code: str
    hours: float
    value: float
    score: float


class WordScore(Part):
    """A word of a note, from which character to which it stands, and its score."""

    text: str
    section: str
    note: int  # of the notes in reading order
    start: int
    end: int
    score: float
    negates: bool  # a cue of negation, such as `no`
    denied: bool = False  # by its sentence, as in `no effusion`


class Trust(Part):
    """Whether the method of an explanation passed the audit's check of random weights."""

    verdict: Literal["passed", "failed", "not_audited"]
    reason: str = ""


class MapSetting(Part):
    """On which map regions were looked for, and with which setting of the dial."""

    method: str
    smoothing: float  # of the map, as a share of its side; 0: none
    sensitivity: float  # of the dial, see `polyclinic.explain.localisation.localisation`
    chosen_on: str | None  # the split on whose known lesions an audit chose all three; None: nobody chose them
    recall: Estimate | None = None  # of the lesions there
    false_regions: Estimate | None = None  # a picture there
    trust: Trust = Trust(verdict="not_audited")  # in the method of the map


class PictureRegions(Part):
    """A picture, the sum of its pixels' scores, and where in it lies what speaks for the answer."""

    blob: str
    view: str
    width: int
    height: int
    score: float
    sensitivity: float  # of the dial, see `polyclinic.explain.localisation.localisation`
    spacing: Literal["patient", "detector"] | None = None  # where millimetres are measured; None: they are not known
    regions: tuple[Region, ...]  # in pixels of the picture, and millimetres where known


class Explanation(Part):
    """What one output rests on: modalities in the unit of the answer, all else in that of the networks' mean logit."""

    output: str
    without_inputs: float  # the answer if nothing were recorded; with the shares of the modalities, the answer
    modalities: tuple[ModalityShare, ...]
    method: str | None  # of the scores; None: the bundle has no network, and there are no scores
    baseline: str | None = None
    trust: Trust = Trust(verdict="not_audited")
    map: MapSetting | None = None  # None: there are no pictures
    gap: float | None = None  # how far the scores are from adding up, as a share; None: no measure of it
    features: tuple[FeatureScore, ...] = ()  # the weightiest
    measurements: tuple[MeasurementScore, ...] = ()  # the weightiest
    words: tuple[WordScore, ...] = ()  # all, in reading order
    pictures: tuple[PictureRegions, ...] = ()


class Outcome(Part):
    """What became of someone: the class, the labels, the number, yes or no; None where it was not observed."""

    task: str
    value: str | float | None


class InCommon(Part):
    """Something unusual that two patients have in common."""

    name: str
    mine: float
    theirs: float


class Similar(Part):
    """A patient whom the bundle learnt from and whom its networks place near."""

    subject_id: int
    prediction_time: datetime
    likeness: float  # cosine: 1 in the same direction from the middle, 0 unlike, -1 opposite
    outcomes: tuple[Outcome, ...]
    shares: tuple[InCommon, ...]
