"""Fits in worker processes: equal to the bit whatever their number, resumed, interrupted."""

import functools
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import polars as pl
import psutil
import pytest
import torch

from polyclinic.compute import workers
from polyclinic.compute.resources import Resources
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.image.embeddings import CanvasSize, ImageEncodings
from polyclinic.progress import Silent
from polyclinic.training.fit import FittedStudy, fit_study
from polyclinic.training.train import train_and_measure
from tests.hospital import STUDY, files_of, rewritten
from tests.little_training import no_pictures


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    """Start workers however little there is to do."""
    monkeypatch.setattr(workers, "WORTH_S", 0.0)


@pytest.fixture
def several_threads():
    """Let the process itself compute in several threads, as it does on a machine with several cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


TASK = "demo_deterioration"
TWO_METHODS = STUDY.model_copy(update={"classical": ("decision_tree", "logistic_regression")})


class FittedBy(NamedTuple):
    fitted: FittedStudy
    files: dict[str, bytes]
    resources: Resources


@pytest.fixture(scope="module")
def fitted_by(hospital, tmp_path_factory):
    """The study fitted by some number of processes, with its own encodings, and the files of its bundle."""
    folder, some = tmp_path_factory.mktemp("fitted"), hospital.subjects_in("train")[:30]

    def fit(count):
        cache = EncoderCache(folder / f"cache{count}")
        resources = Resources(jobs=count)
        fitted = fit_study(TWO_METHODS, hospital, subjects=some, cache=cache, resources=resources)
        return FittedBy(fitted, files_of(fitted.bundle.save(folder / f"bundle{count}")), resources)

    return functools.cache(fit)


@pytest.mark.parametrize("count", [2, 3])
def test_a_fit_is_equal_to_the_bit_whatever_the_number_of_processes(count, fitted_by, several_threads):
    (alone, files, _), (together, other_files, _) = fitted_by(1), fitted_by(count)
    np.testing.assert_array_equal(*(np.asarray(one.examples.arrays["image"]["tokens"]) for one in (alone, together)))
    assert files.keys() == other_files.keys()
    differ = {name for name in files if files[name] != other_files[name]}
    assert differ == set()
    for name, prediction in alone.member_predictions[TASK].items():
        np.testing.assert_array_equal(prediction.answers, together.member_predictions[TASK][name].answers, name)
    for name, member in alone.bundle.ensemble.tasks[TASK].members.items():
        other = together.bundle.ensemble.tasks[TASK].members[name]
        arrays = alone.examples.arrays
        np.testing.assert_array_equal(member.prediction(arrays).answers, other.prediction(arrays).answers, name)


def test_what_workers_spend_is_counted(fitted_by):
    spent = {row.name: row.spent for row in fitted_by(2).resources.stages.rows()}
    parts = ("network", "decision_tree", "logistic_regression")
    assert all(spent[part].processor_s > 0 for part in parts)
    assert spent["cross-fitting"].processor_s >= sum(spent[part].processor_s for part in parts)


class Interrupted(Silent):
    """Raises, as Ctrl-C does, when a worker reports an epoch of the second network."""

    @contextmanager
    def task(self, description, total=None):
        def advance(steps):
            if description == "network, fold 2":
                raise KeyboardInterrupt

        yield advance


def test_an_interrupted_fit_leaves_no_worker_and_is_resumed(trained, hospital, cache, tmp_path, monkeypatch):
    no_pictures(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train_and_measure(STUDY, hospital, tmp_path, cache=cache, progress=Interrupted(), resources=Resources(jobs=2))
    assert not [process for process in psutil.Process().children(recursive=True) if "LokyProcess" in command(process)]
    assert not list(tmp_path.rglob("workers-*")), "what was written for workers is removed"
    train_and_measure(STUDY, hospital, tmp_path, cache=cache, resources=Resources(jobs=1))
    again, before = files_of(tmp_path), files_of(trained.folder)
    bundle = [name for name in before if name.endswith(".safetensors") or name in ("calibration.json", "golden.json")]
    assert {name for name in bundle if again[name] != before[name]} == set()


def command(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_encoding_in_workers_reports_unusable_images(hospital, tmp_path):
    """A damaged image is reported by the worker that reads it, as by this process."""
    copy = rewritten(hospital, tmp_path / "copy", lambda events: events)
    bad = copy.events().filter(pl.col("blob").str.ends_with("png")).collect()["blob"][0]
    copy.blob(bad).write_bytes(b"damaged")
    names = copy.events().filter(pl.col("blob").str.ends_with("png")).collect()["blob"].unique().to_list()
    cache, size = EncoderCache(tmp_path / "cache"), CanvasSize(64, "letterbox")
    encodings = ImageEncodings(copy.blob, size, "efficientnet_lite0", cache, Resources(jobs=2))
    prepared = encodings.prepare("tokens", names)
    assert prepared.encoded == len(names) - 1
    assert list(prepared.unusable) == [bad]
    assert "damaged" in prepared.unusable[bad]
