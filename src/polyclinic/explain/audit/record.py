"""What an audit of explanations leaves: figures, verdicts, and the dial; as files beside the bundle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from polyclinic.evaluation import Estimate
from polyclinic.evaluation.record import Record
from polyclinic.evaluation.results import Curve
from polyclinic.explain.audit.froc import Froc
from polyclinic.explain.localisation.operating_point import OPERATING_POINT_FILE, OperatingPoint, read_for_bundle
from polyclinic.files import write_text
from polyclinic.models.bundle.bundle import Bundle

AUDIT, PAGE = "explain_audit.json", "explain_audit.html"
MOST_ALIKE = 0.5
"""Mean rank correlation with a network of random weights, at or above which a method fails."""


@dataclass(frozen=True)
class DeletionCurve(Record):
    """How the logit goes as the units of one modality go, or come, in one order: that of a method, or a baseline's."""

    task: str
    modality: str
    kind: str  # deletion or insertion
    order: str
    area: Estimate  # under the curve, in units of the logit
    gain: Estimate  # on a random order: how much sooner it falls, or rises; positive is better
    standard_errors: float | None  # the gain, in these
    curve: Curve  # mean logit over the share of units


@dataclass(frozen=True)
class Sanity(Record):
    """How alike a method's explanations stay when weights are drawn anew."""

    method: str
    modality: str
    stage: str
    shown: Estimate  # rank correlation of what people are shown
    absolute: Estimate  # without regard to signs


@dataclass(frozen=True)
class Verdict(Record):
    """Whether a method passed the check of randomised weights."""

    method: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Alike(Record):
    """How alike two explanations are: under noise, or of two methods."""

    of: str
    modality: str
    shown: Estimate
    absolute: Estimate


@dataclass(frozen=True)
class Located(Record):
    """How well a method's maps find known lesions."""

    method: str
    finding: str  # `all` or one
    pointing: Estimate
    iou: Estimate  # at the dial's setting


@dataclass(frozen=True)
class Known(Record):
    """One figure held against what is known to be true, and what chance would give."""

    name: str
    method: str
    figure: Estimate
    chance: Estimate | None = None


@dataclass(frozen=True)
class Goal(Record):
    """What was to be reached, and whether it was."""

    text: str
    target: float
    figure: Estimate
    met: bool


@dataclass(frozen=True)
class Audit(Record):
    """Everything measured of a bundle's explanations."""

    bundle: str  # digest
    cohort: str  # fingerprint
    split: str
    tasks: tuple[str, ...]
    subjects: int
    checked: int  # subjects of randomised weights and noise
    seed: int
    courses: tuple[DeletionCurve, ...] = ()
    sanity: tuple[Sanity, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    stability: tuple[Alike, ...] = ()
    agreement: tuple[Alike, ...] = ()
    located: tuple[Located, ...] = ()
    froc: dict[str, Froc] = field(default_factory=dict)  # by method, on the split
    operating_point: OperatingPoint | None = None
    known: tuple[Known, ...] = ()
    goals: tuple[Goal, ...] = ()
    skipped: tuple[str, ...] = ()  # what was not measured, and why

    @property
    def failed(self) -> tuple[str, ...]:
        """The methods that failed the check of randomised weights."""
        return tuple(one.method for one in self.verdicts if not one.passed)

    def save(self, folder: Path) -> None:
        """Write it beside the bundle, and the dial if one was chosen."""
        write_text(folder / AUDIT, self.to_json() + "\n")
        if self.operating_point is not None:
            write_text(folder / OPERATING_POINT_FILE, self.operating_point.to_json() + "\n")


def judged(sanity: Iterable[Sanity], last: str) -> tuple[Verdict, ...]:
    """Say of each method whether it passed: at the stage `last`, for every modality, it stays less than half alike."""
    rows = [row for row in sanity if row.stage == last]
    verdicts = []
    for method in dict.fromkeys(row.method for row in rows):
        measured = [row for row in rows if row.method == method and row.shown.value is not None]
        alike = [row for row in measured if (row.shown.value or 0) >= MOST_ALIKE]
        if not measured:
            verdicts.append(Verdict(method, False, "its scores could not be compared: they do not differ"))
            continue
        told = ", ".join(f"{row.modality} {row.shown}" for row in alike or measured)
        verb = "stays alike" if alike else "changes"
        verdicts.append(Verdict(method, not alike, f"{verb} when all learnt weights are random: {told}"))
    return tuple(verdicts)


def stored_verdicts(bundle: Bundle) -> dict[str, Verdict]:
    """Give what the audit beside a bundle says of each method; nothing without one, or one of other weights."""
    told = read_for_bundle(bundle, AUDIT)
    return {} if told is None else {one["method"]: Verdict.from_dict(one) for one in told["verdicts"]}
