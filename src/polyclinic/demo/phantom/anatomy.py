"""A patient's anatomy and pose: the parameters of a rendered radiograph.

The unit of length is half the image height. The chest frame has `u` across (0 in the midline, positive towards the
patient's left, which is the right of the image) and `v` downwards (−1 top of the image, +1 bottom).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from polyclinic.demo.phantom.fields import Field, Floats, smooth_noise

SIDES = (-1, 1)  # the patient's right, the patient's left


@dataclass(frozen=True)
class Build:
    """Patient characteristics that determine the anatomy."""

    female: bool
    age: float  # years
    bmi: float  # kg/m²
    hyperinflated: bool
    cardiothoracic_ratio: float  # without cardiomegaly
    portable: bool  # AP view taken in bed: larger heart, higher diaphragm, monitoring leads


@dataclass(frozen=True)
class Anatomy:
    """Parameters of one chest: lengths in half image heights, thicknesses as brightness."""

    wall: float  # half width of the rib cage
    apex: float
    domes: tuple[float, float]  # of the diaphragm: right, left
    fat: float  # thickness of the wall outside the ribs
    heart: float  # half of its width
    knob: float  # radius of the aortic arch
    rib_gap: float
    rib_start: float
    rib_slope: float
    bone: float  # density
    breasts: float
    hila: float
    stomach: tuple[float, float]  # position of the gas bubble across, and its size


def draw_anatomy(rng: np.random.Generator, build: Build, cardiothoracic_ratio: float) -> Anatomy:
    """Draw the anatomy of a patient of this build; the number of random draws is constant."""
    z = np.clip(rng.standard_normal(14), -2.5, 2.5).tolist()  # plain floats keep the fields in float32
    wall = 0.72 + 0.02 * z[0] - 0.03 * build.female + 0.02 * (build.bmi > 30)
    dome_right = 0.46 + 0.035 * z[1] + 0.08 * build.hyperinflated - 0.07 * build.portable
    return Anatomy(
        wall=wall,
        apex=-0.80 + 0.02 * z[2],
        domes=(dome_right, dome_right + 0.05 + 0.015 * z[3]),
        fat=_between(0.06, 0.10 + 0.011 * (build.bmi - 25) + 0.015 * z[4], 0.30),
        heart=cardiothoracic_ratio * wall * (1.06 if build.portable else 1.0),
        knob=0.070 + 0.0005 * (build.age - 50) + 0.006 * z[5],
        rib_gap=0.152 + 0.006 * z[6] + 0.008 * build.hyperinflated,
        rib_start=-0.845 + 0.03 * z[7],
        rib_slope=0.30 + 0.06 * z[8] - 0.12 * build.hyperinflated + 0.05 * build.portable,
        bone=_between(0.5, 1.0 - 0.006 * (build.age - 50) + 0.10 * z[9], 1.4),
        breasts=build.female * _between(0.03, 0.09 + 0.004 * (build.bmi - 25) + 0.02 * z[10], 0.2),
        hila=_between(0.5, 1 + 0.2 * z[11], 1.6),
        stomach=(0.36 + 0.04 * z[12], _between(0.3, 0.9 + 0.4 * z[13], 1.6)),
    )


def _between(low: float, value: float, high: float) -> float:
    return min(max(value, low), high)


@dataclass(frozen=True)
class Pose:
    """Position of the chest in the image; `turn` in radians."""

    height: int  # pixels
    width: int
    turn: float
    scale: float
    stretch: float
    shift: tuple[float, float]
    portable: bool


def draw_pose(rng: np.random.Generator, portable: bool) -> Pose:
    """Draw an image size and a pose, less exact if portable."""
    z = np.clip(rng.standard_normal(6), -2.5, 2.5).tolist()  # keeps the lungs in the image
    height = 272 + 16 * int(rng.integers(0, 4))
    return Pose(
        height=height,
        width=int(height * (0.92 + 0.04 * int(rng.integers(0, 3)))),
        turn=0.025 * z[0] + 0.025 * portable * z[1],
        scale=1.10 + 0.04 * z[2],
        stretch=1.0 + 0.025 * z[3],
        shift=(0.035 * z[4], 0.03 * z[5]),
        portable=portable,
    )


class Frame(NamedTuple):
    """Chest-frame coordinates of every pixel, and the inverse transform."""

    u: Field
    v: Field
    a: Field  # distance from the midline, |u|
    left: Field  # 1 on the patient's left, 0 on the right
    anatomy: Anatomy
    pose: Pose

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.u.shape[0], self.u.shape[1]

    @property
    def coarse(self) -> "Frame":
        """Every second pixel: sufficient for soft edges, at a quarter of the cost."""
        u, v, a, left = (np.ascontiguousarray(field[::2, ::2]) for field in self[:4])
        return Frame(u, v, a, left, self.anatomy, self.pose)

    def sided(self, right: float, left: float) -> Field:
        """Return a field with one value on each side."""
        return np.float32(right) + np.float32(left - right) * self.left

    def to_pixels(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        """Convert chest-frame coordinates to columns and rows (without the small warp)."""
        pose, half = self.pose, self.pose.height / 2
        cos, sin = math.cos(pose.turn), math.sin(pose.turn)
        u, v = u * (pose.scale * pose.stretch), v * pose.scale
        x, y = u * cos - v * sin + pose.shift[0], u * sin + v * cos + pose.shift[1]
        return x * half + pose.width / 2, y * half + half


def lay_frame(rng: np.random.Generator, anatomy: Anatomy, pose: Pose) -> Frame:
    """Return the chest frame of a pose: rotated, shifted, scaled and slightly warped."""
    half, shape = pose.height / 2, (pose.height, pose.width)
    x = ((np.arange(pose.width, dtype=np.float32) - pose.width / 2) / half - pose.shift[0])[None, :]
    y = ((np.arange(pose.height, dtype=np.float32) - half) / half - pose.shift[1])[:, None]
    cos, sin = math.cos(pose.turn), math.sin(pose.turn)
    warp = np.float32(0.008)
    u = (x * cos + y * sin) / (pose.scale * pose.stretch) + warp * smooth_noise(rng, shape, 3)
    v = (y * cos - x * sin) / pose.scale + warp * smooth_noise(rng, shape, 3)
    return Frame(u, v, np.abs(u), (u > 0).astype(np.float32), anatomy, pose)
