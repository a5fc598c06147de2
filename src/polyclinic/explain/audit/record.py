"""The results of an audit of explanations, as files beside the bundle."""

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
"""Mean rank correlation with a network of random weights at or above which a method fails."""


@dataclass(frozen=True)
class DeletionCurve(Record):
    """The logit as the units of one modality are removed, or restored, in the order of a method or baseline."""

    task: str
    modality: str
    kind: str  # deletion or insertion
    order: str
    area: Estimate  # under the curve, in units of the logit
    gain: Estimate  # in area over a random order; positive is better
    standard_errors: float | None  # gain / its standard error
    curve: Curve  # mean logit by share of units


@dataclass(frozen=True)
class Sanity(Record):
    """Similarity of a method's explanations under random weights."""

    method: str
    modality: str
    stage: str
    shown: Estimate  # rank correlation of the displayed scores
    absolute: Estimate  # of absolute scores


@dataclass(frozen=True)
class Verdict(Record):
    """Whether a method passed the randomisation check."""

    method: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Alike(Record):
    """Similarity of two explanations: under noise, or by two methods."""

    of: str
    modality: str
    shown: Estimate
    absolute: Estimate


@dataclass(frozen=True)
class Located(Record):
    """Localisation of known lesions by a method's maps."""

    method: str
    finding: str  # `all` or one
    pointing: Estimate
    iou: Estimate  # at the operating point


@dataclass(frozen=True)
class Known(Record):
    """A figure measured against ground truth, and its value by chance."""

    name: str
    method: str
    figure: Estimate
    chance: Estimate | None = None


@dataclass(frozen=True)
class Goal(Record):
    """A goal and whether it was met."""

    text: str
    target: float
    figure: Estimate
    met: bool


@dataclass(frozen=True)
class Audit(Record):
    """All measurements of a bundle's explanations."""

    bundle: str  # digest
    cohort: str  # fingerprint
    split: str
    tasks: tuple[str, ...]
    subjects: int
    checked: int  # subjects with random weights and noise
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
        """The methods that failed the randomisation check."""
        return tuple(one.method for one in self.verdicts if not one.passed)

    def save(self, folder: Path) -> None:
        """Write it beside the bundle, and the operating point if one was chosen."""
        write_text(folder / AUDIT, self.to_json() + "\n")
        if self.operating_point is not None:
            write_text(folder / OPERATING_POINT_FILE, self.operating_point.to_json() + "\n")


def verdicts_of(sanity: Iterable[Sanity], last: str) -> tuple[Verdict, ...]:
    """Return the verdict on each method: it passes if at stage `last` no correlation reaches `MOST_ALIKE`."""
    rows = [row for row in sanity if row.stage == last]
    verdicts = []
    for method in dict.fromkeys(row.method for row in rows):
        measured = [row for row in rows if row.method == method and row.shown.value is not None]
        alike = [row for row in measured if (row.shown.value or 0) >= MOST_ALIKE]
        if not measured:
            verdicts.append(Verdict(method, False, "its scores could not be compared: they do not differ"))
            continue
        figures = ", ".join(f"{row.modality} {row.shown}" for row in alike or measured)
        verb = "stays alike" if alike else "changes"
        verdicts.append(Verdict(method, not alike, f"{verb} when all learnt weights are random: {figures}"))
    return tuple(verdicts)


def stored_verdicts(bundle: Bundle) -> dict[str, Verdict]:
    """Return the verdicts of the audit beside a bundle; empty without one, or if it is of other weights."""
    content = read_for_bundle(bundle, AUDIT)
    return {} if content is None else {row["method"]: Verdict.from_dict(row) for row in content["verdicts"]}
