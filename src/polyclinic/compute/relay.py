"""Progress of worker processes, relayed to the progress of the process that waits for them.

Each worker writes lines of JSON into a file of its own, which the other process reads from time to time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from polyclinic.progress import Advance, Progress

SUFFIX = ".progress"


class WrittenProgress:
    """A progress that writes its steps into a file; `file` without a suffix."""

    def __init__(self, file: Path) -> None:
        self._file = file.with_suffix(SUFFIX)
        self._numbers = count()

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Write the begin, the steps and the end of a task."""
        number = next(self._numbers)
        self._write(number, begin=description, total=total)
        try:
            yield lambda steps: self._write(number, steps=steps)
        finally:
            self._write(number, end=True)

    def message(self, text: str) -> None:
        """Write a line for the user."""
        self._write(next(self._numbers), message=text)

    def _write(self, number: int, **values: Any) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"task": number} | values) + "\n")


class Relay:
    """Reads what workers have written into a folder, and reports it."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._read: dict[Path, int] = {}  # bytes of each file
        self._open: dict[tuple[Path, int], tuple[ExitStack, Advance]] = {}

    def forward(self) -> None:
        """Report what was written since the last call."""
        for file in sorted(self._folder.glob(f"*{SUFFIX}")):
            with file.open("rb") as content:
                content.seek(self._read.get(file, 0))
                lines = content.read()
            complete = lines[: lines.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(complete)
            for line in complete.splitlines():
                self._report(file, json.loads(line))

    def close(self) -> None:
        """Close the tasks that are open."""
        for stack, _ in self._open.values():
            stack.close()
        self._open.clear()

    def _report(self, file: Path, line: dict[str, Any]) -> None:
        key = (file, line["task"])
        if "message" in line:
            self._progress.message(line["message"])
        elif "begin" in line:
            stack = ExitStack()
            self._open[key] = stack, stack.enter_context(self._progress.task(line["begin"], line["total"]))
        elif "steps" in line:
            self._open[key][1](line["steps"])
        else:
            self._open.pop(key)[0].close()
