"""View of images: regions of positive scores, in pixels of the image and in millimetres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import ViewContext, more, table_of
from polyclinic.cli.explain.reliability import audited
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.plot_style import styled
from polyclinic.explain.attribution import PictureAttribution
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import signed
from polyclinic.explain.display.summaries import START
from polyclinic.explain.localisation.coordinates import PixelSpacing, ninth_of, region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.operating_point import OperatingPoint, stored_operating_point
from polyclinic.explain.localisation.pixel_spacing import spacing_of
from polyclinic.explain.localisation.regions import Region
from polyclinic.explain.methods.saliency_maps import blurred
from polyclinic.explain.sample import Sample

MOST = 8
PLANES = {
    "patient": "in the patient, or calibrated",
    "detector": "in the plane of the detector; the magnification makes lengths in the patient smaller",
}


@dataclass(frozen=True)
class Setting:
    """Sensitivity and smoothing that turn a map into regions, and their origin."""

    sensitivity: float
    smoothing: float  # as a share of the map's side; 0: none
    reason: str

    @classmethod
    def of(cls, operating_point: OperatingPoint | None, method: str, requested: float | None) -> Setting:
        """Return the requested sensitivity, or the one an audit chose for this method."""
        chosen = operating_point is not None and operating_point.method == method
        smoothing = operating_point.smoothing if operating_point is not None and chosen else 0.0
        if requested is not None:
            return cls(requested, smoothing, "as requested")
        if operating_point is None:
            return cls(START, 0.0, "default; no audit has chosen one for this bundle")
        if not chosen:
            return cls(START, 0.0, f"default; the audit chose one for {operating_point.method} only")
        found = f"finds {operating_point.recall} of the lesions there, "
        found += f"with {operating_point.false_regions} false regions per image"
        return cls(
            operating_point.sensitivity, smoothing, f"chosen by the audit on {operating_point.chosen_on}: {found}"
        )


@dataclass(frozen=True)
class LocalisedImage:
    """One image with its map and regions."""

    attribution: PictureAttribution  # smoothed by the setting
    score: float  # of the whole image
    spacing: PixelSpacing | None
    regions: tuple[Region, ...]
    content: bytes  # of the image's file

    @classmethod
    def of(cls, sample: Sample, picture: PictureAttribution, setting: Setting) -> LocalisedImage:
        """Find the regions."""
        shown = blurred(picture, setting.smoothing) if setting.smoothing else picture
        spacing = spacing_of(sample, picture.blob)
        steps = None if spacing is None else (spacing.mm, spacing.mm)
        found = localise(shown.scores, setting.sensitivity)
        placed = (region_in_picture(region, picture.canvas, steps) for region in found)
        regions = tuple(region for region in placed if region is not None)
        return cls(shown, picture.total, spacing, regions, sample.blobs(picture.blob).read_bytes())


@dataclass(frozen=True)
class ImagePart:
    """The images of a sample, each with its own map."""

    images: Sequence[LocalisedImage]
    setting: Setting
    scale: str  # of the scores; empty if they are shares

    @classmethod
    def of(cls, sample: Sample, pictures: Sequence[PictureAttribution], setting: Setting, scale: str) -> ImagePart:
        """Find the regions of each image."""
        return cls([LocalisedImage.of(sample, picture, setting) for picture in pictures], setting, scale)

    def lines(self) -> Iterator[RenderableType]:
        """Yield a table of regions per image."""
        blurred = (
            f", on maps smoothed by {percent(self.setting.smoothing)} of their side" if self.setting.smoothing else ""
        )
        yield f"sensitivity {self.setting.sensitivity:g}{blurred}: {self.setting.reason}"
        for place, image in enumerate(self.images, 1):
            yield Text()
            yield from self._image(place, image)

    def to_dict(self) -> dict[str, Any]:
        """Return every region of each image, with its mask."""
        return {
            "sensitivity": self.setting.sensitivity,
            "sensitivity_is": self.setting.reason,
            "smoothing": self.setting.smoothing,
            "pictures": [
                {
                    "blob": image.attribution.blob,
                    "view": image.attribution.view,
                    "width": image.attribution.canvas.width,
                    "height": image.attribution.canvas.height,
                    "spacing": image.spacing._asdict() if image.spacing else None,
                    "score": image.score,
                    "regions": [region.to_dict() for region in image.regions],
                }
                for image in self.images
            ],
        }

    def draw(self) -> Figure:
        """Draw the images side by side, with maps and circles."""
        from matplotlib import pyplot

        ratios = [image.attribution.canvas.width / image.attribution.canvas.height for image in self.images]
        with styled():
            figure, axes = pyplot.subplots(
                1, len(ratios), figsize=(5 * sum(ratios), 5.3), width_ratios=ratios, squeeze=False
            )
        for image, place in zip(self.images, axes[0], strict=True):
            sensitivity = self.setting.sensitivity
            plots.heat_map(image.attribution, image.regions[:MOST], image.content, sensitivity=sensitivity, axes=place)
        return figure

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return f"amber: for; blue: against; circles: regions at sensitivity {self.setting.sensitivity:g}"

    def _image(self, place: int, image: LocalisedImage) -> Iterator[RenderableType]:
        canvas = image.attribution.canvas
        yield Text.assemble(
            (f"image {place} of {len(self.images)}, {image.attribution.view.replace('//', ' ')}", "bold"),
            f": {canvas.width} × {canvas.height} pixels{self._adds(image)}",
        )
        if image.spacing is not None:
            yield f"one pixel is {image.spacing.mm:.3g} mm {PLANES[image.spacing.measured]}"
        else:
            yield "millimetres are not known: no spacing is recorded with the image"
        if not image.regions:
            yield "no region of positive scores"
            return
        numbers = (
            "x, y, radius (px)",
            *(["x, y, radius (mm)"] if image.spacing else []),
            "peak",
            "share of positive scores",
        )
        table = table_of(("", "where", *numbers), ("", *numbers))
        for rank, region in enumerate(image.regions[:MOST], 1):
            circles = [region.circle, *([region.circle_mm] if region.circle_mm else [])]
            cells = [f"{x:.0f}, {y:.0f}, {radius:.0f}" for x, y, radius in (circle.xyr for circle in circles)]
            strength, share = percent(region.strength), percent(region.share, 1)
            table.add_row(str(rank), ninth_of(region, canvas), *cells, strength, share)
        yield table
        if rest := more(MOST, len(image.regions)):
            yield rest

    def _adds(self, image: LocalisedImage) -> str:
        return f", adds {signed(image.score)} {self.scale}" if self.scale else ""


def view(context: ViewContext) -> ImagePart:
    """Return the view of the images, with the regions at the sensitivity asked for, or that an audit chose."""
    operating_point = stored_operating_point(context.bundle) if audited(context.bundle, context.found) else None
    setting = Setting.of(operating_point, context.found.method, context.sensitivity)
    return ImagePart.of(
        context.sample, context.found.pictures, setting, context.scale if context.found.completeness else ""
    )
