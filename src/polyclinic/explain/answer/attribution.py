"""Attribute the whole answer to its inputs: all members by weight, with their calibration, on the log-odds scale.

One straight path leads from the baseline to the sample, for the inputs of the networks and the scores of the classical
members together; integrated gradients along it (see `methods.integrated_gradients`) sum to the change of the combined
answer. What a classical member gets is passed on to its columns by their exact Shapley values between the same two
points, and each column to the feature, or else to the modality, from which it is computed. Calibration of a single
number is monotone: it scales all scores by the ratio of its change to that of the combined answer, which for Platt's is
its slope.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.answer.function import MEMBERS, AnswerFunction
from polyclinic.explain.answer.member_scores import chord
from polyclinic.explain.attribution import Attribution, ColumnScore, Completeness, StructuredAttribution
from polyclinic.explain.inputs.baseline import Baseline, usual_of
from polyclinic.explain.inputs.registry import attributed
from polyclinic.explain.inputs.structured import EXPLANATION as STRUCTURED
from polyclinic.explain.inputs.structured import FeatureInput
from polyclinic.explain.methods.integrated_gradients import METHOD, MOST_STEPS, TOLERANCE, Integral, integrate_each
from polyclinic.explain.sample import Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble

WITHOUT_NETWORK = "shapley"
"""Name of the method where there is no network, and so no gradient by inputs."""
SMALL = 1e-4


def attribute_answer(
    bundle: Bundle,
    sample: Sample,
    task: str,
    output: str | None = None,
    *,
    baseline: Baseline | None = None,
    tolerance: float = TOLERANCE,
) -> Attribution:
    """Attribute the log-odds of one answer, for a regression the number, to features, measurements, words and pixels.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, or nothing is present.
    """
    start = usual_of(bundle.reference) if baseline is None else baseline
    return attribute_answers(bundle.ensemble, sample, (output_of(bundle, task, output),), start, tolerance=tolerance)[0]


def attribute_answers(
    ensemble: Ensemble,
    sample: Sample,
    outputs: Sequence[Output],
    baseline: Baseline,
    *,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> tuple[Attribution, ...]:
    """Attribute several answers of one sample, faster than one after the other; see `attribute_answer`.

    Raises:
        ExplanationError: nothing is present.
    """
    function = AnswerFunction(ensemble, sample, outputs, baseline)
    integrals = integrate_each(function, outputs, tolerance, most_steps)
    return tuple(_attribution(function, one, baseline, found) for one, found in zip(outputs, integrals, strict=True))


def _attribution(function: AnswerFunction, output: Output, baseline: Baseline, found: Integral) -> Attribution:
    sample, complete = function.sample, found.completeness
    factor, ends = _calibration(function, output, complete)
    scores = {name: factor * score for name, score in found.scores.items()}
    networks = {name: scores[name] for name in function.by_network}
    parts = attributed(sample, {name: function.inputs[name] for name in function.by_network}, networks)
    members = {NETWORK: sum(float(one.double().sum()) for one in networks.values())} if networks else {}
    features, others = np.zeros(0), list[ColumnScore]()
    for name, of_columns in _by_member(function, output, scores[MEMBERS]):
        members[name] = float(of_columns.sum())
        design = function.ensemble.tasks[output.task].members[name].design
        owners = np.repeat(design.owners, [block.columns for block in design.blocks])
        structured = owners == "structured"
        if structured.any():
            features = of_columns[structured] + (features if len(features) else 0)
        row = design.matrix(sample.arrays)[0]
        others += [
            ColumnScore(str(owners[k]), design.columns[k], float(row[k]), float(of_columns[k]))
            for k in np.flatnonzero((of_columns != 0) & ~structured).tolist()
        ]
    if len(features) and "structured" in sample.present:
        own = parts.get("structured")
        assert own is None or isinstance(own, StructuredAttribution)
        parts["structured"] = _with_features(sample, baseline, own, features)
    total = complete.total * factor
    return Attribution(
        subject_id=sample.subject_id,
        prediction_time=sample.prediction_time,
        task=output.task,
        output=output.name,
        method=METHOD if function.networks else WITHOUT_NETWORK,
        baseline=baseline.name,
        completeness=Completeness(*ends, total, complete.steps, complete.unevenness * abs(factor)),
        parts=parts,
        columns=_added(others),
        members=members,
    )


def _calibration(function: AnswerFunction, output: Output, found: Completeness) -> tuple[float, tuple[float, float]]:
    """Return the factor of the scores, and the calibrated values of the sample and of the baseline."""
    near = np.array([found.value, found.reference, found.value + SMALL, found.value - SMALL])
    value, reference, above, below = function.calibrated(output, near).tolist()
    slope = np.array((above - below) / (2 * SMALL))
    factor = chord(np.array(found.difference), np.array(value - reference), slope)
    return float(factor), (value, reference)


def _by_member(
    function: AnswerFunction, output: Output, scores: Float[Tensor, " score"]
) -> Iterator[tuple[str, Float[np.ndarray, " column"]]]:
    """Yield the scores of the columns of each classical member: its parts, scaled to what each of its scores adds."""
    for name, one in function.members[output.task].items():
        added = scores[function.places[output.task, name]].detach().double().numpy()
        yield name, one.parts @ chord(one.end - one.start, added, np.zeros(len(added)))


def _with_features(
    sample: Sample, baseline: Baseline, networks: StructuredAttribution | None, scores: Float[np.ndarray, " feature"]
) -> StructuredAttribution:
    """Add the scores of the classical members to those of the networks, if they read the features."""
    if networks is None:
        input_ = FeatureInput(sample.arrays["structured"], baseline)
        networks = STRUCTURED.attribution(sample, input_, torch.zeros_like(input_.end))
    return replace(networks, scores=networks.scores + scores)


def _added(columns: Sequence[ColumnScore]) -> tuple[ColumnScore, ...]:
    """Add the scores of the same column of several members; the largest in size first."""
    sums: dict[tuple[str, str], ColumnScore] = {}
    for one in columns:
        known = sums.get((one.modality, one.name))
        sums[one.modality, one.name] = one if known is None else known._replace(score=known.score + one.score)
    return tuple(sorted(sums.values(), key=lambda one: (-abs(one.score), one.name)))
