"""Which scores of each modality an assessment keeps, and how an attribution is rebuilt from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from polyclinic.assess.explanation import (
    Explanation,
    FeatureScore,
    MapSetting,
    MeasurementScore,
    PictureRegions,
    RecordingScores,
    SegmentScore,
    WordScore,
)
from polyclinic.explain import attribution as full
from polyclinic.explain.attribution import (
    EcgAttribution,
    ImageAttribution,
    ModalityAttribution,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WaveformAttribution,
)
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.pixel_spacing import spacing_of
from polyclinic.explain.sample import Sample

MOST_FEATURES, MOST_MEASUREMENTS, MOST_SEGMENTS = 12, 24, 12


@dataclass(frozen=True, eq=False)
class Displayed:
    """What is displayed of an attribution: the sample, and its images' maps with their setting."""

    sample: Sample
    pictures: tuple[PictureAttribution, ...]
    setting: MapSetting


class KeptScores(Protocol):
    """The part of an `Explanation` that holds the scores of one modality."""

    def keep(self, part: Any, displayed: Displayed) -> dict[str, Any]:
        """Return the fields of `Explanation` made of an attribution, the largest scores first."""
        ...

    def restore(self, explanation: Explanation) -> ModalityAttribution | None:
        """Return what those fields hold as an attribution; None if it cannot be displayed, or there is none."""
        ...


class StructuredScores(KeptScores):
    """Of the structured record: the largest `MOST_FEATURES`."""

    def keep(self, part: StructuredAttribution, displayed: Displayed) -> dict[str, Any]:  # noqa: ARG002
        """Return `features`."""
        return {"features": _features(part)}

    def restore(self, explanation: Explanation) -> StructuredAttribution | None:
        """Return the features kept."""
        rows = explanation.features
        if not rows:
            return None
        values = [np.nan if row.value is None else row.value for row in rows]
        return StructuredAttribution(
            tuple(row.name for row in rows),
            tuple(row.code for row in rows),
            np.array(values, dtype=np.float64),
            np.array([row.score for row in rows]),
        )


class SeriesScores(KeptScores):
    """Of series: the largest `MOST_MEASUREMENTS`."""

    def keep(self, part: SeriesAttribution, displayed: Displayed) -> dict[str, Any]:  # noqa: ARG002
        """Return `measurements`."""
        return {"measurements": _measurements(part)}

    def restore(self, explanation: Explanation) -> SeriesAttribution | None:
        """Return the measurements kept."""
        rows = sorted(explanation.measurements, key=lambda row: (-row.hours, row.code))
        kept = tuple(full.Measurement(row.code, row.hours, row.value, row.score) for row in rows)
        return SeriesAttribution(kept) if kept else None


class NoteScores(KeptScores):
    """Of notes: all words."""

    def keep(self, part: NoteAttribution, displayed: Displayed) -> dict[str, Any]:  # noqa: ARG002
        """Return `words`."""
        return {"words": _words(part)}

    def restore(self, explanation: Explanation) -> NoteAttribution | None:
        """Return the words."""
        words = tuple(full.WordScore(**word.model_dump(exclude={"negates"})) for word in explanation.words)
        return NoteAttribution(words) if words else None


class ImageScores(KeptScores):
    """Of images: the regions of the displayed maps; the scores are those of the attribution."""

    def keep(self, part: ImageAttribution, displayed: Displayed) -> dict[str, Any]:
        """Return `map` and `pictures`."""
        pairs, setting = zip(part.pictures, displayed.pictures, strict=True), displayed.setting
        pictures = (_picture(displayed.sample, map_, score.total, setting.sensitivity) for score, map_ in pairs)
        return {"map": setting, "pictures": tuple(pictures)}

    def restore(self, explanation: Explanation) -> None:  # noqa: ARG002
        """Return None: regions are no map."""
        return


class WaveformScores(KeptScores):
    """Of electrocardiograms: the largest `MOST_SEGMENTS` segments of each."""

    def keep(self, part: WaveformAttribution, displayed: Displayed) -> dict[str, Any]:  # noqa: ARG002
        """Return `recordings`."""
        return {"recordings": tuple(_recording(recording) for recording in part.recordings)}

    def restore(self, explanation: Explanation) -> None:  # noqa: ARG002
        """Return None: segments are no trace."""
        return


def _recording(recording: EcgAttribution) -> RecordingScores:
    return RecordingScores(
        blob=recording.blob,
        hours=None if np.isnan(recording.hours) else recording.hours,
        leads=recording.leads,
        score=recording.total,
        segments=tuple(SegmentScore(**segment._asdict()) for segment in recording.segments()[:MOST_SEGMENTS]),
    )


def _features(attribution: StructuredAttribution) -> tuple[FeatureScore, ...]:
    order = np.argsort(-np.abs(attribution.scores), kind="stable")[:MOST_FEATURES].tolist()
    return tuple(
        FeatureScore(
            name=attribution.names[k],
            code=attribution.codes[k],
            value=None if np.isnan(attribution.values[k]) else float(attribution.values[k]),
            score=float(attribution.scores[k]),
        )
        for k in order
        if attribution.scores[k]
    )


def _measurements(attribution: SeriesAttribution) -> tuple[MeasurementScore, ...]:
    order = sorted(attribution.measurements, key=lambda m: -abs(m.score))[:MOST_MEASUREMENTS]
    return tuple(MeasurementScore(**m._asdict()) for m in order if m.score)


def _words(attribution: NoteAttribution) -> tuple[WordScore, ...]:
    return tuple(WordScore(**word._asdict(), negates=word.negates) for word in attribution.words)


def _picture(sample: Sample, attribution: PictureAttribution, score: float, sensitivity: float) -> PictureRegions:
    spacing = spacing_of(sample, attribution.blob)
    mm = None if spacing is None else (spacing.mm, spacing.mm)
    regions = (
        region_in_picture(region, attribution.canvas, mm) for region in localise(attribution.scores, sensitivity)
    )
    return PictureRegions(
        blob=attribution.blob,
        view=attribution.view,
        width=attribution.canvas.width,
        height=attribution.canvas.height,
        score=score,
        sensitivity=sensitivity,
        spacing=None if spacing is None else spacing.measured,
        regions=tuple(region for region in regions if region is not None),
    )


STRUCTURED, SERIES, NOTE, IMAGE = StructuredScores(), SeriesScores(), NoteScores(), ImageScores()
WAVEFORM = WaveformScores()
