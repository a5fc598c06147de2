"""One job on a node of a Ray cluster that has the same versions."""

from __future__ import annotations

import pickle
import uuid
from typing import Any

from polyclinic.compute.ray_node import DONE, FAILED
from polyclinic.compute.relay import SentProgress
from polyclinic.compute.workers import Work, WorkerError, timed


class MailedProgress(SentProgress):
    """A progress that sends its steps to the mailbox of the process that waits."""

    def __init__(self, mailbox: Any, place: int) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._place = place
        self._attempt = uuid.uuid4().hex

    def send(self, values: dict[str, Any]) -> None:
        """Send one step, without waiting for it to arrive."""
        self._mailbox.put.remote(self._place, self._attempt, values)


def run_job(work: Work[Any, Any, Any], item: Any, place: int, shared: Any, mailbox: Any) -> tuple[str, bytes]:
    """Return the pickle of the result and the seconds it took, or of the error that the work raised."""
    try:
        return DONE, pickle.dumps(timed(work, shared, item, MailedProgress(mailbox, place)))
    except Exception as error:
        return FAILED, _pickled(error)


def _pickled(error: Exception) -> bytes:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # noqa: S301 (some errors can be pickled, but not restored)
    except Exception:
        return pickle.dumps(WorkerError(f"a task raised {type(error).__name__}, which cannot be sent"))
    return content
