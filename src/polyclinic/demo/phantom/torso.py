"""Render soft tissue and air: body outline, lungs, heart and great vessels, diaphragm and abdomen."""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

from typing import NamedTuple

import numpy as np

from polyclinic.demo.phantom.anatomy import Frame
from polyclinic.demo.phantom.fields import Field, dome, soft

WAIST = 0.28  # height v at which the rib cage is widest
AIR = np.float32(0.56)  # reduction of brightness by a full depth of lung


class Lungs(NamedTuple):
    """The air of the lungs, and its borders in the chest frame."""

    air: Field  # depth, 0 none to about 1
    cage: Field  # level of the inner rib cage: < 1 inside, 1 at the pleura
    floor: Field  # v of the diaphragm
    medial: Field  # |u| of the mediastinum


class Chest(NamedTuple):
    """A frame, full or coarse, and its lungs."""

    frame: Frame
    lungs: Lungs


def cage_level(frame: Frame, wall: float | Field, apex: float) -> Field:
    """Return the level of the inner rib cage: a superellipse, < 1 inside, straight below the waist."""
    up = np.clip((WAIST - frame.v) / (WAIST - apex), 0, None)
    across = frame.a / wall
    return (np.minimum(across, 4) ** 2.5 + np.minimum(up, 4) ** 2.5) ** np.float32(0.4)


def draw_lungs(frame: Frame) -> Lungs:
    """Return both lungs."""
    body, a, v = frame.anatomy, frame.a, frame.v
    cage = cage_level(frame, body.wall, body.apex)
    floor = frame.sided(*body.domes) + np.where(a > 0.30, np.float32(1.15), np.float32(0.5)) * (a - 0.30) ** 2
    medial = 0.085 + 0.13 * soft((-0.50 - v) / 0.32) + 0.05 * soft((v - 0.1) / 0.5)
    front = soft((a - medial + 0.01) / 0.07) * soft((floor - v) / 0.045)
    recess = 0.22 * soft((a - medial) / 0.10) * soft((floor + 0.20 - v) / 0.25)
    depth = dome(cage) * (0.58 + 0.42 * soft((v - body.apex) / 0.55))
    return Lungs(depth * np.maximum(front, recess), cage, floor, medial)


def heart_level(frame: Frame) -> Field:
    """Return the level across the heart and great vessels: −1 at the right border, 1 at the left."""
    v, half, tip = frame.v, frame.anatomy.heart, frame.anatomy.domes[1] - 0.09
    down = np.clip((v + 0.20) / (tip + 0.20), 0, 1)
    below = np.clip((v - tip) / 0.24, 0, 1)
    bulge = down * (1.55 - 0.55 * down) * np.sqrt(1 - below * below)
    left = 0.085 + (1.36 * half - 0.085) * bulge
    right = 0.085 + max(0.64 * half - 0.085, 0) * dome(np.clip((v - 0.21) / 0.31, -1, 1))
    return (2 * frame.u - left + right) / (left + right)


def _outline(frame: Frame) -> Field:
    """Return 1 inside the body, 0 in the surrounding air."""
    body, a, v = frame.anatomy, frame.a, frame.v
    side = body.wall + body.fat + 0.06 * soft((v - 0.1) / 0.9) + 0.9 * soft((-0.42 - v) / 0.38)
    beyond = np.maximum(a - 0.24, 0)
    shoulder = -1.10 + 0.55 * beyond - 0.16 * beyond * beyond - 0.6 * soft((0.34 - a) / 0.16)
    return soft((side - a) / 0.05) * soft((v - shoulder) / 0.05)


def draw_soft_tissue(frame: Frame, lungs: Lungs) -> Field:
    """Render muscle, fat, mediastinum, abdomen and breasts."""
    body, u, a, v = frame.anatomy, frame.u, frame.a, frame.v
    side = body.wall + body.fat + 0.05
    wall = 0.50 + 0.5 * body.fat + 0.14 * dome(np.minimum(a / side, 1))
    shoulders = 0.16 * soft((-0.40 - v) / 0.35) * soft((a - 0.25) / 0.4)
    belly = 0.22 * soft((v - lungs.floor) / 0.05) * dome(np.minimum(a / side, 1)) + 0.06 * soft((v - 0.5) / 0.5)
    centre, size = body.stomach
    bubble = np.hypot((u - centre) / (0.13 * size), (v - body.domes[1] - 0.07 - 0.05 * size) / (0.065 * size))
    gas = -0.20 * soft((1.1 - bubble) / 0.35)
    middle = 0.12 * soft((0.15 + 0.05 * soft((v - 0.0) / 0.6) - a) / 0.09)
    trachea = -0.10 * soft((0.036 - np.abs(u)) / 0.02) * soft((-0.22 - v) / 0.06)
    return (wall + shoulders + belly + gas + middle + trachea + _breasts(frame)) * _outline(frame)


def _breasts(frame: Frame) -> Field:
    body = frame.anatomy
    if body.breasts <= 0:
        return np.zeros(frame.shape, np.float32)
    level = np.hypot((frame.a - 0.42) / 0.34, (frame.v - 0.34) / 0.30)
    return body.breasts * dome(np.minimum(level, 1)) ** np.float32(0.7)


def draw_heart(frame: Frame, lungs: Lungs) -> Field:
    """Render heart, aortic knob, descending aorta, pulmonary trunk and hila."""
    u, v, knob = frame.u, frame.v, frame.anatomy.knob
    level = heart_level(frame)
    heart = (0.24 + 0.16 * soft((v + 0.15) / 0.3)) * dome(level * level) * soft((v + 0.75) / 0.5)
    heart *= 1 - 0.8 * soft((v - lungs.floor) / 0.06)
    arch = 0.24 * dome(np.minimum(np.hypot((u - 0.09) / knob, (v + 0.34) / (1.2 * knob)), 1))
    aorta = 0.06 * soft((0.035 - np.abs(u - 0.115 + 0.04 * v)) / 0.02) * soft((v + 0.34) / 0.05) * soft((0.5 - v) / 0.2)
    trunk = 0.22 * dome(np.minimum(np.hypot((u - 0.085) / 0.075, (v + 0.15) / 0.11), 1))
    hila = np.zeros_like(u)
    for centre, height, across, along in ((-0.155, -0.04, 0.05, 0.15), (0.165, -0.09, 0.05, 0.13)):
        hila += np.exp(-(((u - centre) / across) ** 2) - ((v - height) / along) ** 2)
    return np.maximum(heart, np.maximum(arch, trunk)) + aorta + 0.13 * frame.anatomy.hila * hila
