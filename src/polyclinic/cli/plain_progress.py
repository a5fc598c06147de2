"""Progress as lines of a log, with the elapsed and the remaining time, for output that is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polyclinic.progress import Advance

FIRST, EVERY = 10.0, 60.0
"""Seconds until the first line on a running task, and between the next ones."""


class PlainProgress:
    """Writes a line when a task begins, some while it runs, and one when it ends, if it took long.

    Args:
        write: Receives the lines.
        clock: Returns seconds that only grow.
    """

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self.write = write
        self.clock = clock

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Report on a task of `total` steps while the block runs."""
        begun = self.clock()
        due, done = begun + FIRST, 0
        self.write(f"{description} …")

        def advance(steps: int) -> None:
            nonlocal due, done
            done += steps
            now = self.clock()
            if now >= due:
                due = now + EVERY
                self.write(f"{description}: {_state(done, total, now - begun)} …")

        yield advance
        took = self.clock() - begun
        if took >= FIRST:
            self.write(f"{description}: done after {duration(took)} …")


def _state(done: int, total: int | None, elapsed: float) -> str:
    """Describe how far a task is; the remaining time supposes that steps take equally long."""
    if total is None:
        return f"{done:,} after {duration(elapsed)}"
    state = f"{done:,} of {total:,} after {duration(elapsed)}"
    return f"{state}, about {duration(elapsed * (total - done) / done)} left" if 0 < done < total else state


def duration(seconds: float) -> str:
    """Format a duration in its two largest units.

    >>> duration(7.4), duration(95), duration(7384)
    ('7 s', '1 min 35 s', '2 h 3 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
