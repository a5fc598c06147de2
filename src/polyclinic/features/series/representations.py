"""The two representations of a series: triplets and a grid."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from polyclinic.features.measurements import Measurements

Form = Literal["triplets", "grid"]


def triplets(events: Measurements, values: np.ndarray, samples: int, length: int) -> Mapping[str, np.ndarray]:
    """List the measurements, oldest first; if there are more than `length`, keep the newest.

    Returns `triplet_time` float32 `[sample, triplet]`, hours before the prediction; `triplet_code` int64, from 1; and
    `triplet_value` float32, from `values`. All are 0 in the padding at the end.
    """
    order = np.lexsort((events.code, -events.hours, events.row))
    rows = events.row[order]
    total = np.bincount(rows, minlength=samples)
    place = np.arange(len(rows)) - (np.cumsum(total) - total)[rows] - np.maximum(total - length, 0)[rows]
    order, rows, place = (column[place >= 0] for column in (order, rows, place))
    arrays: dict[str, np.ndarray] = {
        "triplet_time": np.zeros((samples, length), dtype=np.float32),
        "triplet_code": np.zeros((samples, length), dtype=np.int64),
        "triplet_value": np.zeros((samples, length), dtype=np.float32),
    }
    for array, column in zip(arrays.values(), (events.hours, events.code + 1, values), strict=True):
        array[rows, place] = column[order]
    return arrays


def grid(
    events: Measurements, values: np.ndarray, shape: tuple[int, int, int], bin_hours: float, window_hours: float
) -> Mapping[str, np.ndarray]:
    """Average the measurements in bins of `bin_hours`, the last of which ends at the prediction time.

    `shape` is `[sample, bin, code]`. Returns `grid_value` float32, the mean of `values` in the bin, 0 if it is empty;
    `grid_mask` Boolean, whether it is not empty; and `grid_since` float32, hours since the end of the latest earlier
    non-empty bin, or else of the first bin (δ of GRU-D, Che 2018, arXiv 1606.01865).
    """
    inside = np.flatnonzero(events.hours <= window_hours)
    bins = shape[1] - 1 - np.minimum(events.hours[inside] // bin_hours, shape[1] - 1).astype(np.int64)
    cells = np.ravel_multi_index((events.row[inside], bins, events.code[inside]), shape)
    order = np.argsort(cells, kind="stable")
    cell, starts, number = np.unique(cells[order], return_index=True, return_counts=True)
    value, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    if len(cell):
        value.flat[cell] = np.add.reduceat(values[inside][order], starts) / number
        mask.flat[cell] = True
    return {"grid_value": value, "grid_mask": mask, "grid_since": _since(mask, bin_hours)}


def _since(mask: np.ndarray, bin_hours: float) -> np.ndarray:
    """Return the hours since the latest earlier bin with a value; bin by bin, since there may be many samples."""
    since = np.zeros(mask.shape, dtype=np.float32)
    latest = np.zeros((mask.shape[0], mask.shape[2]), dtype=np.int32)
    for place in range(1, mask.shape[1]):
        latest[mask[:, place - 1]] = place - 1
        since[:, place] = (place - latest) * bin_hours
    return since
