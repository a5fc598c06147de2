"""Expensive folders that are built once per test run, by whichever worker needs them first, and only read then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return a folder that `build` fills, shared by all workers; a build that fails is repeated by the next that asks.

    `build` gets the folder that it must create.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    finished = folder.with_suffix(".finished")
    with FileLock(folder.with_suffix(".lock")):
        if not finished.exists():
            build(folder)
            finished.touch()
    return folder
