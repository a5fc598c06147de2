"""Spread tests over workers by file, as tests of a file share fixtures, but pages of documentation one by one."""

import pytest
from xdist.scheduler import LoadFileScheduling

LONG = (
    "tests/docs/test_code_blocks.py",
    "tests/training",
    "tests/explain/shapley",
    "tests/cli",
    "tests/models/classical",
    "tests/laws",
    "tests/test_benchmarks.py",
)
"""They are slow, and start first, so that no worker is left alone with one of them at the end."""

SLOW_TOGETHER = (
    "tests/cohort/storage/test_versions.py",
    "tests/cohort/test_removal.py",
    "tests/compute/test_workers.py",
    "tests/features/test_laws.py",
    "tests/ingest/covid_cxr/test_reader.py",
    "tests/ingest/dicom/test_reader.py",
    "tests/ingest/table/guess/test_counts.py",
    "tests/ingest/table/guess/test_known_earlier.py",
    "tests/ingest/table/guess/test_measures.py",
    "tests/ingest/table/guess/test_sentinels.py",
    "tests/ingest/table/guess/test_sex.py",
    "tests/ingest/test_patients.py",
    "tests/ingest/test_subject_ids.py",
    "tests/ingest/wfdb/test_reader.py",
)
"""Their tests write, read or draw many files or tables: two seconds or more for each of these files."""


class ByFileOrPage(LoadFileScheduling):
    """Give each worker whole files, but the pages of `test_code_blocks.py` one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if "::test_page[" in nodeid else super()._split_scope(nodeid)


def place(item: pytest.Item) -> int:
    """Return the place in `LONG` of the test's file, the end for all others."""
    return next((number for number, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG))
