"""Progress reporting: libraries report through this interface, and only the command line draws it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Shows one progress bar per task."""

    def task(self, description: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a bar of `total` steps (None: unknown), yielding the function that advances it."""
        ...

    def message(self, text: str) -> None:
        """Print a line before or between the bars."""
        ...


class Silent:
    """Shows nothing; the default in libraries and tests."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        """Yield a function that does nothing."""
        yield lambda steps: None  # noqa: ARG005

    def message(self, text: str) -> None:
        """Discard the text."""


SILENT: Progress = Silent()
