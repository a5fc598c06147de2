"""Convert thickness to an image: tone, scatter, grain, markers, leads, collimation."""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

import numpy as np

from polyclinic.demo.phantom.anatomy import Frame
from polyclinic.demo.phantom.fields import Field, blurred, enlarged, smooth_noise, soft, splat

LETTERS = {
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
}


def expose(rng: np.random.Generator, frame: Frame, thickness: Field) -> Field:
    """Return the image, 0 black to 1 white."""
    height, width = frame.shape
    kilovolt, dose = 1.75 + 0.14 * float(rng.standard_normal()), float(rng.uniform(0.006, 0.017))
    curve = 1.42 + 0.07 * float(rng.standard_normal()) - 0.12 * frame.pose.portable
    veil = 0.02 + 0.03 * frame.pose.portable
    lean = 0.02 * rng.standard_normal(2)
    tilt = np.linspace(-lean[0], lean[0], width)[None, :] + np.linspace(-lean[1], lean[1], height)[:, None]
    tissue = 0.012 * smooth_noise(rng, frame.shape, 8) + 0.006 * smooth_noise(rng, frame.shape, 40)
    lit = np.maximum(thickness * (1 + tissue + tilt.astype(np.float32)) - 0.05, 0)
    image = 1 - np.exp(np.float32(-kilovolt) * lit ** np.float32(curve))
    image = veil + (1 - veil) * image
    grain = rng.standard_normal(frame.shape, dtype=np.float32)
    clumps = rng.standard_normal(((height + 1) // 2, (width + 1) // 2), dtype=np.float32)
    image += np.float32(dose) * (0.5 + image) * (0.8 * grain + 0.7 * enlarged(clumps, frame.shape))
    if frame.pose.portable:
        image += _wires(rng, frame)
    _mark(rng, image)
    return np.clip(image * _shutters(rng, frame), 0, 1)


def _wires(rng: np.random.Generator, frame: Frame) -> Field:
    """Render monitoring leads across the chest, each with an electrode."""
    t = np.linspace(0, 1, 400)[:, None]
    bend = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3])
    rows, columns = np.ogrid[: frame.shape[0], : frame.shape[1]]
    drawn, discs = np.zeros(frame.shape, np.float32), np.zeros(frame.shape, bool)
    for _ in range(int(rng.integers(1, 4))):
        knots = rng.uniform((-0.75, -0.6), (0.75, 0.4), (4, 2)) + np.array([[0, 0], [0, 0.2], [0, 0.5], [0, 0.9]])
        x, y = frame.to_pixels(*(bend @ knots).T)
        drawn += splat(frame.shape, x, y, np.hypot(np.gradient(x), np.gradient(y)))
        discs |= np.hypot(columns - x[0], rows - y[0]) < 2.8
    return 0.16 * np.minimum(blurred(drawn, 0.6), 1.0) + 0.14 * blurred(discs.astype(np.float32), 0.5)


def _mark(rng: np.random.Generator, image: Field) -> None:
    """Write a side marker into an upper corner of most images."""
    letter = "R" if rng.uniform() < 0.4 else "L"
    row, column, present = int(rng.integers(8, 30)), int(rng.integers(8, 24)), rng.uniform() < 0.8
    if not present:
        return
    glyph = np.kron(np.array([[int(bit) for bit in line] for line in LETTERS[letter]]), np.ones((2, 2)))
    start = column if letter == "R" else image.shape[1] - column - glyph.shape[1]
    region = image[row : row + glyph.shape[0], start : start + glyph.shape[1]]
    np.copyto(region, np.float32(0.97), where=glyph > 0)


def _shutters(rng: np.random.Generator, frame: Frame) -> Field:
    """Return a mask that blackens the borders of some images, as collimation does."""
    edges = (rng.uniform(0, 0.05, 4) * (rng.uniform(size=4) < 0.25)).tolist()
    height, width = frame.shape
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    rows = soft((y - edges[0] * height + 2) / 2) * soft((height * (1 - edges[1]) + 1 - y) / 2)
    columns = soft((x - edges[2] * width + 2) / 2) * soft((width * (1 - edges[3]) + 1 - x) / 2)
    return rows * columns
