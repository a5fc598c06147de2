"""Render the five findings in a chest, with their boxes.

A lesion is a change of brightness, and its box encloses where the image differs. Air filled by one lesion cannot be
filled by the next: consolidation, then effusion, fill the remaining air.
"""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from polyclinic.demo.phantom.anatomy import Frame
from polyclinic.demo.phantom.fields import Field, dome, enlarged, smooth_noise, soft
from polyclinic.demo.phantom.torso import AIR, WAIST, Chest, Lungs, cage_level, heart_level

HALF_DETECTOR_MM = 215.0


@dataclass(frozen=True)
class Lesion:
    """One finding on one side.

    `extent` is the share of the lung lost (consolidation, pneumothorax) or covered (effusion), the diameter of a nodule
    in mm, or the cardiothoracic ratio in cardiomegaly. `height` is from 0 (apex) to 1 (base), and `depth` from 0
    (midline) to 1 (chest wall).
    """

    finding: str
    side: int  # −1 the patient's right, 1 the left, 0 the heart
    extent: float
    height: float = 0.5
    depth: float = 0.5


class Box(NamedTuple):
    """Columns x0 ≤ x < x1 and rows y0 ≤ y < y1 of the stored image."""

    finding: str
    side: int  # 0: neither
    x0: int
    y0: int
    x1: int
    y1: int


class Drawn(NamedTuple):
    """Rendered lesions: change of brightness, share of vessel markings left (0 to 1), boxes."""

    change: Field
    markings: Field
    boxes: list[Box]


def draw_lesions(seed: Sequence[int], chest: Chest, coarse: Chest, lesions: Sequence[Lesion]) -> Drawn:
    """Render all lesions but cardiomegaly (which is anatomy); those with soft edges on the coarse frame.

    Each lesion has its own random numbers, so that it does not depend on the other lesions.
    """
    frame, lungs = chest
    change, markings = np.zeros(frame.shape, np.float32), np.ones(frame.shape, np.float32)
    air = lungs.air.copy()
    boxes: list[Box] = []
    for lesion in sorted(lesions, key=lambda lesion: ORDER.index(lesion.finding)):
        rng = np.random.default_rng([*seed, ORDER.index(lesion.finding), lesion.side + 1])
        half = frame.left if lesion.side > 0 else 1 - frame.left
        if lesion.finding == "pneumothorax":
            added, gone = _pneumothorax(frame, lungs, lesion)
            added, visible = added * half, gone * half * (lungs.air > 0.1)
            markings *= 1 - gone * half
        elif lesion.finding == "nodule":
            added = visible = _nodule(rng, frame, lesion) * soft(lungs.air / 0.15) * (0.4 + 0.6 * markings)
        else:
            filled = enlarged(FILLING[lesion.finding](rng, coarse, lesion), frame.shape) * half
            added = visible = AIR * (
                0.9 * air * filled + (lesion.finding == "effusion") * _recess_fluid(frame, lungs, filled)
            )
            air = air * (1 - filled)
            markings *= 1 - filled
        change += added
        boxes.append(_box(lesion.finding, lesion.side, visible > 0.3 * float(visible.max())))
    return Drawn(change, markings, boxes)


def heart_box(frame: Frame, lesion: Lesion) -> Box:
    """Return the box of the heart below the great vessels."""
    body = frame.anatomy
    return _box(lesion.finding, 0, (np.abs(heart_level(frame)) < 1) & (frame.v > -0.12) & (frame.v < body.domes[1]))


