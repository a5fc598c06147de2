"""Progress of worker processes, relayed to the progress of the process that waits for them.

Each worker writes lines of JSON into a file of its own, which the other process reads from time to time.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from polyclinic.progress import Advance, Progress

SUFFIX = ".progress"


class SentProgress(ABC):
    """A progress that sends its steps to another process, as values of JSON."""

    def __init__(self) -> None:
        self._numbers = count()

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Send the begin, the steps and the end of a task."""
        number = next(self._numbers)
        self.send({"task": number, "begin": description, "total": total})
        try:
            yield lambda steps: self.send({"task": number, "steps": steps})
        finally:
            self.send({"task": number, "end": True})

    def message(self, text: str) -> None:
        """Send a line for the user."""
        self.send({"task": next(self._numbers), "message": text})

    @abstractmethod
    def send(self, values: dict[str, Any]) -> None:
        """Send one step."""


class WrittenProgress(SentProgress):
    """A progress that writes its steps into a file; `file` without a suffix."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file.with_suffix(SUFFIX)

    def send(self, values: dict[str, Any]) -> None:
        """Write one step as a line."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


class Reporter:
    """Reports the steps that several sources have sent."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._open: dict[tuple[Hashable, int], tuple[ExitStack, Advance]] = {}

    def report(self, source: Hashable, values: dict[str, Any]) -> None:
        """Report one step."""
        key = (source, values["task"])
        if "message" in values:
            self._progress.message(values["message"])
        elif "begin" in values:
            stack = ExitStack()
            self._open[key] = stack, stack.enter_context(self._progress.task(values["begin"], values["total"]))
        elif "steps" in values:
            self._open[key][1](values["steps"])
        else:
            self._open.pop(key)[0].close()

    def close(self, source: Hashable) -> None:
        """Close the tasks of a source that are open."""
        for key in [key for key in self._open if key[0] == source]:
            self._open.pop(key)[0].close()

    def close_all(self) -> None:
        """Close all tasks that are open."""
        for source in {source for source, _ in self._open}:
            self.close(source)


class Relay:
    """Reads what workers have written into a folder, and reports it."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._reporter = Reporter(progress)
        self._read: dict[Path, int] = {}  # bytes of each file

    def forward(self) -> None:
        """Report what was written since the last call."""
        for file in sorted(self._folder.glob(f"*{SUFFIX}")):
            with file.open("rb") as content:
                content.seek(self._read.get(file, 0))
                lines = content.read()
            complete = lines[: lines.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(complete)
            for line in complete.splitlines():
                self._reporter.report(file, json.loads(line))

    def close(self) -> None:
        """Close the tasks that are open."""
        self._reporter.close_all()
