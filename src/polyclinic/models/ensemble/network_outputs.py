"""Predictions of the networks of all folds, averaged or separate."""

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

BATCH_ROWS = 256

MAX_STACKED_ROWS = 8
"""Number of samples up to which stacked networks are faster."""


class NetworkPredictions(NamedTuple):
    """Predictions and latents of each network, and the samples that can be predicted."""

    answers: dict[str, Float[np.ndarray, "network sample output"]]  # by task
    able: Bool[np.ndarray, " sample"]
    latents: Float[np.ndarray, "network sample width"]


def average_network_predictions(
    networks: Sequence[UnifiedModel],
    arrays: Mapping[str, Arrays],
    stacked: StackedNetworks | None = None,
    rows: Int[np.ndarray, " row"] | None = None,
) -> dict[str, MemberPrediction]:
    """Average the networks' predictions of each task for all samples or `rows`; samples without input are not able.

    `stacked` is used for few samples.
    """
    return averaged(predict_each_network(networks, arrays, stacked, rows))


def averaged(network_predictions: NetworkPredictions) -> dict[str, MemberPrediction]:
    """Average over the networks."""
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
    """Return the predictions of each network; see `average_network_predictions`."""
    first = networks[0]
    read = {m: {name: arrays[m][name] for name in (*names, "present")} for m, names in first.reads.items()}
    able = np.logical_or.reduce([arrays["present"] for arrays in read.values()])
    rows = np.arange(len(able)) if rows is None else rows
    parts: list[NetworkOutputs] = []
    for start in range(0, len(rows), BATCH_ROWS):
        batch = Batch.from_arrays(read, rows[start : start + BATCH_ROWS])
        use_stacked = stacked is not None and len(rows) <= MAX_STACKED_ROWS
        parts.append(stacked.predict(batch) if stacked is not None and use_stacked else _sequentially(networks, batch))
    answers = {
        task: torch.cat([part.answers[task] for part in parts], dim=1).double().numpy()
        for task in (first.heads if parts else ())
    }
    latents = torch.cat([part.latents for part in parts], dim=1) if parts else torch.zeros(len(networks), 0, 0)
    return NetworkPredictions(answers, able[rows], latents.double().numpy())


def _sequentially(networks: Sequence[UnifiedModel], batch: Batch) -> NetworkOutputs:
    with torch.inference_mode():
        outputs = [network(batch) for network in networks]
        predicted = [network.probabilities(own) for network, own in zip(networks, outputs, strict=True)]
    answers = {task: torch.stack([own[task] for own in predicted]) for task in predicted[0]}
    return NetworkOutputs(answers, torch.stack([own.latent for own in outputs]))
