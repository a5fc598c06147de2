"""Computation in one thread, so that sums are rounded alike whatever the machine, and processes share its cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "POLARS_MAX_THREADS",
        "LOKY_MAX_CPU_COUNT",  # of joblib, by which scikit-learn fits forests
    ),
    "1",
)
"""Variables with which a process computes in one thread, if they are set before it imports anything."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within the block: matrix products, torch, and scikit-learn's own parallel loops.

    Libraries that are first imported within the block keep to one thread.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 1
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        if torch and threads > 1:
            torch.set_num_threads(1)
        with threadpool_limits(1):
            yield
    finally:
        if torch and threads > 1:
            torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
