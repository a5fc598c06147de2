"""What a card, or a page, of one model on one task is made from."""

from dataclasses import dataclass, field

from polyclinic.evaluation.record import Record
from polyclinic.evaluation.report.caveats import caveats
from polyclinic.evaluation.report.description import Description
from polyclinic.evaluation.results import Comparison, Evaluation
from polyclinic.evaluation.small_counts import without_small

RESEARCH = "Research, and the comparison of models on cohorts like the one described here."
NOT_FOR = (
    "Decisions about patients without clinical judgement.",
    "Other hospitals, devices or populations before validation there.",
)


@dataclass(frozen=True)
class Card(Record):
    """Contents of the card, or page, of one model on one task; tables and plots are derived from the evaluation."""

    model: str
    task: str
    question: str  # one sentence
    evaluation: Evaluation
    inputs: tuple[str, ...] = ()
    data: dict[str, str | int] = field(default_factory=dict)  # of the cohort, in order
    splits: dict[str, int] = field(default_factory=dict)  # subjects by split
    comparison: Comparison | None = None
    subsets: Comparison | None = None
    operating: str = ""  # the threshold and how it was chosen, one sentence
    intended_use: tuple[str, ...] = (RESEARCH,)
    not_for: tuple[str, ...] = NOT_FOR
    limits: tuple[str, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)  # versions, seed, fingerprints
    calibration_plot: str | None = None  # path relative to the card
    synthetic: bool = False
    description: Description | None = None  # of data and model
    found: tuple[str, ...] = ()  # cautions of other checks: of inputs that reveal the outcome, of unusual values

    @property
    def caveats(self) -> tuple[str, ...]:
        """Cautions of other checks, and those derived from the figures."""
        found = caveats(self.evaluation, self.comparison, self.subsets, self.model, self.synthetic, self.found)
        return tuple(without_small(text) for text in found)
