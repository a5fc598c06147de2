"""Script that commits numbered batches of events to a cohort and prints each number, until it is killed."""

import sys
from datetime import datetime
from pathlib import Path

import polars as pl

from polyclinic.cohort import CohortWriter

SUBJECTS = 30


def batch(number: int) -> pl.DataFrame:
    """Return the events of one batch: one per subject, including one new subject."""
    subjects = [str(subject) for subject in (*range(SUBJECTS), 1000 + number)]
    return pl.DataFrame(
        {
            "source_id": subjects,
            "time": [datetime(2020, 1, 1)] * len(subjects),
            "code": ["LAB//batch"] * len(subjects),
            "numeric_value": [float(number)] * len(subjects),
        }
    )


def image(number: int) -> bytes:
    """Return the image of one batch, large enough to be truncated."""
    return number.to_bytes(4, "big") * 50_000


def add(path: Path, number: int) -> None:
    """Commit one batch."""
    with CohortWriter(path, source="test") as writer:
        name = writer.add_blob(image(number), "png")
        writer.add(batch(number))
        writer.add(pl.DataFrame({"subject_id": [0], "code": ["IMAGE//CR//PA"], "blob": [name]}))


if __name__ == "__main__":
    print("ready", flush=True)
    for number in range(int(sys.argv[2]), 10_000):
        add(Path(sys.argv[1]), number)
        print(number, flush=True)
