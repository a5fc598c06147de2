"""Results of an evaluation: figures, rows of tables, curves; frozen, and saved as JSON."""

from dataclasses import dataclass, field

from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.metrics.calibration import ReliabilityBin
from polyclinic.evaluation.metrics.confusion import Confusion
from polyclinic.evaluation.metrics.decision_curve import DecisionPoint
from polyclinic.evaluation.record import Record


@dataclass(frozen=True)
class Row(Record):
    """The figures of one group of samples, or of one class; `caution` is the reason if it is too small.

    `with_outcome` and `without` are numbers of subjects, `n` and `cases` of samples.
    """

    table: str
    level: str
    n: int
    subjects: int
    cases: int | None
    figures: dict[str, Estimate]
    caution: str = ""
    with_outcome: int | None = None
    without: int | None = None

    @property
    def small(self) -> bool:
        """Whether there are too few subjects or cases for reliable figures."""
        return bool(self.caution)


@dataclass(frozen=True)
class Curve(Record):
    """Points of a curve, in order."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Histogram(Record):
    """Numbers of predictions between `edges`, with and without the outcome."""

    edges: tuple[float, ...]
    positives: tuple[int, ...]
    negatives: tuple[int, ...]


@dataclass(frozen=True)
class PlotData(Record):
    """The data of the plots; empty where the kind of task has no such plot.

    The keys are the classes or horizons where there are several, otherwise "".
    """

    roc: dict[str, Curve] = field(default_factory=dict)
    precision_recall: dict[str, Curve] = field(default_factory=dict)
    reliability: dict[str, tuple[ReliabilityBin, ...]] = field(default_factory=dict)
    histogram: Histogram | None = None
    decision: tuple[DecisionPoint, ...] = ()
    confusion: Confusion | None = None
    confusion_matrix: tuple[tuple[int, ...], ...] = ()  # truth by prediction, in the order of the classes


@dataclass(frozen=True)
class Evaluation(Record):
    """The results of one model on one task."""

    kind: str
    n: int  # samples with a known truth
    unobserved: int  # samples without: left out, never counted as negative
    subjects: int
    cases: int | None  # positives or events
    threshold: float | None
    figures: dict[str, Estimate]
    headline: tuple[str, ...] = ()  # the figures to name first
    pictures: PlotData = field(default_factory=PlotData)
    classes: tuple[Row, ...] = ()
    groups: tuple[Row, ...] = ()
    sets: tuple[Row, ...] = ()  # coverage of the conformal sets, see `prediction_sets.set_coverage`
    with_outcome: int | None = None  # subjects with a case
    without: int | None = None  # subjects with a sample that is none

    def __getitem__(self, name: str) -> Estimate:
        """Return a figure by name; raise `KeyError` with the available names."""
        if name not in self.figures:
            raise KeyError(f"no figure {name!r}: there are {', '.join(self.figures)}")
        return self.figures[name]


@dataclass(frozen=True)
class Contender(Record):
    """One of the compared models (or subsets of modalities), with its paired differences from the reference."""

    name: str
    figures: dict[str, Estimate]
    differences: dict[str, Difference]
    members: tuple[str, ...] = ()  # the modalities of a subset
    pictures: PlotData = field(default_factory=PlotData)


@dataclass(frozen=True)
class Comparison(Record):
    """Several models on the same samples; p values are adjusted (Holm) over the models, for each figure."""

    kind: str
    n: int
    subjects: int
    cases: int | None
    reference: str
    headline: tuple[str, ...]
    contenders: tuple[Contender, ...]

    def __getitem__(self, name: str) -> Contender:
        """Return a contender by name; raise `KeyError` with the available names."""
        for contender in self.contenders:
            if contender.name == name:
                return contender
        raise KeyError(f"no model {name!r}: there are {', '.join(c.name for c in self.contenders)}")
