"""Consoles, progress bars and JSON output of the commands."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from polyclinic.cli.plain_progress import PlainProgress
from polyclinic.progress import Advance

# No markup: codes, units and paths may hold brackets and colons.
WIDTH = None if sys.stdout.isatty() else 120
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=WIDTH)
err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class TerminalProgress:
    """One bar per task on standard error, with the time left; lines with it if that is not a terminal."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._lines = PlainProgress(lambda line: err.print(line))

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Show a bar of `total` steps while the block runs."""
        if not err.is_terminal:
            with self._lines.task(description, total) as advance:
                yield advance
            return
        bars = self._shown()
        handle = bars.add_task(description, total=total)
        try:
            yield lambda steps: bars.advance(handle, steps)
        finally:
            bars.remove_task(handle)
            if not bars.task_ids:
                bars.stop()
                self._bars = None

    def message(self, text: str) -> None:
        """Print a line."""
        err.print(text)

    def _shown(self) -> Bars:
        if self._bars is None:
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=err,
                transient=True,
            )
            self._bars.start()
        return self._bars


def print_json(value: Any) -> None:
    """Print one JSON value on standard output, without NaN."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")
