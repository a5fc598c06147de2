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
from polyclinic.models.ensemble.stacker_by_subset import Present, Subset
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

    def select(self, rows: Int[np.ndarray, " row"]) -> NetworkPredictions:
        """Select some samples."""
        answers = {task: of_task[:, rows] for task, of_task in self.answers.items()}
        return NetworkPredictions(answers, self.able[rows], self.latents[:, rows])


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
    everything = networks[0].modalities
    return predict_from_subsets(networks, arrays, [everything], stacked, rows)[everything]


def predict_from_subsets(
    networks: Sequence[UnifiedModel],
    arrays: Mapping[str, Arrays],
    subsets: Sequence[Subset],
    stacked: StackedNetworks | None = None,
    rows: Int[np.ndarray, " row"] | None = None,
) -> dict[Subset, NetworkPredictions]:
    """Return the predictions of each network as if only each of the subsets of the inputs had been recorded.

    They equal those of the arrays restricted to the subset, but samples are encoded once for all subsets.
    """
    first = networks[0]
    read = {m: {name: arrays[m][name] for name in (*names, "present")} for m, names in first.reads.items()}
    rows = np.arange(len(next(iter(read.values()))["present"])) if rows is None else rows
    parts = dict[Subset, list[NetworkOutputs]]((given, []) for given in subsets)
    for start in range(0, len(rows), BATCH_ROWS):
        batch = Batch.from_arrays(read, rows[start : start + BATCH_ROWS])
        if stacked is not None and len(rows) <= MAX_STACKED_ROWS:
            outputs = [stacked.predict(batch.restricted_to(given)) for given in subsets]
        else:
            outputs = _sequentially(networks, batch, subsets)
        for given, part in zip(subsets, outputs, strict=True):
            parts[given].append(part)
    present = {modality: np.asarray(own["present"])[rows] for modality, own in read.items()}
    return {given: _joined(networks, of_subset, present, given) for given, of_subset in parts.items()}


def _joined(
    networks: Sequence[UnifiedModel], parts: Sequence[NetworkOutputs], present: Present, given: Subset
) -> NetworkPredictions:
    """Join the outputs of all batches."""
    answers = {
        task: torch.cat([part.answers[task] for part in parts], dim=1).double().numpy()
        for task in (networks[0].heads if parts else ())
    }
    latents = torch.cat([part.latents for part in parts], dim=1) if parts else torch.zeros(len(networks), 0, 0)
    absent = np.zeros_like(next(iter(present.values())))
    able = np.logical_or.reduce([mask if modality in given else absent for modality, mask in present.items()])
    return NetworkPredictions(answers, able, latents.double().numpy())


def _sequentially(networks: Sequence[UnifiedModel], batch: Batch, subsets: Sequence[Subset]) -> list[NetworkOutputs]:
    """Return the outputs from each subset, network by network."""
    with torch.inference_mode():
        by_network = [
            [NetworkOutputs(network.probabilities(own), own.latent) for own in network.from_subsets(batch, subsets)]
            for network in networks
        ]
    return [
        NetworkOutputs(
            {task: torch.stack([own.answers[task] for own in of_subset]) for task in networks[0].heads},
            torch.stack([own.latents for own in of_subset]),
        )
        for of_subset in zip(*by_network, strict=True)
    ]
