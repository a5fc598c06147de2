"""One model of the whole patient: multimodal clinical machine learning, measured honestly.

`Cohort`, `Task`, `Study`, `Bundle` and `plot` are loaded when first used, so that `import polyclinic` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyclinic import plot
    from polyclinic.cohort import Cohort
    from polyclinic.models.bundle import Bundle
    from polyclinic.tasks import Task
    from polyclinic.training.evaluate import evaluate
    from polyclinic.training.study import Study

_HOME = {
    "Bundle": "polyclinic.models.bundle",
    "Cohort": "polyclinic.cohort",
    "Study": "polyclinic.training.study",
    "Task": "polyclinic.tasks",
    "evaluate": "polyclinic.training.evaluate",
}

__all__ = ["Bundle", "Cohort", "Study", "Task", "evaluate", "plot"]


def __getattr__(name: str) -> Any:
    if name == "plot":
        return import_module("polyclinic.plot")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
