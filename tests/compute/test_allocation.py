"""Freed memory is kept, so that arrays allocated and freed again and again cost no page faults."""

import platform
import subprocess
import sys

import pytest

ALLOCATE = """
import resource, sys
import numpy as np
from polyclinic.compute.allocation import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
    assert keep_freed_memory()  # may be asked for again


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def allocate():
    for _ in range(20):
        arrays = [np.ones(1 << 20) for _ in range(5)]  # 8 MiB each, freed together
        del arrays


allocate()
before = faults()
allocate()
print(faults() - before)
"""


def page_faults(which):
    done = subprocess.run([sys.executable, "-c", ALLOCATE, which], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_arrays_that_are_freed_together_leave_their_memory_to_the_next():
    assert 10 * page_faults("kept") < page_faults("default")
