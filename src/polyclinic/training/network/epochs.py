"""The weights and validation losses of every epoch of a fit, to choose an epoch by another fold's losses.

A network is used with the weights of the epoch that is best on its own validation fold. Its predictions of that fold
are optimistic, since the fold chose the epoch. The epoch that is best on the other folds, for their networks, is
chosen without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_model, save_model

from polyclinic.files import write_json
from polyclinic.models import ModelConfig, UnifiedModel

LOSSES = "losses.json"
MOST_BYTES = 500_000_000
"""Bytes that the epochs of one network may take; those of larger networks are not kept."""


class KeepEpochs(Callback):
    """Writes the weights and the validation loss of each epoch into a folder."""

    def __init__(self, model: UnifiedModel, folder: Path, epochs: int, metric: str) -> None:
        self.model = model
        self.folder = folder
        self.metric = metric
        size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
        self.kept = size * epochs <= MOST_BYTES

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Keep the epoch; one that is trained again after an interruption is the same, and replaces it."""
        loss = float(trainer.callback_metrics[self.metric])
        if not self.kept or not math.isfinite(loss):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        epoch = trainer.current_epoch
        save_model(self.model, str(_weights(self.folder, epoch)))
        losses = validation_losses(self.folder)[:epoch]
        write_json(self.folder / LOSSES, [*losses, loss])


def validation_losses(folder: Path) -> list[float]:
    """Return the validation loss of each epoch; none if they were not kept."""
    file = folder / LOSSES
    return list(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else []


def best_epoch(losses: Sequence[Sequence[float]]) -> int:
    """Return the epoch of the lowest mean loss of several networks, of the epochs that all of them reached."""
    reached = min(len(one) for one in losses)
    return int(np.mean([one[:reached] for one in losses], axis=0).argmin())


def network_of_other_folds(
    network: UnifiedModel, config: ModelConfig, number: int, folders: Sequence[Path]
) -> UnifiedModel:
    """Return a fold's network at the epoch that the other folds chose; unchanged if the epochs were not kept."""
    losses = [validation_losses(folder) for folder in folders]
    if len(losses) < 2 or not all(losses):
        return network
    chosen = min(best_epoch([*losses[:number], *losses[number + 1 :]]), len(losses[number]) - 1)
    if chosen == int(np.argmin(losses[number])):
        return network
    model = UnifiedModel(config)
    load_model(model, _weights(folders[number], chosen))
    return model.eval()


def _weights(folder: Path, epoch: int) -> Path:
    return folder / f"epoch{epoch}.safetensors"
