"""What all tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("POLYCLINIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the folder of a real data set by its name, or skip the test where it is not."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f"real data {name!r} is not here: set POLYCLINIC_DATA to the folder that holds it")
        return REAL_DATA / name

    return folder
