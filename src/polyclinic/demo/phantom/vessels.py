"""Render pulmonary vessels: two trees that branch from the hila."""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

import numpy as np

from polyclinic.demo.phantom.anatomy import SIDES, Frame
from polyclinic.demo.phantom.fields import Field, Floats, blurred, splat

# Branches per fork, and their length, steps, blur in pixels and brightness.
FORKS = ((11, 0.30, 48, 1.9, 0.85), (4, 0.22, 36, 1.15, 0.60), (4, 0.16, 24, 0.75, 0.38))


def draw_vessels(rng: np.random.Generator, frame: Frame) -> Field:
    """Render both trees, not yet limited to the lungs."""
    total = np.zeros(frame.shape, np.float32)
    side: Floats = np.array(SIDES, float)
    start: tuple[Floats, Floats] = (0.13 * side, np.array([-0.04, -0.09]))
    heading: Floats = np.zeros(2)
    for generation, (branches, length, steps, blur, brightness) in enumerate(FORKS):
        side, heading = np.repeat(side, branches), np.repeat(heading, branches)
        start = (np.repeat(start[0], branches), np.repeat(start[1], branches))
        fan = np.tile(np.linspace(-1.25, 1.35, branches), 2) if generation == 0 else 0
        heading = heading + fan + (0.55 if generation else 0.10) * rng.standard_normal(len(side))
        u, v, heading = _grow(rng, start, heading, side, length / steps, steps)
        taper = np.linspace(1.15, 0.65, steps) * rng.uniform(0.6, 1.25, (len(side), 1))
        x, y = frame.to_pixels(u, v)
        drawn = blurred(splat(frame.shape, x.ravel(), y.ravel(), taper.ravel()), blur)
        total += np.float32(brightness * blur * length / steps * frame.pose.height / 2) * drawn
        fork = rng.integers(steps // 3, steps, len(side)) if generation else np.full(len(side), steps - 1)
        start = (u[np.arange(len(u)), fork], v[np.arange(len(u)), fork])
    return total


def _grow(
    rng: np.random.Generator, start: tuple[Floats, Floats], heading: Floats, side: Floats, step: float, steps: int
) -> tuple[Floats, Floats, Floats]:
    """Grow each branch outwards with a drifting heading; return positions [branch, step] and the last heading."""
    drift = 0.07 * rng.standard_normal((len(heading), steps)) + 0.006 * rng.standard_normal((len(heading), 1))
    angle = heading[:, None] + np.cumsum(drift, axis=1) * (48 / steps) ** 0.5
    pace = step * rng.uniform(0.75, 1.25, (len(heading), 1))
    u = start[0][:, None] + side[:, None] * np.cumsum(pace * np.cos(angle), axis=1)
    v = start[1][:, None] + np.cumsum(pace * np.sin(angle), axis=1)
    return u, v, angle[:, -1]
