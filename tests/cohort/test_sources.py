"""The subjects of a source are those with an event that it contains, whoever else contains it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.cohort import Cohort
from tests.cohort.samples import EVENTS, Event, frame
from tests.cohort.storage.test_writer import small_limits
from tests.cohort.test_removal import SOURCE, add


def people(events: list[Event]) -> int:
    """Return the number of subjects of events."""
    return frame(events)["source_id"].n_unique()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SOURCE.filter(bool), SOURCE.filter(bool), st.lists(EVENTS, max_size=3))
def test_subjects_are_counted_in_each_source_that_has_them(a: list[Event], b: list[Event], both: list[Event]) -> None:
    with small_limits(), TemporaryDirectory() as folder:
        path = Path(folder) / "cohort"
        add(path, "a", *a, *both)
        add(path, "b", *b, *both)
        cohort = Cohort.open(path)
        assert cohort.subjects_by_source() == {"a": people([*a, *both]), "b": people([*b, *both])}
