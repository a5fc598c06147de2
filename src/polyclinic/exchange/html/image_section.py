"""Section of an image with its heat map and circles, adjustable by the page's script; fixed on paper and without it.

The map is sent as one signed byte per cell of the network's canvas and drawn by the script. The circles of every
sensitivity are computed here, by `explain.localisation`, so that the page agrees with the other reports.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from math import isclose, sqrt
from typing import NamedTuple

import numpy as np
from PIL import Image

from polyclinic.assess import MapSetting
from polyclinic.exchange.html.sections import Context
from polyclinic.explain.attribution import Canvas, PictureAttribution
from polyclinic.explain.display.labels import writer
from polyclinic.explain.display.summaries import AMBER, START, strength_of, tint
from polyclinic.explain.localisation.coordinates import ninth_of, region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.regions import Region
from polyclinic.features.image.preprocessing import FORMATS
from polyclinic.html import Markup, render

STOPS = 21
LONGER_SIDE = 1024
"""Of the copy, in pixels."""
CIRCLES = 12
"""Circles drawn at one stop, the strongest."""
LISTED = 5
TAGS_PER_SIDE = 36
"""Height of the circles' numbers, as a fraction of the longer side."""
JPEG_QUALITY = 88
OPACITY = 0.6
SAME = 0.02
"""Tolerance between the map's sum and the image's score; beyond it the map shows locations, not amounts."""
CANCELS = 0.1
"""Share of the positive scores below which their sum with the negative ones is little more than noise."""


class Stop(NamedTuple):
    """One stop of the sensitivity slider, and the image's regions there, the strongest first."""

    sensitivity: float
    regions: tuple[Region, ...]


class Tag(NamedTuple):
    """The number of a region, on a disc at the upper right of its circle."""

    rank: int
    x: float
    y: float


def stops_of(picture: PictureAttribution, start: float = START, stops: int = STOPS) -> tuple[Stop, ...]:
    """Return the regions of each stop, in pixels of the image; the stop nearest to `start` lies exactly at it."""
    found = []
    for place in range(stops):
        sensitivity = start if place == _nearest(start, stops) else place / (stops - 1)
        regions = (region_in_picture(region, picture.canvas) for region in localise(picture.scores, sensitivity))
        found.append(Stop(sensitivity, tuple(region for region in regions if region is not None)))
    return tuple(found)


def _nearest(start: float, stops: int) -> int:
    return round(start * (stops - 1))


def image_section(
    picture: PictureAttribution,
    content: bytes,
    shared: str,
    key: str,
    setting: MapSetting | None = None,
    score: float | None = None,
    scale: str = "log-odds",
) -> Markup:
    """Return the section of one image.

    Args:
        picture: the image's attribution.
        content: of the image's file.
        shared: id of the copy from `shared_image` on the page.
        key: makes the ids of this section unique.
        setting: of the map, with the initial sensitivity.
        score: of the image; None: the map's sum.
        scale: of the scores.
    """
    start = START if setting is None else setting.sensitivity
    stops = stops_of(picture, start)
    first = _nearest(start, len(stops))
    image, canvas = _grey_copy(content), picture.canvas
    tag_height = max(canvas.width, canvas.height) / TAGS_PER_SIDE
    return render(
        "exchange/html/image_section.html",
        view=picture.view.replace("//", " "),
        image=image,
        shared=shared,
        key=key,
        canvas=canvas,
        map_bytes=_map_bytes(picture),
        still=_data_url(_overlay(picture, image, stops[first].sensitivity)),
        stops=stops,
        tags=[_tags(stop, canvas, tag_height) for stop in stops],
        tag_height=tag_height,
        circles=CIRCLES,
        listed=LISTED,
        first=first,
        start=start,
        opacity=f"{100 * OPACITY:.0f}",
        ninth_of=ninth_of,
        percent=_percent,
        contribution=_contribution(picture, score, scale),
        setting=setting,
    )


def sections(context: Context) -> Iterator[Markup]:
    """Yield one section per image whose file is among the evidence."""
    explanation, evidence = context.answer.explanation, context.evidence
    kept = {picture.blob: picture.score for picture in explanation.pictures} if explanation else {}
    for rank, picture in enumerate(evidence.attribution.pictures):
        if picture.blob in evidence.images:
            yield image_section(
                picture,
                evidence.images[picture.blob],
                context.images[picture.blob],
                f"{context.place}-{rank}",
                explanation.map if explanation else None,
                kept.get(picture.blob),
                context.answer.scale,
            )


def shared_image(content: bytes, name: str) -> Markup:
    """Return a hidden copy of an image with the id `name`, which sections refer to, so that it is sent once."""
    image = _grey_copy(content)
    return render("exchange/html/shared_image.html", name=name, image=image, url=_data_url(image))


def _contribution(picture: PictureAttribution, score: float | None, scale: str) -> str:
    """Describe the image's contribution, split into positive and negative scores if the map sums to it."""
    total = picture.total if score is None else score
    write = writer([total])
    if score is not None and not isclose(picture.total, score, rel_tol=SAME, abs_tol=SAME):
        return f"The image adds {write(total)} {scale}."
    positive = float(picture.scores[picture.scores > 0].sum(dtype=np.float64))
    negative = float(picture.scores[picture.scores < 0].sum(dtype=np.float64))
    text = f"The image adds {write(total)} {scale}: {write(positive)} and {write(negative)}."
    if abs(total) < CANCELS * positive:
        text += " These nearly cancel, so their locations mean little."
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def _tags(stop: Stop, canvas: Canvas, height: float) -> list[Tag]:
    """Return the tags of the strongest regions, within the image, in drawing order: the strongest last."""
    tags = []
    for rank, region in enumerate(stop.regions[:LISTED], 1):
        x, y, radius = region.circle.xyr
        offset = (radius + 0.5 * height) / sqrt(2)
        x = min(max(x + offset, height), canvas.width - height)
        y = min(max(y - offset, height), canvas.height - height)
        tags.append(Tag(rank, x, y))
    return tags[::-1]


def _map_bytes(picture: PictureAttribution) -> str:
    """Return the map as base64, one signed byte per cell, row by row."""
    return b64encode(np.round(127 * strength_of(picture)).astype(np.int8).tobytes()).decode("ascii")


def _grey_copy(content: bytes) -> Image.Image:
    """Return a reduced 8-bit grey copy of an image of 8 or 16 bits, or of floating point in [0, 1]."""
    with Image.open(BytesIO(content), formats=FORMATS) as opened:
        white = 1.0 if opened.mode == "F" else 65535.0 if opened.mode.startswith("I") else 255.0
        pixels = np.asarray(opened.convert("L" if white == 255.0 else "F"))
    grey = Image.fromarray((pixels * (255 / white)).clip(0, 255).round().astype(np.uint8))
    grey.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    return grey


def _overlay(picture: PictureAttribution, image: Image.Image, sensitivity: float) -> Image.Image:
    """Blend the map into the image: not every PDF reader supports transparency."""
    heat_map = Image.fromarray(tint(np.maximum(strength_of(picture), 0), sensitivity))
    *_, opacity = heat_map.resize(image.size, Image.Resampling.BILINEAR).split()
    amber = Image.new("RGB", image.size, AMBER)
    return Image.composite(amber, image.convert("RGB"), opacity.point(lambda value: round(OPACITY * value)))


def _data_url(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
