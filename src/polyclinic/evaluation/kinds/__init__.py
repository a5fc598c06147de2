"""The kinds of task, each with its figures."""

from collections.abc import Mapping

from polyclinic.evaluation.kinds.base import Kind, Metric
from polyclinic.evaluation.kinds.binary import Binary
from polyclinic.evaluation.kinds.multiclass import Multiclass
from polyclinic.evaluation.kinds.multilabel import Multilabel
from polyclinic.evaluation.kinds.regression import Regression
from polyclinic.evaluation.kinds.time_to_event import TimeToEvent

KINDS: Mapping[str, type[Kind]] = {
    kind.name: kind for kind in (Binary, Multiclass, Multilabel, Regression, TimeToEvent)
}

__all__ = ["KINDS", "Binary", "Kind", "Metric", "Multiclass", "Multilabel", "Regression", "TimeToEvent"]
