"""What nodes of a Ray cluster run first, sent to them as source: they may have no Polyclinic, or another one.

So nothing of it is imported here before versions are compared. What is returned are plain values, and what the work
returns or raises comes as a pickle, so that Ray's logs, which keep errors, hold none of it.
"""

from __future__ import annotations

import os
import pickle
from importlib.metadata import PackageNotFoundError, version
from typing import Any

DONE, FAILED, LOST, OTHER_VERSIONS = "done", "failed", "lost", "other versions"


def installed(packages: list[str]) -> dict[str, str]:
    """Return the installed version of each package; empty if there is none."""
    return {name: _version(name) for name in packages}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def run(
    required: dict[str, str], environment: dict[str, str], shared: list[Any], job: bytes, mailbox: Any
) -> tuple[str, Any]:
    """Run one job if the versions are as required; return what became of it, and a pickle or the versions found.

    `shared` holds a reference, so that Ray does not unpickle the object before; `job` is the pickle of a function of
    the object and the mailbox.
    """
    import ray

    found = installed(list(required))
    if found != required:
        return OTHER_VERSIONS, found
    os.environ.update(environment)
    try:
        content = ray.get(shared[0])
    except ray.exceptions.ObjectLostError:
        return LOST, None
    became, result = pickle.loads(job)(content, mailbox)  # noqa: S301 (written by the process that waits)
    return became, result


class Mailbox:
    """Keeps what jobs report of their progress until it is fetched."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, dict[str, Any]]] = []

    def put(self, place: int, attempt: str, values: dict[str, Any]) -> None:
        """Add one step of an attempt at the job at this place."""
        self._lines.append((place, attempt, values))

    def take(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the steps since the last call."""
        lines, self._lines = self._lines, []
        return lines
