"""The two forms of a series: a list of triplets, and a grid."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from polyclinic.features.measurements import Measurements

Form = Literal["triplets", "grid"]


def triplets(events: Measurements, values: np.ndarray, samples: int, length: int) -> Mapping[str, np.ndarray]:
    """List what was measured, oldest first; of more than `length` triplets the newest are kept.

    Gives `triplet_time` float32 `[sample, triplet]`, hours before the prediction; `triplet_code` int64, from 1; and
    `triplet_value` float32, which are `values`. All are 0 in the padding at the end.
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
    """Spread what was measured over bins of `bin_hours`, of which the last ends at the prediction time.

    `shape` is `[sample, bin, code]`. Gives `grid_value` float32, the mean of `values` in the bin, 0 where there is
    none; `grid_mask` Boolean, whether there is one; and `grid_since` float32, hours between the end of this bin and
    that of the latest earlier one with a value, or of the first bin (the δ of GRU-D, Che 2018, arXiv 1606.01865).
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
    """Count the hours since the latest earlier bin with a value."""
    step = np.arange(mask.shape[1], dtype=np.int32)[:, None]
    latest = np.maximum.accumulate(np.where(mask, step, 0), axis=1)
    earlier = np.concatenate([np.zeros_like(latest[:, :1]), latest[:, :-1]], axis=1)
    since: np.ndarray = ((step - earlier) * bin_hours).astype(np.float32)
    return since
