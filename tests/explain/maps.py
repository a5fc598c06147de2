"""Heat maps for hypothesis: noise, blobs, plateaus and zeros, in two and three dimensions."""

import numpy as np
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

KINDS = {
    "noise": lambda random, shape: random.standard_normal(shape),
    "heavy": lambda random, shape: random.standard_t(2, shape),
    "blobs": lambda random, shape: gaussian_filter(random.standard_normal(shape), 2),
    "steps": lambda random, shape: random.integers(-3, 4, shape).astype(float),
    "sparse": lambda random, shape: random.random(shape) * (random.random(shape) < 0.02),
    "negative": lambda random, shape: -random.random(shape),
    "constant": lambda random, shape: np.full(shape, random.choice([-1.0, 0.0, 1.0])),
}


@st.composite
def heat_maps(draw, axes=(2, 2, 3)):
    """A signed map and, of volumes, its spacing."""
    deep = draw(st.sampled_from(axes)) == 3
    sides = [draw(st.integers(1, 5))] * deep + [draw(st.integers(1, 40)) for _ in range(2)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    heat = KINDS[draw(st.sampled_from(sorted(KINDS)))](random, tuple(sides))
    return heat * 10.0 ** draw(st.integers(-30, 30)), (2.5, 0.5, 0.5) if deep else None


def blob(shape: tuple[int, int], y: float, x: float, width: float = 3.0) -> np.ndarray:
    """A hill of height 1 around a point."""
    rows, columns = np.indices(shape) + 0.5
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))
