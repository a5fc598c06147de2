"""Predictions of the networks of all folds, averaged, or each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from polyclinic.features import Arrays
from polyclinic.models.ensemble.members import MemberPrediction
from polyclinic.models.ensemble.stacked_networks import NetworkOutputs, StackedNetworks
from polyclinic.models.network.batch import Batch
from polyclinic.models.network.unified import UnifiedModel

ROWS_AT_ONCE = 256


FEW = 8
"""Samples, up to which the networks are asked at once; of more, each network has enough to do."""


class NetworkPredictions(NamedTuple):
    """What each network says by itself, of which samples any can say something, and where each places them."""

    answers: dict[str, Float[np.ndarray, "network sample output"]]  # by task
    able: Bool[np.ndarray, " sample"]
    latents: Float[np.ndarray, "network sample width"]


def average_network_predictions(
    networks: Sequence[UnifiedModel],
    arrays: Mapping[str, Arrays],
    stacked: StackedNetworks | None = None,
    rows: Int[np.ndarray, " row"] | None = None,
) -> dict[str, MemberPrediction]:
    """Average the networks' answers to each task, of all samples or some; they can answer where anything is present.

    `stacked` is the networks as one, to answer for few samples.
    """
    return averaged(predict_each_network(networks, arrays, stacked, rows))


def averaged(network_predictions: NetworkPredictions) -> dict[str, MemberPrediction]:
    """Average what each network says."""
    return {
        task: MemberPrediction(answers.mean(axis=0), network_predictions.able)
        for task, answers in network_predictions.answers.items()
    }


def predict_each_network(
    networks: Sequence[UnifiedModel],
    arrays: Mapping[str, Arrays],
    stacked: StackedNetworks | None = None,
    rows: Int[np.ndarray, " row"] | None = None,
) -> NetworkPredictions:
    """Ask each network about all samples or some; see `average_network_predictions`."""
    first = networks[0]
    read = {m: {name: arrays[m][name] for name in (*names, "present")} for m, names in first.reads.items()}
    able = np.logical_or.reduce([arrays["present"] for arrays in read.values()])
    rows = np.arange(len(able)) if rows is None else rows
    parts: list[NetworkOutputs] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        batch = Batch.from_arrays(read, rows[start : start + ROWS_AT_ONCE])
        few = stacked is not None and len(rows) <= FEW
        parts.append(stacked.predict(batch) if stacked is not None and few else _in_turn(networks, batch))
    answers = {
        task: torch.cat([part.answers[task] for part in parts], dim=1).double().numpy()
        for task in (first.heads if parts else ())
    }
    latents = torch.cat([part.latents for part in parts], dim=1) if parts else torch.zeros(len(networks), 0, 0)
    return NetworkPredictions(answers, able[rows], latents.double().numpy())


def _in_turn(networks: Sequence[UnifiedModel], batch: Batch) -> NetworkOutputs:
    with torch.inference_mode():
        outputs = [network(batch) for network in networks]
        said = [network.probabilities(one) for network, one in zip(networks, outputs, strict=True)]
    answers = {task: torch.stack([one[task] for one in said]) for task in said[0]}
    return NetworkOutputs(answers, torch.stack([one.latent for one in outputs]))
