"""Fits by Lightning against a plain PyTorch loop, and a second epoch against the first: parts of `speed`."""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Interval, alternated, clocked, median, ratio
from polyclinic import Cohort, Study
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.models import ModelConfig, UnifiedModel
from polyclinic.study import Network
from polyclinic.training.data.dataset import Batches, Examples
from polyclinic.training.fit import FittedStudy, fit_study
from polyclinic.training.network.lightning_module import UnifiedModule
from polyclinic.training.network.losses import task_loss
from polyclinic.training.network.trainer import Rows, fit_network, initialise_heads

TASK = "demo_deterioration"
STUDY = Study(tasks=(TASK,), network=Network(epochs=1), classical=(), folds=2)
LEARNT, EPOCHS = 1024, 4


def steps_per_second(fitted: FittedStudy, folder: Path, repeats: int) -> tuple[Interval, Interval]:
    """Return the plain loop's steps per second, and the ratio of ours to them, of whole fits.

    Both train the same network from the same batches with the same losses, validate at each epoch's end, and end with
    the same bits; ours also keeps checkpoints and a log.
    """
    config, examples = fitted.bundle.ensemble.networks[0].config, fitted.examples
    rows = Rows(np.random.default_rng(0).choice(len(examples), LEARNT), np.arange(len(examples)))
    options = Network(epochs=EPOCHS, patience=EPOCHS)
    by_hand = plain_loop(config, examples, rows, options)
    ours = fit_network(config, examples, rows, options, seed=0, folder=folder / "warm").state_dict()
    assert all(torch.equal(tensor, by_hand[f"model.{name}"]) for name, tensor in ours.items())
    seconds = alternated(
        repeats,
        lambda turn: fit_network(config, examples, rows, options, seed=0, folder=folder / str(turn)),
        lambda _: plain_loop(config, examples, rows, options),
    )
    steps = EPOCHS * len(Batches(examples, rows.training, options.batch_size, shuffle_seed=0))
    return median(steps / seconds[:, 1]), ratio(seconds[:, 1], seconds[:, 0])


def plain_loop(config: ModelConfig, examples: Examples, rows: Rows, options: Network) -> Mapping[str, torch.Tensor]:
    """Train in a plain PyTorch loop, and return the weights of the best epoch."""
    torch.manual_seed(0)
    model = UnifiedModel(config)
    initialise_heads(model, examples, rows.training)
    module = UnifiedModule(model, options, seed=0)
    setup = module.configure_optimizers()
    optimizer, schedule = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    training = Batches(examples, rows.training, options.batch_size, shuffle_seed=0)
    validation = Batches(examples, rows.validation, 4 * options.batch_size)
    least, best = np.inf, {}
    for epoch in range(options.epochs):
        training.epoch = epoch
        torch.manual_seed(epoch)
        module.train()
        for labelled in training:
            step_loss = module.training_step(labelled, 0)
            optimizer.zero_grad()
            step_loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, options.gradient_clip)
            optimizer.step()
        schedule.step()
        loss = validation_loss(model.eval(), validation)
        if loss < least:
            least, best = loss, deepcopy(module.state_dict())
    return best


@torch.no_grad()
def validation_loss(model: UnifiedModel, batches: Batches) -> float:
    """Return the mean loss over the samples of all batches."""
    total = 0.0
    for labelled in batches:
        for task, logit in model(labelled.batch).logits.items():
            loss = task_loss(model.head(task), logit, labelled.values[task], labelled.observed[task])
            total += float(loss) * len(labelled.batch)
    return total / len(batches.rows)


def second_epoch(cohort: Cohort, folder: Path, repeats: int) -> Interval:
    """Return the ratio of a second epoch to a first that finds the cache of frozen encoders empty.

    The first epoch includes the encoding of every image and note.
    """
    ratios = []
    for turn in range(repeats):
        cache = EncoderCache(folder / f"epochs{turn}")
        fitted = fit_study(STUDY, cohort, cache=cache)
        known = fitted.samples.select("subject_id").height
        assert known == len(fitted.examples)
        cache.clear()
        encoding = clocked(partial(fitted.bundle.arrays, cohort, fitted.samples))
        epoch = one_epoch(fitted)
        ratios.append(epoch / (encoding + epoch))
    return median(ratios)


def one_epoch(fitted: FittedStudy) -> float:
    """Return the seconds of one training epoch."""
    network = fitted.bundle.ensemble.networks[0]
    module = UnifiedModule(UnifiedModel(network.config), Network(), seed=0)
    optimizer = module.configure_optimizers()["optimizer"]
    batches = Batches(fitted.examples, np.arange(len(fitted.examples)), module.options.batch_size, shuffle_seed=0)

    def learn() -> None:
        for labelled in batches:
            optimizer.zero_grad()
            module.training_step(labelled, 0).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    module.train()
    learn()
    return clocked(learn)
