"""Where the data come from, and the flow of subjects from the cohort to development and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyclinic.evaluation.record import Record
from polyclinic.evaluation.report.document import Cell, Table
from polyclinic.evaluation.small_counts import FEW, Hidden, hidden_text

NO_OUTCOME = "–"
"""In place of a number with the outcome, of tasks without yes or no."""


@dataclass(frozen=True)
class SourceFacts(Record):
    """A source of a cohort; None where it is not recorded, or `few` subjects have an event of it."""

    name: str
    reader: str
    subjects: int | None = None  # with an event that it contains; subjects of several sources count in each
    events: int | None = None
    few: bool = False


@dataclass(frozen=True)
class CohortFacts(Record):
    """A cohort: its sources, numbers, and dates."""

    fingerprint: str
    subjects: int
    events: int
    sources: tuple[SourceFacts, ...] = ()
    first: str | None = None  # month of the first event other than a birth, or hours since the nominal origin
    last: str | None = None
    nominal: bool = False  # times count from a nominal origin, and are no dates
    clock: str | None = None

    @property
    def dates(self) -> str:
        """First and last time, in words."""
        if self.first is None or self.last is None:
            return "no times are recorded"
        if self.nominal:
            return f"no dates: times count from a nominal origin, {self.first} to {self.last}"
        clock = {"UTC": ", in UTC", "local": ", in local time"}.get(self.clock or "", "")
        return f"{self.first} to {self.last}{clock}"


@dataclass(frozen=True)
class RejectFacts(Record):
    """Records of a source that were rejected for one reason."""

    source: str
    reason: str
    records: int


@dataclass(frozen=True)
class Part(Record):
    """Samples that are learnt from, reserved, or measured.

    `cases` are those with the outcome or event: None for tasks without one, and where `hidden` says why: fewer than 5
    subjects have it, or fewer than 5 do not.
    """

    name: str
    subjects: int
    samples: int
    labelled: int
    cases: int | None = None
    hidden: Hidden = ""


@dataclass(frozen=True)
class Flow(Record):
    """The flow of one task in one cohort; what is left out is counted by reason."""

    subjects: int
    excluded: dict[str, int]  # subjects or prediction times
    eligible_subjects: int
    eligible_samples: int
    unlabelled: dict[str, int]  # samples
    labelled_subjects: int
    labelled_samples: int
    parts: tuple[Part, ...] = ()
    rejects: tuple[RejectFacts, ...] = ()


def flow_table(flow: Flow) -> Table:
    """List the steps of the flow, and what each leaves out."""
    lines: list[tuple[Cell, ...]] = []
    spans = set()
    for title, rows in _steps(flow):
        if title:
            spans.add(len(lines))
            lines.append((title,))
        lines += rows
    return Table(("", "Subjects", "Samples", "With outcome"), tuple(lines), spans=frozenset(spans))


def _steps(flow: Flow) -> Iterator[tuple[str, list[tuple[Cell, ...]]]]:
    yield "", [("In the cohort", flow.subjects, "", "")]
    if flow.excluded:
        title = "Left out before prediction (subjects, or times where there are several)"
        yield title, [(reason, number, "", "") for reason, number in flow.excluded.items()]
    yield "Remaining", [("With a prediction time", flow.eligible_subjects, flow.eligible_samples, "")]
    if flow.unlabelled:
        rows: list[tuple[Cell, ...]] = [(why, "", number, "") for why, number in flow.unlabelled.items()]
        yield "Outcome unknown, and left out (never counted as negative)", rows
    rows = [("With a known outcome", flow.labelled_subjects, flow.labelled_samples, "")]
    yield "Labelled", rows + [(p.name, p.subjects, p.labelled, _cases(p)) for p in flow.parts]


def _cases(part: Part) -> Cell:
    if part.hidden:
        return hidden_text(part.hidden)
    return NO_OUTCOME if part.cases is None else part.cases


def rejects_table(flow: Flow) -> Table:
    """List the rejected records by source and reason."""
    rows = [(reject.source, reject.reason, reject.records) for reject in flow.rejects]
    return Table(("Source", "Reason", "Records"), tuple(rows), words=frozenset({0, 1}))


def sources_table(cohort: CohortFacts) -> Table:
    """List the sources of a cohort."""
    rows = tuple((own.name, own.reader, FEW if own.few else own.subjects, own.events) for own in cohort.sources)
    return Table(("Source", "Reader", "Subjects", "Events"), rows, words=frozenset({0, 1}))
