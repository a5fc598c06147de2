"""View of electrocardiograms: contributions by lead, and the segments with the largest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType

from polyclinic.cli.explain.formatting import ViewContext, bar, more, table_of
from polyclinic.explain.attribution import EcgAttribution, WaveformAttribution
from polyclinic.explain.display.ecg import ecg
from polyclinic.explain.display.labels import writer

MOST_SEGMENTS = 10


@dataclass(frozen=True)
class WaveformPart:
    """The recordings with their scores, the newest first."""

    found: WaveformAttribution
    scale: str  # of the scores

    def lines(self) -> Iterator[RenderableType]:
        """Yield the tables of each recording."""
        for place, recording in enumerate(self.found.recordings, 1):
            when = "at an unknown time" if isnan(recording.hours) else f"{recording.hours:.1f} h before the prediction"
            yield f"electrocardiogram {place} of {len(self.found.recordings)}, {when}"
            yield from self._leads(recording)
            yield from self._segments(recording)

    def _leads(self, recording: EcgAttribution) -> Iterator[RenderableType]:
        write = writer([recording.total, *(score for _, score in recording.by_lead)])
        largest = max((abs(score) for _, score in recording.by_lead), default=0.0)
        table = table_of(("lead", self.scale, "against │ for"), (self.scale,))
        for lead, score in recording.by_lead:
            table.add_row(lead, write(score), bar(score, largest))
        table.add_section()
        table.add_row("total", write(recording.total))
        yield table

    def _segments(self, recording: EcgAttribution) -> Iterator[RenderableType]:
        segments = recording.segments()
        shown = segments[:MOST_SEGMENTS]
        write, largest = writer(row.score for row in shown), max((abs(row.score) for row in shown), default=0.0)
        table = table_of(("largest segments", "ms", self.scale, "against │ for"), ("ms", self.scale))
        for row in shown:
            table.add_row(row.lead, f"{row.start_ms:.0f}–{row.end_ms:.0f}", write(row.score), bar(row.score, largest))
        yield table
        if rest := more(len(shown), len(segments)):
            yield rest

    def to_dict(self) -> dict[str, Any]:
        """Return the scores of every segment, the largest first."""
        return {
            "score": self.found.total,
            "recordings": [
                {
                    "blob": recording.blob,
                    "hours": None if isnan(recording.hours) else recording.hours,
                    "score": recording.total,
                    "leads": [lead._asdict() for lead in recording.by_lead],
                    "segments": [segment._asdict() for segment in recording.segments()],
                }
                for recording in self.found.recordings
            ],
        }

    def draw(self) -> Figure:
        """Draw the newest recording."""
        return ecg(self.found.recordings[0]).figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return "shaded: for; hatched: against; the newest recording"


def view(context: ViewContext) -> WaveformPart:
    """Return the view of electrocardiograms."""
    return WaveformPart(context.found["waveform"], context.scale)
