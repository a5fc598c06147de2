"""What a measurement leaves: figures, rows of tables, curves; frozen, and equal after a trip through JSON."""

from dataclasses import dataclass, field

from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.metrics.calibration import ReliabilityBin
from polyclinic.evaluation.metrics.confusion import Confusion
from polyclinic.evaluation.metrics.decision_curve import DecisionPoint
from polyclinic.evaluation.record import Record


@dataclass(frozen=True)
class Row(Record):
    """The figures of one group of samples, or of one class. `caution` says why it is too small to trust, if it is."""

    table: str
    level: str
    n: int
    subjects: int
    cases: int | None
    figures: dict[str, Estimate]
    caution: str = ""

    @property
    def small(self) -> bool:
        """Whether the figures rest on too few subjects to be trusted."""
        return bool(self.caution)


@dataclass(frozen=True)
class Curve(Record):
    """Points of a curve, in order."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Histogram(Record):
    """How many predictions fell between `edges`, with and without the outcome."""

    edges: tuple[float, ...]
    positives: tuple[int, ...]
    negatives: tuple[int, ...]


@dataclass(frozen=True)
class Pictures(Record):
    """What the plots draw; each is empty where the kind of task has no such picture.

    Where there are several classes or horizons, they are the keys; otherwise the key is "".
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
    """Everything measured of one model on one task."""

    kind: str
    n: int  # samples whose answer is known
    unobserved: int  # samples whose answer is not: left out, never counted as negative
    subjects: int
    cases: int | None  # positives or events
    threshold: float | None
    figures: dict[str, Estimate]
    headline: tuple[str, ...] = ()  # the figures to name first
    pictures: Pictures = field(default_factory=Pictures)
    classes: tuple[Row, ...] = ()
    groups: tuple[Row, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        """Give a figure by name; raises `KeyError` with the names there are."""
        if name not in self.figures:
            raise KeyError(f"no figure {name!r}: there are {', '.join(self.figures)}")
        return self.figures[name]


@dataclass(frozen=True)
class Contender(Record):
    """One model (or one subset of modalities) among those compared, with its paired differences to the reference."""

    name: str
    figures: dict[str, Estimate]
    differences: dict[str, Difference]
    members: tuple[str, ...] = ()  # the modalities of a subset
    pictures: Pictures = field(default_factory=Pictures)


@dataclass(frozen=True)
class Comparison(Record):
    """Several models measured on the same samples; p values are adjusted (Holm) over the models, figure by figure."""

    kind: str
    n: int
    subjects: int
    cases: int | None
    reference: str
    headline: tuple[str, ...]
    contenders: tuple[Contender, ...]

    def __getitem__(self, name: str) -> Contender:
        """Give a contender by name; raises `KeyError` with the names there are."""
        for contender in self.contenders:
            if contender.name == name:
                return contender
        raise KeyError(f"no model {name!r}: there are {', '.join(c.name for c in self.contenders)}")
