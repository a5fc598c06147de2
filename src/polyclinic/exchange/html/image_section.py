"""A picture with its heat map and circles: both can be dialled; without a script, and on paper, they stand still.

The map is sent as one signed byte for each cell of the network's canvas, and drawn by the page's script. The circles of
each stop of the dial are found here, by `explain.localisation`, so that the page shows what everyone else reports.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from math import isclose, sqrt
from typing import NamedTuple

import numpy as np
from PIL import Image

from polyclinic.assess import MapSetting
from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.markup import section
from polyclinic.explain.attribution import Canvas, PictureAttribution
from polyclinic.explain.display.labels import writer
from polyclinic.explain.display.summaries import AMBER, START, strength_of, tint
from polyclinic.explain.localisation.coordinates import ninth_of, region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.regions import Region
from polyclinic.features.image.preprocessing import FORMATS

STOPS = 21
SIDE = 1024
"""Pixels of the copy's longer side."""
MOST = 12
"""Circles drawn at one stop, the strongest."""
LISTED = 5
LETTERS = 36
"""Of the longer side: how many times the circles' numbers fit."""
QUALITY = 88
OPACITY = 0.6
SAME = 0.02
"""Of the score: a map that adds up to something else tells places, and no amounts for and against."""
CANCELS = 0.1
"""Of what speaks for the output: a picture that adds less than this is hardly more than noise."""


class Stop(NamedTuple):
    """One stop of the dial, and the regions of the picture there, the strongest first."""

    sensitivity: float
    regions: tuple[Region, ...]


def stops_of(picture: PictureAttribution, start: float = START, stops: int = STOPS) -> tuple[Stop, ...]:
    """Find the regions of each stop, in the picture's own pixels; the stop nearest to `start` lies at it exactly."""
    found = []
    for place in range(stops):
        sensitivity = start if place == _nearest(start, stops) else place / (stops - 1)
        regions = (region_in_picture(one, picture.canvas) for one in localise(picture.scores, sensitivity))
        found.append(Stop(sensitivity, tuple(one for one in regions if one is not None)))
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
) -> str:
    """Give the section of one picture.

    Args:
        picture: of an attribution.
        content: of the picture's file.
        shared: id of the copy that `shared_image` put on the page.
        key: makes the ids of this section unique.
        setting: what the map is, and where the dial begins.
        score: of the picture; None: what the map adds up to.
        scale: of the scores.
    """
    start = START if setting is None else setting.sensitivity
    stops = stops_of(picture, start)
    first = _nearest(start, len(stops))
    film = _film(content)
    lies, told = picture.canvas.placement, _alt(picture, stops[first])
    drawn = (
        f'<div class="film" data-map="{_bytes(picture)}" data-width="{lies.width}" data-height="{lies.height}" '
        f'data-stops="{" ".join(f"{one.sensitivity:.4g}" for one in stops)}">'
        f'<figure><div class="layers">{_copy(film, shared, "bare", told)}'
        f'<img class="still" src="{_still(picture, film, stops[first].sensitivity)}" alt="">'
        f'<canvas class="live" hidden></canvas>{_circles(stops, first, picture.canvas)}</div>'
        f"<figcaption>{_caption(picture, start, score, scale)}{_chosen(setting)}</figcaption></figure>"
        f'<div class="beside">{_dials(first, start, key)}{_lists(stops, first, picture.canvas)}'
        f'<figure class="on-paper">{_copy(film, shared, "alone", "The picture alone")}'
        "<figcaption>The picture alone.</figcaption></figure></div></div>"
    )
    return section("picture", _title(picture), drawn)


def shared_image(content: bytes, name: str) -> str:
    """Give the copy of a picture that the page shows several times, so that it is sent once; `name` is its id."""
    film = _film(content)
    image = f'<image id="{name}" width="{film.width}" height="{film.height}" href="{_address(film)}"/>'
    return f'<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>{image}</defs></svg>'


def _title(picture: PictureAttribution) -> str:
    return f"The picture, {picture.view.replace('//', ' ')}"


def _caption(picture: PictureAttribution, start: float, score: float | None, scale: str) -> str:
    total = picture.total if score is None else score
    write = writer([total])
    pro = float(picture.scores[picture.scores > 0].sum(dtype=np.float64))
    contra = float(picture.scores[picture.scores < 0].sum(dtype=np.float64))
    told = f"The picture adds {write(total)} {escape(scale)}. "
    if score is None or isclose(picture.total, score, rel_tol=SAME, abs_tol=SAME):
        told = f"The picture adds {write(total)} {escape(scale)}: {write(pro)} for, {write(contra)} against. "
        if abs(total) < CANCELS * pro:
            told += "These nearly cancel, so that where they lie says little. "
    return (
        f'{told}<span class="on-paper">Shown at sensitivity {start:.2f}. </span>'
        "A reduced copy to see what the model looked at, not to read the film from."
    )


def _chosen(setting: MapSetting | None) -> str:
    """Say what the map and the setting of the dial are worth."""
    if setting is None or setting.chosen_on is None:
        return " Nobody has measured whether this map finds lesions." + _doubt(setting)
    how = setting.method.replace("_", " ") + (", smoothed" if setting.smoothing else "")
    found = f"{setting.recall} of the known lesions with {setting.false_regions} false regions a picture"
    told = f" The map is by {how}; at {setting.sensitivity:.2f} it finds {found} ({setting.chosen_on} split)."
    return escape(told) + _doubt(setting)


def _doubt(setting: MapSetting | None) -> str:
    if setting is None or setting.trust.verdict != "failed":
        return ""
    told = f"The map's method failed the audit of this model ({setting.trust.reason}): do not rely on where it points."
    return f'<strong class="failed">{escape(told)}</strong>'


