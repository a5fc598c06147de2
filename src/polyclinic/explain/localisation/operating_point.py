"""The operating point of localisation: the sensitivity, chosen on validation images, at which regions are drawn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from polyclinic.evaluation import Estimate
from polyclinic.evaluation.record import Record
from polyclinic.models.bundle.bundle import Bundle

OPERATING_POINT_FILE = "localisation.json"


@dataclass(frozen=True)
class OperatingPoint(Record):
    """Map, smoothing and sensitivity chosen on validation images; see `localisation`."""

    bundle: str  # digest
    method: str
    smoothing: float  # of the map, as a share of its side; 0: none
    sensitivity: float
    most_false: float  # false regions per image that were allowed
    recall: Estimate  # on the images on which it was chosen
    false_regions: Estimate
    chosen_on: str  # split


def stored_operating_point(bundle: Bundle) -> OperatingPoint | None:
    """Return the operating point stored beside a bundle; None without one, or of other weights."""
    content = read_for_bundle(bundle, OPERATING_POINT_FILE)
    return None if content is None else OperatingPoint.from_dict(content)


def read_for_bundle(bundle: Bundle, name: str) -> dict[str, Any] | None:
    """Read a JSON file beside a bundle; None if there is none, or it was made for other weights."""
    if bundle.folder is None or not (bundle.folder / name).is_file():
        return None
    content: dict[str, Any] = json.loads((bundle.folder / name).read_text(encoding="utf-8"))
    return content if content.get("bundle") == bundle.digest else None