def _box(finding: str, side: int, visible: Field) -> Box:
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    return Box(finding, side, int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _position(frame: Frame, lesion: Lesion) -> tuple[float, float]:
    """Convert a lesion's height and depth to |u| and v."""
    body = frame.anatomy
    top, bottom = body.apex + 0.12, body.domes[int(lesion.side > 0)] + 0.02
    v = top + lesion.height * (bottom - top)
    up = max(WAIST - v, 0) / (WAIST - body.apex)
    inside, medial = body.wall * (1 - up**2.5) ** 0.4, 0.12
    return medial + lesion.depth * (inside - medial), v


def _consolidation(rng: np.random.Generator, chest: Chest, lesion: Lesion) -> Field:
    """A patch with a soft edge and uneven density, covering the given share of the lung."""
    frame, lungs = chest
    a, v = _position(frame, lesion)
    distance = np.hypot((frame.a - a) / 0.75, frame.v - v)
    distance += 0.05 * smooth_noise(rng, frame.shape, 8) + 0.04 * smooth_noise(rng, frame.shape, 20)
    lung = (lungs.air > 0.08) & (frame.left == (lesion.side > 0))
    reach = float(np.quantile(distance[lung], lesion.extent))
    clouds = 0.92 + 0.07 * smooth_noise(rng, frame.shape, 14) + 0.05 * smooth_noise(rng, frame.shape, 36)
    return soft((reach - distance) / 0.22 + 0.5) * np.minimum(clouds, 1)


def _effusion(rng: np.random.Generator, chest: Chest, lesion: Lesion) -> Field:
    """Fluid at the base, its surface rising towards the chest wall."""
    frame, lungs = chest
    body = frame.anatomy
    base = body.domes[int(lesion.side > 0)]
    surface = base + 0.10 - 0.75 * lesion.extent + 0.16 * (1 - (frame.a / body.wall) ** 2)
    surface = surface + np.float32(0.01) * smooth_noise(rng, frame.shape, 5)
    return soft((frame.v - surface) / 0.07) * soft((1.02 - lungs.cage) / 0.02)


def _recess_fluid(frame: Frame, lungs: Lungs, filled: Field) -> Field:
    """Fluid in the costophrenic recess, where there was little air."""
    return 0.16 * filled * soft((lungs.floor + 0.10 - frame.v) / 0.06) * soft((frame.a - lungs.medial) / 0.08)


def _pneumothorax(frame: Frame, lungs: Lungs, lesion: Lesion) -> tuple[Field, Field]:
    """Air around a collapsed lung, mostly at the apex: black, without markings, bounded by a fine white line."""
    body = frame.anatomy
    shrinkage = (0.05 + 0.48 * lesion.extent) * (1 - soft((frame.v + 0.30 - 0.35 * lesion.extent) / 0.65))
    wall = body.wall * (1 - shrinkage)
    level = cage_level(frame, wall, body.apex + 0.07 + 0.50 * lesion.extent)
    gone = soft((level - 1) / 0.02) * soft((1 - lungs.cage) / 0.02) * soft(lungs.air / 0.05)
    line = np.exp(-(((level - 1.0) * (wall / 0.009)) ** 2)) * soft(lungs.air / 0.2) * soft(shrinkage / 0.04)
    shrunk = soft((1 - level) / 0.1) * soft(lungs.air / 0.2)
    return 0.13 * line - 0.13 * gone * soft(lungs.air / 0.5) + 0.10 * lesion.extent * shrunk, gone


def _nodule(rng: np.random.Generator, frame: Frame, lesion: Lesion) -> Field:
    """A slightly irregular ball."""
    a, v = _position(frame, lesion)
    radius = lesion.extent / 2 / HALF_DETECTOR_MM * 1.1
    across = (frame.u - lesion.side * a) / radius
    down = (frame.v - v) / (radius * float(rng.uniform(0.85, 1.15)))
    lobes = 1 + 0.07 * np.sin(3 * np.arctan2(down, across) + float(rng.uniform(0, 6)))
    return np.float32(0.30) * np.sqrt(dome(np.minimum(np.hypot(across, down) / lobes, 1)))


FILLING = {"consolidation": _consolidation, "effusion": _effusion}
ORDER = ("consolidation", "effusion", "pneumothorax", "nodule")
