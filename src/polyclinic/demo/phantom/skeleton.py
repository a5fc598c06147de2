"""Render bones: ribs, spine, clavicles, shoulder blades."""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

import numpy as np
from numpy.typing import NDArray

from polyclinic.demo.phantom.anatomy import Frame
from polyclinic.demo.phantom.fields import Field, Floats, soft
from polyclinic.demo.phantom.torso import Lungs

RIBS = 12


def _tube(distance: Floats, half_width: float | Floats) -> Field:
    """Profile of a hollow bone: its edges are brighter than its middle."""
    x = np.abs(distance) / half_width
    y = np.minimum(x, 1)
    return soft((1.12 - x) / 0.30) * (0.55 + 0.55 * y * y * y)


def draw_ribs(rng: np.random.Generator, frame: Frame, lungs: Lungs) -> Field:
    """Render posterior and anterior ribs. The ribs of a side repeat one curve, so that one field suffices."""
    body, a, v, gap = frame.anatomy, frame.a, frame.v, frame.anatomy.rib_gap
    gains = rng.uniform(0.8, 1.2, (2, 2 * RIBS)).astype(np.float32)
    side = frame.left.astype(np.int8)
    along = a / body.wall
    steep = 1.5 - 0.9 * soft((v + 0.8) / 0.9)
    beyond = along - 0.15
    back = body.rib_start + 0.9 * body.rib_slope * steep * beyond * np.abs(beyond)
    back = _repeated(v - back, gap, 0.26, gains, side)
    cube = np.minimum(along, 1.05) ** 3
    back *= soft((a - 0.06) / 0.05) * (0.75 + 0.9 * cube * cube)
    front = body.rib_start + 0.16 + 0.95 * (body.wall - a) * (1.0 - 0.25 * soft((v + 0.6) / 0.8))
    front = _repeated(v - front, gap * 1.06, 0.30, gains, side, RIBS)
    front *= soft((along - 0.42) / 0.35) * 0.75
    within = soft((1.05 - lungs.cage) / 0.045) * soft((0.75 - v) / 0.25)
    rim = 0.55 * np.exp(-(((lungs.cage - 1.0) / 0.03) ** 2)) * soft((v + 0.6) / 0.3) * soft((0.7 - v) / 0.2)
    return np.float32(0.15 * body.bone) * (np.maximum(back, front) + 0.45 * np.minimum(back, front) + rim) * within


def _repeated(
    offset: Field, gap: float, half_width: float, gains: Field, side: NDArray[np.int8], first: int = 0
) -> Field:
    """Render tubes at intervals of `gap`, each with its own brightness, from the first to the last."""
    count = offset / np.float32(gap)
    number = np.rint(count)
    index = np.clip(number, 0, RIBS - 1).astype(np.int16) + first
    present = (number >= 0) & (number <= RIBS - 1 - 2 * (first > 0))
    return _tube(count - number, half_width) * gains[side, index] * present


def draw_spine(frame: Frame) -> Field:
    """Render vertebrae with discs, pedicles and spinous processes."""
    u, v, bone = frame.u, frame.v, frame.anatomy.bone
    level = (v + 1.1) / (0.115 + 0.018 * (v + 1))
    within = level - np.rint(level)
    half = 0.062 + 0.012 * (v + 1)
    body = _tube(u, half) * (0.75 + 0.45 * soft((0.46 - np.abs(within)) / 0.10))
    pedicles = np.exp(-(((np.abs(u) - 0.6 * half) / 0.013) ** 2) - ((within + 0.1) / 0.16) ** 2)
    process = np.exp(-((u / 0.012) ** 2) - ((within - 0.2) / 0.22) ** 2)
    return np.float32(0.07 * bone) * (body + 0.5 * pedicles + 0.5 * process)


def draw_shoulders(rng: np.random.Generator, frame: Frame) -> Field:
    """Render clavicles, shoulder blades and humeral heads."""
    body, a, v = frame.anatomy, frame.a, frame.v
    tilt = (0.20 + 0.06 * rng.standard_normal(2) - 0.10 * frame.pose.portable).tolist()
    lift = (-0.60 + 0.02 * rng.standard_normal(2) - 0.03 * frame.pose.portable).tolist()
    x = a - 0.07
    middle = frame.sided(*lift) - frame.sided(*tilt) * x - 0.045 * np.sin(x * 8.5)
    width = 0.030 + 0.012 * soft((0.15 - x) / 0.15) + 0.006 * soft((x - 0.5) / 0.2)
    clavicles = 1.5 * _tube(v - middle, width) * soft(x / 0.03) * soft((0.86 - a) / 0.05)
    inset = 0.10 * frame.pose.portable
    edge = body.wall - 0.05 - inset + 0.22 * (v + 0.30) ** 2 + 0.10 * (v + 0.3)
    blade = soft((a - edge) / 0.02) * soft((-0.02 - v - 0.4 * (a - edge)) / 0.06) * soft((v + 0.68) / 0.05)
    blade = blade * (0.45 + 0.5 * np.exp(-(((a - edge) / 0.022) ** 2)))
    shaft = np.clip(v + 0.58, 0, None)
    head = soft((0.12 - 0.04 * soft(shaft / 0.15) - np.hypot(a - 0.98 - 0.25 * shaft, np.minimum(v + 0.58, 0))) / 0.04)
    return np.float32(0.105 * body.bone) * (clavicles + 0.8 * blade + 1.1 * head)
