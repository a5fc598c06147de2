"""Some encoders learn alone before they learn with the others.

Modalities learn and overfit at different rates (Wang 2020, arXiv 1905.12681). The detectors of a picture's findings and
the meanings of words need many epochs, after which what reads numbers would long have learnt its patients by heart; a
fit that is stopped when the whole begins to overfit leaves them blind. So an encoder with `unimodal_pretraining` is
trained by itself, with the head of its modality, until its own validation loss is best. It draws from the seed alone: a
fit that was killed does it again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyclinic.models import UnifiedModel
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Network
from polyclinic.training.data.dataset import Batches, Examples, Labelled
from polyclinic.training.network.losses import task_loss

EPOCHS = 32
PACE = 5.0
"""Times the network's learning rate: nobody else is there to be disturbed."""


def pretrain_unimodal(
    model: UnifiedModel,
    examples: Examples,
    training: np.ndarray,
    validation: np.ndarray,
    options: Network,
    seed: int,
    progress: Progress = SILENT,
) -> None:
    """Train the encoders that learn alone first, each on the samples that have its modality.

    Nothing is learnt where nobody of the training or of the validation rows has it.
    """
    for modality in model.modalities:
        if model.unimodal_heads is None or not model.encoder(modality).unimodal_pretraining:
            continue
        there = np.asarray(examples.arrays[modality]["present"], dtype=bool)
        rows, held = training[there[training]], validation[there[validation]]
        if len(rows) > 1 and len(held):
            torch.manual_seed(seed)
            _learn(model, modality, examples, rows, held, options, seed, progress)


def _learn(
    model: UnifiedModel,
    modality: str,
    examples: Examples,
    rows: np.ndarray,
    held: np.ndarray,
    options: Network,
    seed: int,
    progress: Progress,
) -> None:
    assert model.unimodal_heads is not None
    some = Examples({modality: examples.arrays[modality]}, examples.targets, examples.subjects)
    batches = Batches(some, rows, options.batch_size, shuffle_seed=seed)
    encoder, unimodal_heads = model.encoder(modality), model.unimodal_heads
    learnt: list[Any] = [
        {"params": list(encoder.parameters()), "weight_decay": options.weight_decay},
        {
            "params": list(unimodal_heads.parameters()),
            "weight_decay": 0.0,
        },  # those of others have no gradient, and stay
    ]
    optimizer = torch.optim.AdamW(learnt, lr=PACE * options.learning_rate)
    best, kept, waited = math.inf, _state(model, modality), 0
    with progress.task(f"{modality} alone", total=EPOCHS) as advance:
        for epoch in range(EPOCHS):
            for group in optimizer.param_groups:
                group["lr"] = PACE * options.learning_rate * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
            batches.epoch = epoch
            model.train()
            for labelled in batches:
                optimizer.zero_grad()
                _loss(model, modality, labelled).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(
                    [*encoder.parameters(), *unimodal_heads.parameters()], options.gradient_clip
                )
                optimizer.step()
            loss = _held(model, modality, some, held, options.batch_size)
            advance(1)
            if loss < best:
                best, kept, waited = loss, _state(model, modality), 0
            else:
                waited += 1
            if waited == options.patience:
                advance(EPOCHS - 1 - epoch)
                break
    encoder.load_state_dict(kept[0])
    unimodal_heads.load_state_dict(kept[1])
    model.zero_grad()


def _state(model: UnifiedModel, modality: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    assert model.unimodal_heads is not None
    encoder, unimodal_heads = (
        {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        for module in (model.encoder(modality), model.unimodal_heads)
    )
    return encoder, unimodal_heads


def _held(model: UnifiedModel, modality: str, examples: Examples, held: np.ndarray, size: int) -> float:
    model.eval()
    with torch.no_grad():
        losses = [
            float(_loss(model, modality, labelled)) * len(labelled.batch)
            for labelled in Batches(examples, held, 4 * size)
        ]
    return sum(losses) / len(held)


def _loss(model: UnifiedModel, modality: str, labelled: Labelled) -> Tensor:
    predicted = model.alone(modality, labelled.batch)
    losses = [
        task_loss(model.head(task), logits, labelled.values[task], labelled.observed[task])
        for task, logits in predicted.items()
    ]
    return torch.stack(losses).sum()
