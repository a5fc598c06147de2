"""The writer: what is added is what is read, once."""

from datetime import datetime
from pathlib import Path

import polars as pl

from polyclinic.cohort import Cohort, CohortWriter


def test_repeated_ingest_adds_nothing(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "source_id": ["a", "17", "a"],
            "time": [datetime(2020, 1, 2), datetime(2020, 1, 1), None],
            "code": ["LAB//lactate//mmol/L", "LAB//lactate//mmol/L", "DEMOGRAPHIC//sex"],
            "numeric_value": [1.5, 2.5, None],
            "text_value": [None, None, "female"],
        }
    )
    for _ in range(2):
        with CohortWriter(tmp_path, source="table") as writer:
            writer.add(frame)
    cohort = Cohort.open(tmp_path)
    events = cohort.events().collect()
    assert events.get_column("code").to_list() == ["LAB//lactate//mmol/L", "DEMOGRAPHIC//sex", "LAB//lactate//mmol/L"]
    assert cohort.subject(17).get_column("numeric_value").to_list() == [2.5]
    assert writer.committed
    assert (writer.committed.version, writer.committed.new_events) == (2, 0)