def _alt(picture: PictureAttribution, stop: Stop) -> str:
    where = ", ".join(ninth_of(one, picture.canvas) for one in stop.regions[:LISTED])
    told = f"with circles around {len(stop.regions)} regions that spoke for the answer: {where}" if where else (
        "on which nothing spoke for the answer"
    )  # fmt: skip
    return escape(f"Picture {picture.view.replace('//', ' ')} {told}")


def _dials(first: int, start: float, key: str) -> str:
    opacity = f"{100 * OPACITY:.0f}"
    return f"""<form class="dials" hidden>
<p><label for="dial-{key}">Sensitivity <output for="dial-{key}">{start:.2f}</output></label>
<input class="dial" id="dial-{key}" type="range" min="0" max="{STOPS - 1}" step="1" value="{first}">
<span class="ends"><span>only the peak</span><span>all that speaks for it</span></span></p>
<p><label for="opacity-{key}">Opacity of the map <output for="opacity-{key}">{opacity} %</output></label>
<input class="opacity" id="opacity-{key}" type="range" min="0" max="100" step="5" value="{opacity}">
<span class="ends"><span>film alone</span><span>full</span></span></p>
<p class="choices"><label><input class="circles" type="checkbox" checked> circles</label>
<label><input class="contra" type="checkbox"> also what speaks against</label></p></form>"""


def _lists(stops: Sequence[Stop], first: int, canvas: Canvas) -> str:
    return "".join(_list(stop, place, place == first, canvas) for place, stop in enumerate(stops))


def _list(stop: Stop, place: int, shown: bool, canvas: Canvas) -> str:
    items = "".join(
        f"<li><b>{ninth_of(one, canvas)}</b> "
        f'<span class="share">{_percent(one.share)} of what speaks for it</span></li>'
        for one in stop.regions[:LISTED]
    )
    more = len(stop.regions) - LISTED
    rest = f'<p class="more">and {more} weaker</p>' if more > 0 else ""
    content = f"<ol>{items}</ol>{rest}" if items else '<p class="more">Nothing in the picture speaks for it.</p>'
    hidden = "" if shown else " hidden"
    return f'<div class="regions" data-stop="{place}"{hidden}><h4>Regions, as the picture is seen</h4>{content}</div>'


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def _circles(stops: Sequence[Stop], first: int, canvas: Canvas) -> str:
    drawn = "".join(_stop(stop, place, place == first, canvas) for place, stop in enumerate(stops))
    box = f'viewBox="0 0 {canvas.width} {canvas.height}" font-size="{_letter(canvas):.1f}"'
    return f'<svg class="rings" {box} aria-hidden="true">{drawn}</svg>'


def _letter(canvas: Canvas) -> float:
    return max(canvas.width, canvas.height) / LETTERS


def _stop(stop: Stop, place: int, shown: bool, canvas: Canvas) -> str:
    """Draw the circles, and above them all the numbers of the strongest."""
    drawn = "".join(_ring(one) for one in stop.regions[:MOST])
    drawn += "".join(_tag(one, rank, canvas) for rank, one in reversed(list(enumerate(stop.regions[:LISTED], 1))))
    return f'<g data-stop="{place}" display="{"inline" if shown else "none"}">{drawn}</g>'


def _ring(region: Region) -> str:
    x, y, radius = region.circle.xyr
    ring = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
    return f'<circle class="halo" {ring}/><circle class="ring" {ring}/>'


def _tag(region: Region, rank: int, canvas: Canvas) -> str:
    """Put the number of a region at the upper right of its circle, within the picture."""
    x, y, radius = region.circle.xyr
    letter = _letter(canvas)
    away = (radius + 0.5 * letter) / sqrt(2)
    x = min(max(x + away, letter), canvas.width - letter)
    y = min(max(y - away, letter), canvas.height - letter)
    disc = f'<circle class="tag" cx="{x:.1f}" cy="{y:.1f}" r="{0.8 * letter:.1f}"/>'
    return f'{disc}<text x="{x:.1f}" y="{y + 0.36 * letter:.1f}">{rank}</text>'


def _bytes(picture: PictureAttribution) -> str:
    """Give the map, one signed byte for each cell, row by row."""
    return b64encode(np.round(127 * strength_of(picture)).astype(np.int8).tobytes()).decode("ascii")


def _film(content: bytes) -> Image.Image:
    """Give a grey copy of a picture of 8 or 16 bits, or of canonical floating point."""
    with Image.open(BytesIO(content), formats=FORMATS) as opened:
        white = 1.0 if opened.mode == "F" else 65535.0 if opened.mode.startswith("I") else 255.0
        pixels = np.asarray(opened.convert("L" if white == 255.0 else "F"))
    grey = Image.fromarray((pixels * (255 / white)).clip(0, 255).round().astype(np.uint8))
    grey.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return grey


def _still(picture: PictureAttribution, film: Image.Image, sensitivity: float) -> str:
    """Lay the map over the picture: without transparency, which not every reader of PDF can do."""
    map_ = Image.fromarray(tint(np.maximum(strength_of(picture), 0), sensitivity))
    *_, opacity = map_.resize(film.size, Image.Resampling.BILINEAR).split()
    amber = Image.new("RGB", film.size, AMBER)
    return _address(Image.composite(amber, film.convert("RGB"), opacity.point(lambda one: round(OPACITY * one))))


def _copy(film: Image.Image, shared: str, kind: str, told: str) -> str:
    box = f'viewBox="0 0 {film.width} {film.height}"'
    return f'<svg class="{kind}" {box} role="img" aria-label="{told}"><use href="#{shared}"/></svg>'


def _address(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
