"""A place in which the blocks of one page run, and the demo that pages share, made once."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import built_once

PATIENTS = 120


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The networks are small: threads cost more than they bring where tests share the processors."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encodings(tmp_path_factory) -> Path:
    """A cache of encoder outputs for all pages."""
    return built_once(tmp_path_factory, "docs_cache", Path.mkdir)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A small demo, as `polyclinic demo` leaves it."""
    from polyclinic.demo import write_sources
    from polyclinic.ingest import ingest

    def build(folder: Path) -> None:
        for step in write_sources(folder, PATIENTS, seed=0).steps:
            ingest(step.reader, step.path, folder / "cohort", mapping=step.mapping)

    return built_once(tmp_path_factory, "docs_demo", build)


@pytest.fixture(scope="session")
def trained_demo(demo, tmp_path_factory) -> Path:
    """The demo with a bundle, trained for a few epochs so that it takes seconds."""
    from polyclinic import Cohort, Study, fit

    def build(folder: Path) -> None:
        shutil.copytree(demo, folder, symlinks=True)
        little = {"network": {"epochs": 3, "width": 16}, "classical": ["logistic_regression"], "folds": 2}
        study = Study(tasks="demo_deterioration", inputs=("structured", "series"), **little)
        fit(study, Cohort.open(folder / "cohort")).save(folder / "bundle")

    return built_once(tmp_path_factory, "docs_trained_demo", build)


@pytest.fixture
def workplace(request, tmp_path, encodings, monkeypatch) -> Path:
    """An empty folder; where the page speaks of `runs/demo`, with a demo of its own there.

    What the page trains in this process has few trees and few epochs.
    """
    from tests.little_training import few_epochs, few_trees

    few_trees(monkeypatch)
    few_epochs(monkeypatch)
    text = request.getfixturevalue("page").read_text(encoding="utf-8")
    monkeypatch.setenv("POLYCLINIC_CACHE", str(encodings))
    if "runs/demo" in text:
        made = request.getfixturevalue("trained_demo" if "runs/demo/bundle" in text else "demo")
        shutil.copytree(made, tmp_path / "runs" / "demo", symlinks=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path
