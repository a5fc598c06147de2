"""Fixtures: a small demo, and many patients."""

from pathlib import Path

import polars as pl
import pytest

from polyclinic.demo import DemoSources, write_sources
from polyclinic.demo.patients import Patients, draw_patients

SEED = 3


@pytest.fixture(scope="session")
def many() -> list[Patients]:
    """10,240 patients."""
    return [draw_patients(SEED, block) for block in range(40)]


@pytest.fixture(scope="session")
def truth(many) -> pl.DataFrame:
    """The truth about these patients."""
    return pl.concat([patients.frame() for patients in many])


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> DemoSources:
    """40 patients with radiographs."""
    return write_sources(tmp_path_factory.mktemp("demo"), patients=40, seed=SEED)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the content of all files by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
