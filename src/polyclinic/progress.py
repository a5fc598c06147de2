"""How long work tells its caller how far it has come; only the command line draws it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Something that can show one bar per task."""

    def task(self, description: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a bar of `total` steps (None: unknown) and give the function that advances it."""
        ...

    def say(self, text: str) -> None:
        """Tell something worth knowing before or between the bars."""
        ...


class Silent:
    """Shows nothing: what libraries and tests use."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        """Give a function that does nothing."""
        yield lambda steps: None  # noqa: ARG005

    def say(self, text: str) -> None:
        """Keep it."""


SILENT: Progress = Silent()
