"""Time from a heat map to its clusters and regions, and of a FROC sweep of one image.

Maps are 1024 × 1024 with a linking distance of 46 pixels: noise and heavy tails (as of integrated gradients), smooth
hills (as of an enlarged map of cells), and shapes made to be hard: a spiral whose arms just do not touch, and lattices
at and beyond the distance. The goal is 50 ms for clustering and measuring at any sensitivity. Run it with

    python -m benchmarks localisation --side 1024 --repeats 15
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import Interval, Table, clocked, median, parser, verdict
from polyclinic.explain.audit.froc import Case, sweep
from polyclinic.explain.localisation.localisation import clusters, kept, link_distance, localise, positive_share
from polyclinic.explain.localisation.regions import Box

GOAL_MS = 50
SENSITIVITIES = (0.3, 0.7, 1.0)
SLICES = 64


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--side", type=int, default=1024, help="of the maps, in pixels")
    options.add_argument("--repeats", type=int, default=15)
    chosen = options.parse_args(arguments)
    columns = ("map, sensitivity", "kept", "regions", "clusters, ms (95 % interval)", "goal", "", "with masks, ms")
    table = Table(f"{chosen.side} × {chosen.side} pixels, {chosen.repeats} repeats", *columns, first=26)
    for name, heat in maps(chosen.side).items():
        for sensitivity in SENSITIVITIES:
            measure(table, f"{name}, {sensitivity:g}", heat, sensitivity, chosen.repeats)
    others(chosen.side, min(chosen.repeats, 5))


def maps(side: int) -> dict[str, np.ndarray]:
    """Return the heat maps by name."""
    random = np.random.default_rng(0)
    distance = link_distance((side, side))
    return {
        "noise": random.standard_normal((side, side)),
        "heavy tails": random.standard_t(3, (side, side)),
        "smooth hills": gaussian_filter(random.standard_normal((side, side)), side / 50),
        "spiral": spiral(side, distance + 1.5),
        "lattice within reach": lattice(side, int(distance)),
        "lattice out of reach": lattice(side, int(distance) + 2),
    }


def spiral(side: int, gap: float) -> np.ndarray:
    """Return a spiral with turns `gap` apart."""
    y, x = np.mgrid[:side, :side] - side / 2
    return np.asarray((np.hypot(x, y) - np.arctan2(y, x) * gap / (2 * np.pi)) % gap < 1.5, dtype=float)


def lattice(side: int, step: int) -> np.ndarray:
    """Return pairs of pixels, `step` from their neighbours."""
    y, x = np.mgrid[:side, :side]
    return np.asarray((y % step == 0) & (x % step < 2), dtype=float)


def measure(table: Table, name: str, heat: np.ndarray, sensitivity: float, repeats: int) -> None:
    """Print the time of one sensitivity on one map."""
    strength = positive_share(heat)
    mask = kept(strength, sensitivity)
    found = len(clusters(strength, mask))
    clustering = milliseconds(lambda: clusters(strength, kept(strength, sensitivity)), repeats)
    whole = milliseconds(lambda: localise(heat, sensitivity), repeats)
    met = verdict(clustering.value <= GOAL_MS)
    table.row(name, f"{mask.sum():,}", found, clustering.shown(".1f"), f"≤ {GOAL_MS}", met, whole.shown(".1f"))


def others(side: int, repeats: int) -> None:
    """Print the times of a volume and of a sweep of one image."""
    random = np.random.default_rng(0)
    volume = gaussian_filter(random.standard_normal((SLICES, side // 4, side // 4)), 3)
    picture = gaussian_filter(random.standard_normal((224, 224)), 5)
    case = Case(picture, [Box.of_xyxy(50, 50, 90, 90)], 0)
    table = Table("Others", "what", "ms (95 % interval)", first=50)
    name = f"regions of a volume, {SLICES} × {side // 4} × {side // 4}, s = 0.5"
    table.row(name, milliseconds(lambda: localise(volume, 0.5, (2.5, 0.7, 0.7)), repeats).shown(".1f"))
    table.row("all 101 stops for FROC, 224 × 224", milliseconds(lambda: sweep([case]), repeats).shown(".1f"))


def milliseconds(work: Callable[[], object], repeats: int) -> Interval:
    """Return the median time, after one warm-up."""
    clocked(work)
    return median([1e3 * clocked(work) for _ in range(repeats)])


if __name__ == "__main__":
    main()
