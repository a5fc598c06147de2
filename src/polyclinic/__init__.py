"""One model of the whole patient: multimodal clinical machine learning, measured honestly.

The names in `__all__` are loaded when first used, so that `import polyclinic` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyclinic import plot
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.study import Study
    from polyclinic.tasks import Task
    from polyclinic.training.evaluation.evaluate import evaluate
    from polyclinic.training.fit import fit

_HOME = {
    "Bundle": "polyclinic.models.bundle.bundle",
    "Cohort": "polyclinic.cohort",
    "Study": "polyclinic.study",
    "Task": "polyclinic.tasks",
    "evaluate": "polyclinic.training.evaluation.evaluate",
    "fit": "polyclinic.training.fit",
}

__all__ = ["Bundle", "Cohort", "Study", "Task", "evaluate", "fit", "plot"]


def __getattr__(name: str) -> Any:
    if name == "plot":
        return import_module("polyclinic.plot")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
