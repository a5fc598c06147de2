"""Fit one unified network with Lightning: early stopping, checkpoints that survive a kill, logs."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger
from safetensors.torch import load_model, save_model

from polyclinic.compute.devices import CPU
from polyclinic.models import ModelConfig, UnifiedModel
from polyclinic.models.network.heads import RegressionHead, TimeToEventHead
from polyclinic.progress import SILENT, Advance, Progress
from polyclinic.study import Network, StudyError
from polyclinic.training.data.dataset import Batches, Examples
from polyclinic.training.network.epochs import KeepEpochs
from polyclinic.training.network.lightning_module import UnifiedModule
from polyclinic.training.network.unimodal_pretraining import pretrain_unimodal

LOGGERS = ("csv", "mlflow", "tensorboard")
METRIC = "validation_loss"
FINISHED = "network.safetensors"
LOG = "log"
CHECKPOINT = ".ckpt"
LAST = f"last{CHECKPOINT}"
EPOCHS = "epochs"
CHECKPOINT_INTERVAL_S = 10
"""Least time between checkpoints; at most this much training is lost when the process is killed."""


@dataclass(frozen=True)
class Rows:
    """Rows of the examples for training, and for early stopping."""

    training: Any  # int64 [row]
    validation: Any


def fit_network(
    config: ModelConfig,
    examples: Examples,
    rows: Rows,
    options: Network,
    *,
    seed: int,
    folder: Path,
    logger: str = "csv",
    progress: Progress = SILENT,
    description: str = "network",
    device: str = CPU,
) -> UnifiedModel:
    """Fit a network on a device, and return it with the weights of its best epoch, in evaluation mode, on the CPU.

    `folder` holds the checkpoint of a recent epoch: an interrupted fit is resumed from it, with results equal to the
    bit. Unimodal pretraining comes before the first checkpoint, and is repeated. A finished fit is loaded.

    Raises:
        KeyboardInterrupt: after Ctrl-C, with the latest checkpoint in place.
    """
    torch.manual_seed(seed)
    model = UnifiedModel(config)
    initialise_heads(model, examples, rows.training)
    finished = folder / FINISHED
    if finished.is_file():
        load_model(model, finished)
        return model.eval()
    if not (folder / LAST).is_file():
        pretrain_unimodal(model, examples, rows.training, rows.validation, options, seed, progress, device)
    module = UnifiedModule(model, options, seed)
    best = _train(module, examples, rows, folder, logger, progress, description, device)
    module.cpu().load_state_dict(torch.load(best, weights_only=True, map_location="cpu")["state_dict"])
    part = folder / f"{FINISHED}.part"
    save_model(model, str(part))
    part.replace(finished)
    return model.eval()


def initialise_heads(model: UnifiedModel, examples: Examples, rows: Any) -> None:
    """Set each head's initial output to the marginal rate, mean or hazards of the training samples."""
    for task, target in examples.targets.items():
        head = model.head(task)
        values = torch.from_numpy(target.values[rows][target.observed[rows]]).float()
        if not len(values):
            continue
        if isinstance(head, RegressionHead):
            head.fit_scale(values)
        elif isinstance(head, TimeToEventHead):
            head.start_at(_hazards(head.ends, values))
        else:
            head.start_at(values.mean(dim=0))


def _hazards(ends: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    duration, event = values.unbind(dim=1)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    at_risk = (duration[:, None] > starts).sum(0)
    events = ((duration[:, None] > starts) & (duration[:, None] <= ends) & (event[:, None] > 0.5)).sum(0)
    return events / at_risk.clamp_min(1)


def _train(
    module: UnifiedModule,
    examples: Examples,
    rows: Rows,
    folder: Path,
    logger: str,
    progress: Progress,
    description: str,
    device: str,
) -> str:
    options = module.options
    training = Batches(examples, rows.training, options.batch_size, shuffle_seed=module.seed)
    validation = Batches(examples, rows.validation, 4 * options.batch_size)
    # All three run after validation, in this order, so that each checkpoint includes the changes of its own epoch.
    stop = _Stop(METRIC, patience=options.patience, check_on_train_epoch_end=False)
    common: dict[str, Any] = {"enable_version_counter": False, "save_on_train_epoch_end": False}
    best, latest = _Best(folder, "best", monitor=METRIC, **common), _Latest(folder, "last", **common)
    last = folder / LAST
    epochs = KeepEpochs(module.model, folder / EPOCHS, options.epochs, METRIC)
    with progress.task(description, total=options.epochs) as advance, _quiet():
        trainer = lightning.Trainer(
            accelerator=device,
            devices=1,
            max_epochs=options.epochs,
            gradient_clip_val=options.gradient_clip,
            deterministic=True,
            callbacks=[stop, _EpochCounter(training), _ProgressBar(advance), epochs, best, latest],
            logger=_logger(logger, folder),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10**9,
        )
        module.train()
        trainer.fit(
            module,
            cast(Any, training),
            cast(Any, validation),
            ckpt_path=str(last) if last.is_file() else None,
            weights_only=True,
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    return best.best_model_path


def check_logger(name: str) -> None:
    """Check that a logger exists and is installed.

    Raises:
        StudyError: it is unknown, or its extra is not installed.
    """
    if name not in LOGGERS:
        raise StudyError(f"unknown logger {name!r}: choose from {', '.join(LOGGERS)}")
    if name != "csv" and find_spec(name) is None:
        raise StudyError(f"logging to {name} needs an extra: pip install 'polyclinic[{name}]'")


def _logger(name: str, folder: Path) -> Logger:
    """Return the logger; MLflow writes to the study's folder, unless `MLFLOW_TRACKING_URI` names a server."""
    match name:
        case "mlflow":
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow refuses to log into a folder otherwise
            return MLFlowLogger("polyclinic", run_name=folder.name, save_dir=str(folder / LOG / "mlruns"))
        case "tensorboard":
            return TensorBoardLogger(folder, name=LOG)
        case _:
            return CSVLogger(folder, name=LOG)


class _Stop(EarlyStopping):
    """Stops early; a resumed fit that had already stopped does not train further."""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:  # noqa: ARG002
        trainer.should_stop = self.stopping_reason != EarlyStoppingReason.NOT_STOPPED


class _Best(ModelCheckpoint):
    """Keeps the best epoch, and finds it again after the folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here, score = str(Path(str(self.dirpath)) / "best.ckpt"), state_dict["best_model_score"]
        paths = {"dirpath": self.dirpath, "best_model_path": here, "kth_best_model_path": here}
        super().load_state_dict(state_dict | paths | {"best_k_models": {here: score}})


class _Latest(ModelCheckpoint):
    """Keeps the latest epoch; written at most once per `CHECKPOINT_INTERVAL_S`."""

    written_s = -math.inf  # monotonic time

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if time.monotonic() >= self.written_s + CHECKPOINT_INTERVAL_S:
            super().on_validation_end(trainer, module)
            self.written_s = time.monotonic()


class _EpochCounter(Callback):
    """Sets the epoch of the batches, on which their order depends."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:  # noqa: ARG002
        self.batches.epoch = trainer.current_epoch


class _ProgressBar(Callback):
    """Advances the progress bar at the end of each epoch."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:  # noqa: ARG002
        self.advance(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice on devices, data loader workers and folders."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda", "lightning.fabric")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        warnings.filterwarnings("ignore", message=".*litlogger.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
