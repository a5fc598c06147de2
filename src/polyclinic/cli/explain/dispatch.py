"""Choice of method and view for `polyclinic explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from rich.console import RenderableType

from polyclinic.cli.explain.columns import WholePart
from polyclinic.cli.explain.counterfactual import CounterfactualPart
from polyclinic.cli.explain.formatting import Part, View, ViewContext
from polyclinic.cli.explain.reliability import Trust
from polyclinic.cli.explain.shapley import MembersPart, ModalitiesPart
from polyclinic.cli.explain.target import ExplanationTarget
from polyclinic.cohort import Cohort
from polyclinic.explain.answer.attribution import attribute_answer
from polyclinic.explain.attribution import Attribution
from polyclinic.explain.counterfactual import counterfactuals, plausible_ranges
from polyclinic.explain.inputs.baseline import Baseline, training_means, usual_of
from polyclinic.explain.inputs.logit_function import NO_NETWORK
from polyclinic.explain.localisation.operating_point import stored_operating_point
from polyclinic.explain.methods.attention_rollout import ROLLOUT
from polyclinic.explain.methods.integrated_gradients import METHOD
from polyclinic.explain.methods.registry import EXPLAINERS
from polyclinic.explain.methods.saliency_maps import saliency_map
from polyclinic.explain.sample import ExplanationError
from polyclinic.explain.shapley.classical_models import TREE, explain_member, rule_path
from polyclinic.explain.shapley.modalities import modality_shapley
from polyclinic.features import StructuredFeaturizer
from polyclinic.modalities import MODALITIES, load
from polyclinic.models.bundle.bundle import Bundle

ALL, SHAPLEY, COUNTERFACTUAL = "all", "shapley", "counterfactual"


class ExplanationRequest(NamedTuple):
    """What to explain, and how; None: the default."""

    modality: str
    method: str | None = None
    baseline: str | None = None
    sensitivity: float | None = None


@dataclass(frozen=True)
class ExplanationView:
    """One explanation with its reliability, or why there is none."""

    target: ExplanationTarget
    modality: str
    trust: Trust | None = None
    part: Part | None = None
    absent: str = ""

    def lines(self) -> Iterator[RenderableType]:
        """Yield tables and lines of text."""
        if self.part is None or self.trust is None:
            yield f"absent: {self.absent}"
            return
        yield from self.part.lines()
        yield from self.trust.lines()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        part = None if self.part is None else self.part.to_dict()
        trust = {"method": None} if self.trust is None else self.trust.to_dict()
        return trust | {"absent": self.absent or None, self.modality: part}

    def draw(self) -> Figure | None:
        """Return a plot, or None if there is nothing to show."""
        return None if self.part is None else self.part.draw()


def explain_target(
    bundle: Bundle, cohort: Cohort, target: ExplanationTarget, request: ExplanationRequest
) -> ExplanationView:
    """Explain one prediction for one kind of input.

    Raises:
        ExplanationError: the bundle does not read this input, or the method does not suit it or the model.
    """
    if request.modality not in (ALL, *bundle.inputs):
        raise ExplanationError(
            f"the bundle reads no {request.modality}: choose from {', '.join((ALL, *bundle.inputs))}"
        )
    present = target.sample.present
    if request.modality not in present and not (request.modality == ALL and present):
        what = f"no {'usable ' if request.modality in target.sample.unusable else ''}{request.modality}"
        missing = "nothing that the bundle reads" if request.modality == ALL else what
        there = f"; there are {', '.join(present)}" if present else ""
        reasons = "".join(f"; {reason}" for reason in target.sample.unusable_blobs)
        return ExplanationView(target, request.modality, absent=f"{missing} was recorded by then{there}{reasons}")
    method = request.method or _default_method(bundle, request)
    if method == SHAPLEY:
        return _modalities(bundle, target) if request.modality == ALL else _members(bundle, target)
    if method == COUNTERFACTUAL:
        return _counterfactual(bundle, cohort, target, request.modality)
    if method == METHOD:
        return _whole_answer(bundle, cohort, target, request)
    found = _map_of_networks(bundle, target, request.modality, method)
    return ExplanationView(target, request.modality, Trust.of(bundle, found), _part(bundle, target, request, found))


def _whole_answer(
    bundle: Bundle, cohort: Cohort, target: ExplanationTarget, request: ExplanationRequest
) -> ExplanationView:
    """Attribute the answer of all members, with calibration."""
    if not bundle.ensemble.networks:
        raise ExplanationError(NO_NETWORK)
    baseline = None if request.baseline is None else _baseline(bundle, cohort, request.baseline)
    found = attribute_answer(bundle, target.sample, target.task.name, target.output.name, baseline=baseline)
    part = _part(bundle, target, request, found)
    whole = WholePart.of(part, found, request.modality, target.scale)
    return ExplanationView(target, request.modality, Trust.of(bundle, found), whole)


def _part(bundle: Bundle, target: ExplanationTarget, request: ExplanationRequest, found: Attribution) -> Part:
    scale = target.scale if found.method == METHOD else "share"
    view: View = load(MODALITIES[request.modality].view)
    return view(ViewContext(bundle, target.sample, found, scale, request.sensitivity))


def _default_method(bundle: Bundle, request: ExplanationRequest) -> str:
    """Return the default method: integrated gradients; that of the audit for images; Shapley without a network."""
    if request.baseline is not None:
        return METHOD
    if request.modality == ALL or (request.modality == "structured" and not bundle.ensemble.networks):
        return SHAPLEY
    operating_point = stored_operating_point(bundle) if request.modality == "image" else None
    return METHOD if operating_point is None else operating_point.method


def _map_of_networks(bundle: Bundle, target: ExplanationTarget, modality: str, method: str) -> Attribution:
    """Explain the networks by a method that shows locations, not amounts."""
    explainer = EXPLAINERS.get(method, saliency_map)
    options = {"modality": modality} if method == ROLLOUT else {"method": method} if explainer is saliency_map else {}
    return explainer(bundle, target.sample, target.task.name, target.output.name, **options)


def _baseline(bundle: Bundle, cohort: Cohort, name: str) -> Baseline:
    if name != "usual":
        return Baseline(name, training_means(bundle, cohort) if name == "mean" else None)  # type: ignore[arg-type]
    usual = usual_of(bundle.reference)
    if usual.name != "usual":
        raise ExplanationError("the bundle has no usual input: choose another baseline, or train it again")
    return usual


def _modalities(bundle: Bundle, target: ExplanationTarget) -> ExplanationView:
    found = modality_shapley(bundle, target.sample, target.task.name, target.output.name)
    trust = Trust(SHAPLEY, residual=found.answer.residual, exact=True)
    return ExplanationView(target, ALL, trust, ModalitiesPart(found, target))


def _members(bundle: Bundle, target: ExplanationTarget) -> ExplanationView:
    """Explain every classical model that reads structured features."""
    task, output, sample = target.task.name, target.output.name, target.sample
    members = bundle.ensemble.tasks[task].members
    names = [name for name, member in members.items() if "structured" in member.design.modalities]
    if not names:
        raise ExplanationError(f"{task} has no classical model of structured features: use {METHOD}")
    featurizer = bundle.features.featurizers["structured"]
    assert isinstance(featurizer, StructuredFeaturizer)
    code_of = {column.name: column.code for column in featurizer.layout.columns}
    found = [explain_member(bundle, sample, task, name, output) for name in names]
    rules = rule_path(bundle, sample, task, output) if TREE in names else None
    trust = Trust(SHAPLEY, residual=max(abs(attribution.residual) for attribution in found), exact=True)
    return ExplanationView(target, "structured", trust, MembersPart(found, code_of, rules))


def _counterfactual(bundle: Bundle, cohort: Cohort, target: ExplanationTarget, modality: str) -> ExplanationView:
    task, output = target.task.name, target.output
    ranges = plausible_ranges(bundle, cohort)
    found = counterfactuals(bundle, target.sample, task, ranges, output.name)
    threshold = float(bundle.ensemble.tasks[task].thresholds[output.place])
    trust = Trust(COUNTERFACTUAL, exact=True)
    return ExplanationView(target, modality, trust, CounterfactualPart(found, target, threshold))
