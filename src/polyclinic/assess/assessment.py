"""The assessment of one subject at one time: the object from which every page, export and message is made.

It is immutable, has a format number, and is equal after a round trip through JSON. No field depends on an event after
the prediction time, except the fingerprint of the whole cohort.
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
"""What a figure was measured on: held-out subjects, all subjects by cross-validation, or out-of-fold predictions."""
Basis = Literal["refits", "networks", "calibration_and_networks", "calibration"]
"""Sources of variation in an interval: see `OutputEstimate`; the last two are those of earlier versions."""
Reason = Literal[
    "not_asked", "nothing_recorded", "too_little", "unlike_development", "uncertain", "undecided", "nothing_fits"
]
"""Why an answer abstains; `nothing_fits` is of earlier versions."""


class AssessmentError(ValueError):
    """The request cannot be assessed, or a text is not an assessment; the message gives the remedy."""


class Operating(Part):
    """The threshold of an output, whether the probability reaches it, and its measured performance."""

    threshold: float
    positive: bool  # the probability is at or above the threshold
    uncertain: bool = False  # the interval reaches from below half to above double the threshold's odds
    sensitivity: Estimate
    ppv: Estimate
    measured: Measured


class OutputEstimate(Part):
    """One output: a calibrated probability, a cumulative risk, or an estimate.

    The interval `refits` holds the answer that the same study, fitted to other development subjects, would give, with
    about 95 % probability. `networks` is only the range over the folds' networks. Neither reflects whether this patient
    resembles the development subjects, nor, for an estimate, the prediction error: see the conformal sets.
    """

    output: str  # yes, a class, a label, value, or `by 30 day` for the risk by that time
    value: float
    low: float | None = None
    high: float | None = None
    basis: Basis | None = None  # None: no interval
    operating: Operating | None = None


class ConformalSet(Part):
    """The answers that cannot be excluded, with the one that the model gives: the call, or the most probable class.

    Of the subjects of whom an answer is true, at least 90 % have it in their set: those with the outcome, and those
    without. This holds over subjects exchangeable with those of the calibration, not for this one. With `split` it is
    exact, and the coverage of each answer lies with 95 % confidence between `coverage_low` and `coverage_high` (if the
    given answer does not add to it). Without, it is approximate: the scores are from out-of-fold predictions.
    """

    output: str | None  # the label, for a task with several
    level: float
    answers: tuple[str, ...]  # empty: the answer is a number
    low: float | None = None  # of a regression
    high: float | None = None
    everything: bool  # no answer is excluded
    subjects: int  # in the calibration
    never_excluded: tuple[str, ...] = ()  # answers of which too few such subjects are known to exclude them
    split: str | None  # reserved for calibration; None: approximate
    coverage_low: float | None = None
    coverage_high: float | None = None

    @property
    def approximate(self) -> bool:
        """Whether the coverage is approximate."""
        return self.split is None


class Cost(Part):
    """The cost of missing inputs: a metric with only the inputs present, and with all."""

    missing: tuple[str, ...]
    figure: str
    given: Estimate
    whole: Estimate
    difference: Difference | None


class Abstention(Part):
    """A reason not to act on an answer."""

    reason: Reason
    text: str


class Answer(Part):
    """The answer to one task. If it abstains, outputs may be present but must not be relied on."""

    task: str
    kind: Kind
    question: str
    unit: str | None  # of a regression
    prediction_time: datetime | None  # None: the task does not apply
    outputs: tuple[OutputEstimate, ...] = ()
    sets: tuple[ConformalSet, ...] = ()
    cost: Cost | None = None  # None: no input is missing, or the cost was not measured
    abstentions: tuple[Abstention, ...] = ()
    explanation: Explanation | None = None  # None: not requested, or no output to explain

    @property
    def abstains(self) -> bool:
        """Whether there is a reason not to rely on it."""
        return bool(self.abstentions)

    @property
    def scale(self) -> str:
        """Unit of the explanation's scores."""
        return self.unit or "units of the answer" if self.kind == "regression" else "log-odds"


class CodeShare(Part):
    """A code and the share of development samples that have it."""

    code: str
    share: float


class CodeCount(Part):
    """A code and the number of its events."""

    code: str
    events: int


class Typicality(Part):
    """How unusual the record is, as quantiles among the development samples; 1: none is more unusual."""

    quantile: float  # of the more unusual of the two parts
    latent: float | None  # in the networks' shared latent
    structured: float | None  # in the structured features
    far: bool  # beyond 99.5 % of the development samples
    samples: int


class Record(Part):
    """The record as of one prediction time."""

    prediction_time: datetime
    events: int
    digest: str  # of the events read
    present: tuple[str, ...]
    missing: tuple[str, ...]
    usually_there: tuple[CodeShare, ...]  # codes that most development samples have and this record lacks
    unknown: tuple[CodeCount, ...]  # codes absent or too rare in training: not read
    typicality: Typicality | None  # None: nothing is recorded, or the bundle has no reference
    unusable: tuple[str, ...] = ()  # missing inputs of which something was recorded that cannot be used
    unusable_blobs: tuple[str, ...] = ()  # why images and waveforms cannot be used, with what to do
    similar: tuple[Similar, ...] = ()  # training patients, if the cohort is that of the training


class Fingerprints(Part):
    """Versions of the bundle, the cohort and the program."""

    bundle: str
    cohort: str
    polyclinic: str


class Assessment(Part):
    """The answers of a bundle for one subject, with intervals, completeness, cautions and provenance."""

    format: Literal[1] = FORMAT
    subject_id: int
    at: datetime | None  # the requested time; None: the tasks' own
    records: tuple[Record, ...]  # one for each prediction time
    answers: tuple[Answer, ...]
    lacks: tuple[str, ...] = ()  # what the bundle could not provide, and why
    fingerprints: Fingerprints

    def __getitem__(self, task: str) -> Answer:
        """Return the answer to a task; raises `KeyError` listing the tasks."""
        for answer in self.answers:
            if answer.task == task:
                return answer
        raise KeyError(f"no answer to {task!r}: there are {', '.join(answer.task for answer in self.answers)}")

    def record_of(self, answer: Answer) -> Record | None:
        """Return the record that an answer is based on; None if the task does not apply."""
        return next((record for record in self.records if record.prediction_time == answer.prediction_time), None)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the assessment as JSON, without NaN or infinity."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            AssessmentError: the text is not an assessment, or is of another format.
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
