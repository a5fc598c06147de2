"""Pretrain encoders on their own modality before joint training.

Modalities learn and overfit at different rates (Wang 2020, arXiv 1905.12681). Detectors of image findings and word
embeddings need many epochs, in which the encoders of numbers would overfit; early stopping of the joint network would
leave them undertrained. So an encoder with `unimodal_pretraining` is first trained alone, with the head of its
modality, until its own validation loss is lowest. Random draws depend only on the seed, so a repetition is identical.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyclinic.compute.devices import CPU
from polyclinic.models import UnifiedModel
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Network
from polyclinic.training.data.dataset import Batches, Examples, Labelled
from polyclinic.training.network.losses import task_loss

EPOCHS = 32
LEARNING_RATE_FACTOR = 5.0
"""Learning-rate multiplier during unimodal pretraining."""


def pretrain_unimodal(
    model: UnifiedModel,
    examples: Examples,
    training: np.ndarray,
    validation: np.ndarray,
    options: Network,
    seed: int,
    progress: Progress = SILENT,
    device: str = CPU,
) -> None:
    """Pretrain the encoders that ask for it in place, each on the samples that have its modality; on a device.

    An encoder is skipped where fewer than two training rows, or no validation row, have its modality.
    """
    for modality in model.modalities:
        if model.unimodal_heads is None or not model.encoder(modality).unimodal_pretraining:
            continue
        present = np.asarray(examples.arrays[modality]["present"], dtype=bool)
        rows, held_out = training[present[training]], validation[present[validation]]
        if len(rows) > 1 and len(held_out):
            torch.manual_seed(seed)
            _pretrain(model, modality, examples, rows, held_out, options, seed, progress, device)
    model.cpu()


def _pretrain(
    model: UnifiedModel,
    modality: str,
    examples: Examples,
    rows: np.ndarray,
    held_out: np.ndarray,
    options: Network,
    seed: int,
    progress: Progress,
    device: str,
) -> None:
    assert model.unimodal_heads is not None
    own = Examples({modality: examples.arrays[modality]}, examples.targets, examples.subjects)
    batches = Batches(own, rows, options.batch_size, shuffle_seed=seed)
    encoder, unimodal_heads = model.to(device).encoder(modality), model.unimodal_heads
    parameters: list[Any] = [
        {"params": list(encoder.parameters()), "weight_decay": options.weight_decay},
        # The heads of other modalities have no gradient, and stay as they are.
        {"params": list(unimodal_heads.parameters()), "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE_FACTOR * options.learning_rate)
    best, best_state, waited = math.inf, _copy_state(model, modality), 0
    with progress.task(f"{modality} pretraining", total=EPOCHS) as advance:
        for epoch in range(EPOCHS):
            for group in optimizer.param_groups:
                group["lr"] = (
                    LEARNING_RATE_FACTOR * options.learning_rate * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
                )
            batches.epoch = epoch
            model.train()
            for labelled in batches:
                optimizer.zero_grad()
                _loss(model, modality, labelled.to(device)).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(
                    [*encoder.parameters(), *unimodal_heads.parameters()], options.gradient_clip
                )
                optimizer.step()
            loss = _validation_loss(model, modality, own, held_out, options.batch_size, device)
            advance(1)
            if loss < best:
                best, best_state, waited = loss, _copy_state(model, modality), 0
            else:
                waited += 1
            if waited == options.patience:
                advance(EPOCHS - 1 - epoch)
                break
    encoder.load_state_dict(best_state[0])
    unimodal_heads.load_state_dict(best_state[1])
    model.zero_grad()


def _copy_state(model: UnifiedModel, modality: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    assert model.unimodal_heads is not None
    encoder, unimodal_heads = (
        {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        for module in (model.encoder(modality), model.unimodal_heads)
    )
    return encoder, unimodal_heads


def _validation_loss(
    model: UnifiedModel, modality: str, examples: Examples, rows: np.ndarray, size: int, device: str
) -> float:
    model.eval()
    with torch.no_grad():
        losses = [
            float(_loss(model, modality, labelled.to(device))) * len(labelled.batch)
            for labelled in Batches(examples, rows, 4 * size)
        ]
    return sum(losses) / len(rows)


def _loss(model: UnifiedModel, modality: str, labelled: Labelled) -> Tensor:
    predicted = model.predict_unimodal(modality, labelled.batch)
    losses = [
        task_loss(model.head(task), logits, labelled.values[task], labelled.observed[task])
        for task, logits in predicted.items()
    ]
    return torch.stack(losses).sum()
