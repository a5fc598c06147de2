"""One featurizer per modality: events known at a prediction time → arrays, fitted on training subjects only.

Names are loaded when first asked for, so that importing this package costs nothing and brings no torch in.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyclinic.features.featurizer import Arrays, Featurizer, NotFittedError, sample_rows

_HOME = {
    "Arrays": "featurizer",
    "Featurizer": "featurizer",
    "NotFittedError": "featurizer",
    "sample_rows": "featurizer",
}

__all__ = ["Arrays", "Featurizer", "NotFittedError", "sample_rows"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
