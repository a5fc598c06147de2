"""What a bundle says of one subject at one time: the one object that every page, export and message is made of.

It is immutable, numbered by its format, and equal after a trip through JSON. No field depends on an event after the
prediction time, but for the fingerprint of the cohort, which stands for all of it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import ValidationError

from polyclinic.assess.explanation import Explanation, Part, Similar
from polyclinic.evaluation import Difference, Estimate
from polyclinic.tasks import Kind

FORMAT: Final = 1

Measured = Literal["held_out", "cross_validation", "out_of_fold"]
"""Whom a figure was measured on: subjects kept apart, all by models of the same making, or those learnt from."""
Basis = Literal["calibration_and_networks", "calibration", "networks"]
"""What an interval spans: see `OutputEstimate`."""
Reason = Literal["not_asked", "nothing_recorded", "too_little", "unlike_development", "undecided", "nothing_fits"]


class AssessmentError(ValueError):
    """What was asked cannot be assessed, or a text holds no assessment; says what to do instead."""


class Operating(Part):
    """The threshold at which a probability becomes a call, and what such calls were worth."""

    threshold: float
    positive: bool  # the probability is at or above it
    sensitivity: Estimate
    ppv: Estimate
    measured: Measured


class OutputEstimate(Part):
    """One number: a calibrated probability, a risk by some time, or an estimate.

    The interval spans 95 % of what would be said had other development subjects been drawn to learn the calibration
    from (`calibration`), and had single networks of the folds spoken for all of them (`networks`: without calibration,
    the range of what each would say). It says how well this number is known. It does not cover what else would have
    been learnt from other subjects (features, classical models, weights of the members), nor whether this patient is
    like them, nor, for an estimate, how far the truth may lie from it: that is what conformal sets are for.
    """

    output: str  # yes, a class, a label, value, or the time by which an event is foretold
    value: float
    low: float | None = None
    high: float | None = None
    basis: Basis | None = None  # None: there is no interval
    operating: Operating | None = None


class ConformalSet(Part):
    """The answers that fit as well as the truth did in 90 % of the subjects it was tried on.

    The truth is among them as often: that is a promise about all subjects together who are like those, and none about
    this one. With `split` it is exact: the coverage of such sets lies, with 95 % confidence, between `coverage_low` and
    `coverage_high`. Without, the answers were given out of fold by models of the same making, and it is approximate.
    """

    output: str | None  # the label, of a task with several
    level: float
    answers: tuple[str, ...]  # empty: no answer fits, or the answer is a number
    low: float | None = None  # of a number
    high: float | None = None
    everything: bool  # it rules nothing out
    subjects: int  # whose scores it stands on
    split: str | None  # that was reserved for it; None: approximate
    coverage_low: float | None = None
    coverage_high: float | None = None

    @property
    def approximate(self) -> bool:
        """Whether the promise is not exact."""
        return self.split is None


class Cost(Part):
    """What it usually costs that some inputs are missing: a figure given only those present, beside that given all."""

    missing: tuple[str, ...]
    figure: str
    given: Estimate
    whole: Estimate
    difference: Difference | None


class Abstention(Part):
    """Why an answer should not be acted on."""

    reason: Reason
    text: str


class Answer(Part):
    """What is said to one task. Where it abstains, numbers may be there all the same, and are not to be relied on."""

    task: str
    kind: Kind
    question: str
    unit: str | None  # of an estimate
    prediction_time: datetime | None  # None: it cannot be asked
    outputs: tuple[OutputEstimate, ...] = ()
    sets: tuple[ConformalSet, ...] = ()
    cost: Cost | None = None  # None: nothing is missing, or what that costs was not measured
    abstentions: tuple[Abstention, ...] = ()
    explanation: Explanation | None = None  # None: not asked for, or there is nothing to explain

    @property
    def abstains(self) -> bool:
        """Whether there is any reason not to rely on it."""
        return bool(self.abstentions)

    @property
    def scale(self) -> str:
        """What the scores of its explanation are in."""
        return self.unit or "units of the answer" if self.kind == "regression" else "log-odds"


class CodeShare(Part):
    """A code, and the share of development samples that have it."""

    code: str
    share: float


class CodeCount(Part):
    """A code, and how many events have it."""

    code: str
    events: int


class Typicality(Part):
    """How unusual the record is: the shares of development samples that are no more so; 1: none is more so."""

    quantile: float  # by the more unusual of the parts
    latent: float | None  # in the networks' shared latent
    structured: float | None  # in the structured features
    far: bool  # beyond 99.5 % of them
    samples: int


class Record(Part):
    """What was known at one prediction time."""

    prediction_time: datetime
    events: int
    digest: str  # of the events read
    present: tuple[str, ...]
    missing: tuple[str, ...]
    usually_there: tuple[CodeShare, ...]  # codes that most development samples have, and this record has not
    unknown: tuple[CodeCount, ...]  # codes that training never showed, or too seldom: not read
    typicality: Typicality | None  # None: nothing is recorded, or the bundle cannot tell
    similar: tuple[Similar, ...] = ()  # patients of the training cohort, if it is the one that is asked


class Fingerprints(Part):
    """What the assessment was made of and with."""

    bundle: str
    cohort: str
    polyclinic: str


class Assessment(Part):
    """What a bundle says of one subject, with intervals, completeness, cautions and where it all comes from."""

    format: Literal[1] = FORMAT
    subject_id: int
    at: datetime | None  # the time asked for; None: the tasks' own
    records: tuple[Record, ...]  # one for each prediction time
    answers: tuple[Answer, ...]
    lacks: tuple[str, ...] = ()  # what the bundle could not tell, and why
    fingerprints: Fingerprints

    def __getitem__(self, task: str) -> Answer:
        """Give the answer to a task; raises `KeyError` with the tasks there are."""
        for answer in self.answers:
            if answer.task == task:
                return answer
        raise KeyError(f"no answer to {task!r}: there are {', '.join(answer.task for answer in self.answers)}")

    def record_of(self, answer: Answer) -> Record | None:
        """Give what an answer rests on; None for a question that cannot be asked."""
        return next((one for one in self.records if one.prediction_time == answer.prediction_time), None)

    def to_json(self, indent: int | None = 2) -> str:
        """Give the assessment as JSON text, without NaN or infinity."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            AssessmentError: the text is no assessment, or one of another format.
        """
        try:
            plain: Any = json.loads(text)
        except ValueError as problem:
            raise AssessmentError("this is not JSON: give what `polyclinic assess --json` printed") from problem
        found = plain.get("format") if isinstance(plain, dict) else None
        if found != FORMAT:
            other = "no assessment" if found is None else f"an assessment of format {found}"
            raise AssessmentError(f"this is {other}: this version reads format {FORMAT}; assess the patient again")
        try:
            return cls.model_validate_json(text)
        except ValidationError as problem:
            places = sorted({".".join(map(str, fault["loc"])) for fault in problem.errors()})
            raise AssessmentError(
                f"this assessment is damaged at {', '.join(places[:5])}: assess the patient again"
            ) from None
