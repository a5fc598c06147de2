"""The sections of a card on data, predictors, models and statements: TRIPOD+AI's items that are not figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.attribute_texts import source_attributes
from polyclinic.evaluation.report.baseline import baseline_table
from polyclinic.evaluation.report.contents import Card
from polyclinic.evaluation.report.description import Description, DevelopmentFacts, MeasuredFacts, in_columns
from polyclinic.evaluation.report.development_shift import NOTABLE, development_shift, shift_table
from polyclinic.evaluation.report.document import Block, Bullets, Cell, Heading, Paragraph, Table
from polyclinic.evaluation.report.flow import CohortFacts, Flow, flow_table, rejects_table, sources_table
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.source_attributes import remedy
from polyclinic.evaluation.small_counts import FEW

MOST_DIFFERENCES = 15
"""Differences from development that are listed."""
MOST_CODES = 30
"""Codes of which the recording is listed; all are in card.json."""
OUT_OF_FOLD = (
    "Of the development samples, answered by models that were not fitted to them; the combination and the calibration "
    "were fitted to these answers, so that the figures are slightly optimistic."
)


def description_blocks(card: Card) -> Iterator[Block]:
    """Yield the sections; none without a description."""
    described = card.description
    if described is None:
        return
    development, measured = described.development, described.measured
    yield from _data(described)
    if development is not None:
        yield Heading("Eligibility and outcome")
        yield Bullets((development.task.eligibility, development.task.outcome, development.task.output))
    yield from _baseline(development, measured)
    if development is not None:
        yield from _predictors(development)
        yield from _recorded(development, measured)
        if measured is not None:
            yield from _shift(development, measured)
        yield from _model(development)
    yield from _statements(card)


def _data(described: Description) -> Iterator[Block]:
    development, measured = described.development, described.measured
    yield Heading("Data source and flow")
    yield Paragraph(f"Setting: {described.about.setting or 'not stated (key: setting)'}.".replace("..", "."))
    cohorts: dict[str, tuple[CohortFacts, Flow]] = {}
    if development is not None and (measured is None or described.external):
        cohorts["Development cohort"] = (development.cohort, development.flow)
    if measured is not None:
        title = "Measured cohort" if described.external else "Cohort"
        cohorts[title] = (measured.cohort, measured.flow)
    for title, (cohort, flow) in cohorts.items():
        yield Heading(title, 3)
        yield Paragraph(f"{cohort.subjects:,} subjects, {cohort.events:,} events; {cohort.dates}.")
        if cohort.sources:
            yield sources_table(cohort)
        yield flow_table(flow)
        if flow.rejects:
            yield Paragraph("Records rejected at ingest:")
            yield rejects_table(flow)


def _baseline(development: DevelopmentFacts | None, measured: MeasuredFacts | None) -> Iterator[Block]:
    parts = {"Development": development, "Measured": measured}
    found = {name: own.baseline for name, own in parts.items() if own is not None and own.baseline.columns}
    if found:
        yield Heading("Baseline characteristics")
        yield Paragraph(
            "At the prediction time, by sample. Numbers: median [quartiles], and samples with a value. Counts of fewer "
            "than 5 subjects, and those from which such a count would follow, are not shown."
        )
        for name, own in found.items():
            yield baseline_table({name: own})


def _predictors(development: DevelopmentFacts) -> Iterator[Block]:
    yield Heading("Predictors")
    rows: list[tuple[Cell, ...]] = [
        (modality, len(codes), ", ".join(codes[:MOST_CODES]) + (" …" if len(codes) > MOST_CODES else ""))
        for modality, codes in development.predictors.items()
    ]
    yield Table(("Input", "Codes", "Names"), tuple(rows), words=frozenset({0, 2}))


def _recorded(development: DevelopmentFacts, measured: MeasuredFacts | None) -> Iterator[Block]:
    if not development.recorded:
        return
    yield Heading("Missing predictors")
    names = sorted(development.recorded, key=lambda code: (-(development.recorded[code] or 0), code))
    more = f" The {MOST_CODES} most often recorded of {len(names)}." if len(names) > MOST_CODES else ""
    yield Paragraph(f"Share of the samples that have the code at the prediction time.{more}")
    header = ("Code", "Recorded in development", *(("Recorded in measured",) if measured else ()))
    shares = [development.recorded] + ([measured.recorded] if measured else [])
    yield Table(header, tuple((code, *(_share(own, code) for own in shares)) for code in names[:MOST_CODES]))


def _shift(development: DevelopmentFacts, measured: MeasuredFacts) -> Iterator[Block]:
    differences = development_shift(development, measured)
    if not differences or measured.baseline == development.baseline:
        return
    yield Heading("Shift from development")
    notable = sum(own.standardised is None or abs(own.standardised) >= NOTABLE for own in differences)
    unlike = measured.unlike_development
    novel = "" if unlike is None else f" {percent(unlike, 1)} of the samples with any input are unlike development."
    yield Paragraph(
        f"{notable} of {len(differences)} characteristics differ by a standardised difference of {NOTABLE} or more; "
        f"those of outcome, age and sex, and the {MOST_DIFFERENCES} largest others.{novel}"
    )
    yield shift_table(differences, MOST_DIFFERENCES)


def _share(shares: Mapping[str, float | None], code: str) -> str:
    share = shares.get(code, 0.0)
    return f"{FEW} samples" if share is None else percent(share, 1)


def _model(development: DevelopmentFacts) -> Iterator[Block]:
    yield Heading("Models and their weights")
    inputs = list(dict.fromkeys(given for member in development.members for given in member.weights))
    complete = max(inputs, key=lambda given: given.count("+"), default=None)
    title = f"Weight, given {complete}" if complete else "Weight"
    rows: list[tuple[Cell, ...]] = [
        (m.name, f"{m.weights[complete]:.3f}" if complete in m.weights else "–", in_columns(m.hyperparameters))
        for m in development.members
    ]
    yield Table(("Member", title, "Hyper-parameters"), tuple(rows), words=frozenset({0, 2}))
    yield Heading("Sample size of development")
    yield Paragraph(f"{development.sample_size} Method: {development.sample_size.method}.")
    if development.out_of_fold:
        yield Heading("Performance in development")
        yield Paragraph(OUT_OF_FOLD)
        yield Table(
            ("Estimate", "Value [95 %]", "n"),
            tuple((term(name).label, figure, figure.n) for name, figure in development.out_of_fold.items()),
        )


def _statements(card: Card) -> Iterator[Block]:
    yield Heading("Source attributes")
    yield Paragraph("Those of HTI-1, 45 CFR 170.315(b)(11)(iv)(B): stated by people, or computed by the program.")
    lines: list[tuple[Cell, ...]] = []
    spans: set[int] = set()
    previous = ""
    for group, name, value in source_attributes(card).items():
        if group != previous:
            spans.add(len(lines))
            lines.append((group,))
            previous = group
        words = name.replace("_", " ").capitalize()
        lines.append((words, value.text if value else remedy(group, name), value.source if value else "–"))
    yield Table(("Attribute", "", "Source"), tuple(lines), words=frozenset({0, 1, 2}), spans=frozenset(spans))
