"""Pictures: which regions of each speak for the answer, in pixels of the picture and in millimetres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import more, table_of
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.plot_style import styled
from polyclinic.explain.attribution import PictureAttribution
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import signed
from polyclinic.explain.display.summaries import START
from polyclinic.explain.localisation.coordinates import PixelSpacing, ninth_of, region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.operating_point import OperatingPoint
from polyclinic.explain.localisation.pixel_spacing import spacing_of
from polyclinic.explain.localisation.regions import Region
from polyclinic.explain.methods.saliency_maps import blurred
from polyclinic.explain.sample import Sample

MOST = 8
PLANES = {
    "patient": "in the patient, or calibrated",
    "detector": "in the plane of the detector; lengths in the patient are smaller, by the magnification",
}


@dataclass(frozen=True)
class Setting:
    """Of the dial from a map to its regions, and where it comes from."""

    sensitivity: float
    smoothing: float  # of the map, as a share of its side; 0: none
    reason: str

    @classmethod
    def of(cls, operating_point: OperatingPoint | None, method: str, asked: float | None) -> Setting:
        """Give what was asked for, or what the audit chose, if it chose for this method."""
        chosen = operating_point is not None and operating_point.method == method
        smoothing = operating_point.smoothing if operating_point is not None and chosen else 0.0
        if asked is not None:
            return cls(asked, smoothing, "as asked for")
        if operating_point is None:
            return cls(START, 0.0, "the middle; no audit has chosen one for this bundle")
        if not chosen:
            return cls(START, 0.0, f"the middle; the audit chose one for {operating_point.method} alone")
        found = f"finds {operating_point.recall} of the lesions there, "
        found += f"with {operating_point.false_regions} false regions per picture"
        return cls(
            operating_point.sensitivity, smoothing, f"chosen by the audit on {operating_point.chosen_on}: {found}"
        )


@dataclass(frozen=True)
class LocalisedImage:
    """One picture with its map, and the regions found in it."""

    found: PictureAttribution  # as shown: smoothed where the setting says so
    score: float  # of the whole picture
    spacing: PixelSpacing | None
    regions: tuple[Region, ...]
    film: bytes  # content of the picture's file

    @classmethod
    def of(cls, sample: Sample, found: PictureAttribution, setting: Setting) -> LocalisedImage:
        """Find the regions."""
        shown = blurred(found, setting.smoothing) if setting.smoothing else found
        spacing = spacing_of(sample, found.blob)
        steps = None if spacing is None else (spacing.mm, spacing.mm)
        placed = (region_in_picture(one, found.canvas, steps) for one in localise(shown.scores, setting.sensitivity))
        regions = tuple(one for one in placed if one is not None)
        film = sample.blobs(found.blob).read_bytes()
        return cls(shown, found.total, spacing, regions, film)


@dataclass(frozen=True)
class ImagePart:
    """The pictures of a sample, each with its own map."""

    pictures: Sequence[LocalisedImage]
    setting: Setting
    scale: str  # of the scores; empty where they are shares

    @classmethod
    def of(cls, sample: Sample, found: Sequence[PictureAttribution], setting: Setting, scale: str) -> ImagePart:
        """Find the regions of each picture."""
        return cls([LocalisedImage.of(sample, one, setting) for one in found], setting, scale)

    def lines(self) -> Iterator[RenderableType]:
        """Give a table of regions for each picture."""
        blurred = (
            f", on maps smoothed by {percent(self.setting.smoothing)} of their side" if self.setting.smoothing else ""
        )
        yield f"sensitivity {self.setting.sensitivity:g}{blurred}: {self.setting.reason}"
        for place, one in enumerate(self.pictures, 1):
            yield Text()
            yield from self._picture(place, one)

    def to_dict(self) -> dict[str, Any]:
        """Give every region of each picture, its mask included."""
        return {
            "sensitivity": self.setting.sensitivity,
            "sensitivity_is": self.setting.reason,
            "smoothing": self.setting.smoothing,
            "pictures": [
                {
                    "blob": one.found.blob,
                    "view": one.found.view,
                    "width": one.found.canvas.width,
                    "height": one.found.canvas.height,
                    "spacing": one.spacing._asdict() if one.spacing else None,
                    "score": one.score,
                    "regions": [region.to_dict() for region in one.regions],
                }
                for one in self.pictures
            ],
        }

    def draw(self) -> Figure:
        """Draw each picture with its map and circles, side by side."""
        from matplotlib import pyplot

        ratios = [one.found.canvas.width / one.found.canvas.height for one in self.pictures]
        with styled():
            figure, axes = pyplot.subplots(
                1, len(ratios), figsize=(5 * sum(ratios), 5.3), width_ratios=ratios, squeeze=False
            )
        for one, place in zip(self.pictures, axes[0], strict=True):
            sensitivity = self.setting.sensitivity
            plots.heat_map(one.found, one.regions[:MOST], one.film, sensitivity=sensitivity, axes=place)
        return figure

    @property
    def legend(self) -> str:
        """What the marks of the plot mean."""
        return f"amber: for; blue: against; circles: regions at sensitivity {self.setting.sensitivity:g}"

    def _picture(self, place: int, one: LocalisedImage) -> Iterator[RenderableType]:
        canvas = one.found.canvas
        yield Text.assemble(
            (f"picture {place} of {len(self.pictures)}, {one.found.view.replace('//', ' ')}", "bold"),
            f": {canvas.width} × {canvas.height} pixels{self._adds(one)}",
        )
        if one.spacing is not None:
            yield f"one pixel is {one.spacing.mm:.3g} mm {PLANES[one.spacing.measured]}"
        else:
            yield "millimetres are not known: no spacing is recorded with the picture"
        if not one.regions:
            yield "no region speaks for it"
            return
        numbers = (
            "x, y, radius (px)",
            *(["x, y, radius (mm)"] if one.spacing else []),
            "peak",
            "share of what speaks for it",
        )
        table = table_of(("", "where", *numbers), ("", *numbers))
        for rank, region in enumerate(one.regions[:MOST], 1):
            circles = [region.circle, *([region.circle_mm] if region.circle_mm else [])]
            told = [f"{x:.0f}, {y:.0f}, {radius:.0f}" for x, y, radius in (circle.xyr for circle in circles)]
            strength, share = percent(region.strength), percent(region.share, 1)
            table.add_row(str(rank), ninth_of(region, canvas), *told, strength, share)
        yield table
        if left := more(MOST, len(one.regions)):
            yield left

    def _adds(self, one: LocalisedImage) -> str:
        return f", adds {signed(one.score)} {self.scale}" if self.scale else ""
