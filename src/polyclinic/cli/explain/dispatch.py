"""The methods by which `polyclinic explain` answers, each for the kinds of input that it suits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from rich.console import RenderableType

from polyclinic.cli.explain.counterfactual import CounterfactualPart
from polyclinic.cli.explain.formatting import Part
from polyclinic.cli.explain.image import ImagePart, Setting
from polyclinic.cli.explain.note import NotePart
from polyclinic.cli.explain.reliability import Trust, audited
from polyclinic.cli.explain.series import SeriesPart
from polyclinic.cli.explain.shapley import MembersPart, ModalitiesPart
from polyclinic.cli.explain.structured import StructuredPart
from polyclinic.cli.explain.target import Question
from polyclinic.cohort import Cohort
from polyclinic.explain.attribution import Attribution
from polyclinic.explain.counterfactual import counterfactuals, plausible_ranges
from polyclinic.explain.inputs.baseline import Baseline, training_means, usual_of
from polyclinic.explain.localisation.operating_point import stored_operating_point
from polyclinic.explain.methods.attention_rollout import ROLLOUT
from polyclinic.explain.methods.integrated_gradients import METHOD
from polyclinic.explain.methods.registry import EXPLAINERS
from polyclinic.explain.methods.saliency_maps import saliency_map
from polyclinic.explain.sample import ExplanationError
from polyclinic.explain.shapley.classical_models import TREE, explain_member, rule_path
from polyclinic.explain.shapley.modalities import modality_shapley
from polyclinic.features import NoteFeaturizer, StructuredFeaturizer
from polyclinic.models.bundle.bundle import Bundle

ALL, SHAPLEY, COUNTERFACTUAL = "all", "shapley", "counterfactual"


class Wish(NamedTuple):
    """What is to be explained, and how; None: as is best."""

    modality: str
    method: str | None = None
    baseline: str | None = None
    sensitivity: float | None = None


@dataclass(frozen=True)
class ExplanationView:
    """One explanation: a part to show, and how far to trust it; or why there is none."""

    question: Question
    modality: str
    trust: Trust | None = None
    part: Part | None = None
    absent: str = ""

    def lines(self) -> Iterator[RenderableType]:
        """Give it for people."""
        if self.part is None or self.trust is None:
            yield f"absent: {self.absent}"
            return
        yield from self.part.lines()
        yield from self.trust.lines()

    def to_dict(self) -> dict[str, Any]:
        """Give JSON values."""
        part = None if self.part is None else self.part.to_dict()
        trust = {"method": None} if self.trust is None else self.trust.to_dict()
        return trust | {"absent": self.absent or None, self.modality: part}

    def draw(self) -> Figure | None:
        """Plot it; None where there is nothing to show."""
        return None if self.part is None else self.part.draw()


def explained(bundle: Bundle, cohort: Cohort, question: Question, wish: Wish) -> ExplanationView:
    """Explain one answer in one kind of input.

    Raises:
        ExplanationError: the bundle does not read such input, or the method suits neither it nor the model.
        ImageError: a picture is missing or damaged.
    """
    if wish.modality not in (ALL, *bundle.inputs):
        raise ExplanationError(f"the bundle reads no {wish.modality}: choose from {', '.join((ALL, *bundle.inputs))}")
    present = question.sample.present
    if wish.modality not in present and not (wish.modality == ALL and present):
        what = "nothing that the bundle reads" if wish.modality == ALL else f"no {wish.modality}"
        there = f"; there are {', '.join(present)}" if present else ""
        return ExplanationView(question, wish.modality, absent=f"{what} was recorded by then{there}")
    method = wish.method or _best(bundle, wish)
    if method == SHAPLEY:
        return _modalities(bundle, question) if wish.modality == ALL else _members(bundle, question)
    if method == COUNTERFACTUAL:
        return _counterfactual(bundle, cohort, question, wish.modality)
    found = _attribution(bundle, cohort, question, wish, method)
    scale = question.scale if method == METHOD else "share"
    return ExplanationView(
        question, wish.modality, Trust.of(bundle, found), _part(bundle, question, found, wish, scale)
    )


def _best(bundle: Bundle, wish: Wish) -> str:
    """Choose integrated gradients; of pictures the method that the dial was chosen for; without a network, others."""
    if wish.baseline is not None:
        return METHOD
    if wish.modality == ALL or (wish.modality == "structured" and not bundle.ensemble.networks):
        return SHAPLEY
    operating_point = stored_operating_point(bundle) if wish.modality == "image" else None
    return METHOD if operating_point is None else operating_point.method


def _attribution(bundle: Bundle, cohort: Cohort, question: Question, wish: Wish, method: str) -> Attribution:
    options: dict[str, Any] = {}
    if method == METHOD and wish.baseline is not None:
        options["baseline"] = _baseline(bundle, cohort, wish.baseline)
    elif method == ROLLOUT:
        options["modality"] = wish.modality
    elif EXPLAINERS.get(method, saliency_map) is saliency_map:
        options["method"] = method
    return EXPLAINERS.get(method, saliency_map)(
        bundle, question.sample, question.task.name, question.output.name, **options
    )


def _baseline(bundle: Bundle, cohort: Cohort, name: str) -> Baseline:
    if name != "usual":
        return Baseline(name, training_means(bundle, cohort) if name == "mean" else None)  # type: ignore[arg-type]
    usual = usual_of(bundle.reference)
    if usual.name != "usual":
        raise ExplanationError("the bundle knows no usual input: choose another baseline, or train it again")
    return usual


def _part(bundle: Bundle, question: Question, found: Attribution, wish: Wish, scale: str) -> Part:
    if wish.modality == "image":
        operating_point = stored_operating_point(bundle) if audited(bundle, found) else None
        setting = Setting.of(operating_point, found.method, wish.sensitivity)
        adds = scale if found.completeness else ""
        return ImagePart.of(question.sample, found.pictures, setting, adds)
    if wish.modality == "structured":
        return StructuredPart(found["structured"], scale)
    if wish.modality == "series":
        return SeriesPart(found["series"], scale)
    featurizer = bundle.features.featurizers["note"]
    assert isinstance(featurizer, NoteFeaturizer)
    (layout,) = featurizer.layouts(question.sample.known, question.sample.frame)
    return NotePart(found["note"], layout.notes, scale)


def _modalities(bundle: Bundle, question: Question) -> ExplanationView:
    found = modality_shapley(bundle, question.sample, question.task.name, question.output.name)
    trust = Trust(SHAPLEY, residual=found.answer.residual, exact=True)
    return ExplanationView(question, ALL, trust, ModalitiesPart(found, question))


def _members(bundle: Bundle, question: Question) -> ExplanationView:
    """Ask every classical model that reads structured features and can answer."""
    task, output, sample = question.task.name, question.output.name, question.sample
    members = bundle.ensemble.tasks[task].members
    asked = {name: one for name, one in members.items() if "structured" in one.design.modalities}
    if not asked:
        raise ExplanationError(f"{task} has no classical model of structured features: use {METHOD}")
    featurizer = bundle.features.featurizers["structured"]
    assert isinstance(featurizer, StructuredFeaturizer)
    code_of = {column.name: column.code for column in featurizer.layout.columns}
    found = [explain_member(bundle, sample, task, name, output) for name in asked]
    rules = rule_path(bundle, sample, task, output) if TREE in asked else None
    trust = Trust(SHAPLEY, residual=max(abs(one.residual) for one in found), exact=True)
    return ExplanationView(question, "structured", trust, MembersPart(found, code_of, rules))


def _counterfactual(bundle: Bundle, cohort: Cohort, question: Question, modality: str) -> ExplanationView:
    task, output = question.task.name, question.output
    ranges = plausible_ranges(bundle, cohort)
    found = counterfactuals(bundle, question.sample, task, ranges, output.name)
    threshold = float(bundle.ensemble.tasks[task].thresholds[output.place])
    trust = Trust(COUNTERFACTUAL, exact=True)
    return ExplanationView(question, modality, trust, CounterfactualPart(found, question, threshold))
