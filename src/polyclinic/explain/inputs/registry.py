"""Explanations by modality: from a sample to differentiable inputs, and from their scores to an attribution."""

from __future__ import annotations

from collections.abc import Mapping

from polyclinic.explain.attribution import ModalityAttribution
from polyclinic.explain.inputs.base import DifferentiableInput, ModalityExplanation, Scores
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.modalities import MODALITIES, References
from polyclinic.models.network.unified import UnifiedModel

EXPLANATIONS: Mapping[str, ModalityExplanation] = References(
    {name: row.explanation for name, row in MODALITIES.items()}
)


def differentiable_inputs(network: UnifiedModel, sample: Sample, baseline: Baseline) -> dict[str, DifferentiableInput]:
    """Return the differentiable input of each modality that the sample has and the networks read."""
    present = [modality for modality in network.modalities if modality in sample.present]
    return {name: EXPLANATIONS[name].input_of(sample, baseline, network.encoder(name)) for name in present}


def attributed(
    sample: Sample, inputs: Mapping[str, DifferentiableInput], scores: Mapping[str, Scores]
) -> dict[str, ModalityAttribution]:
    """Return the parts of an `Attribution` from the scores of each input."""
    return {
        name: EXPLANATIONS[name].attribution(sample, input_, scores[name].detach()) for name, input_ in inputs.items()
    }
