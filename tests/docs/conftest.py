"""A place in which the blocks of one page run, and the demo that pages share, made once."""

import os
import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A small demo as `polyclinic demo` leaves it."""
    from polyclinic.demo import write_sources
    from polyclinic.ingest import ingest

    folder = tmp_path_factory.mktemp("demo")
    for step in write_sources(folder, patients=200, seed=0).steps:
        ingest(step.reader, step.path, folder / "cohort", mapping=step.mapping)
    return folder


@pytest.fixture
def workplace(request, tmp_path, tmp_path_factory, monkeypatch) -> Path:
    """An empty folder; where the page speaks of `runs/demo`, with a demo of its own there."""
    if "runs/demo" in request.getfixturevalue("page").read_text(encoding="utf-8"):
        shutil.copytree(request.getfixturevalue("demo"), tmp_path / "runs" / "demo", symlinks=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("POLYCLINIC_CACHE", str(tmp_path_factory.getbasetemp() / "encodings"))
    return tmp_path
