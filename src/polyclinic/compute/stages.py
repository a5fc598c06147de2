"""Seconds that a run spends in each of its stages: on the wall clock, and of processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


@dataclass
class Spent:
    """Seconds on the wall clock, and of processor time."""

    wall_s: float = 0.0
    processor_s: float = 0.0

    def add(self, other: Spent) -> None:
        """Add what was spent elsewhere."""
        self.wall_s += other.wall_s
        self.processor_s += other.processor_s


class Row(NamedTuple):
    """One stage: its depth under those that contain it, name, and seconds, those of its parts included."""

    depth: int
    name: str
    spent: Spent


class Stages:
    """Adds up the seconds of stages, which may contain others; not for use by several threads.

    Processor time is that of this process with all its threads, and what worker processes report by `add`.
    """

    def __init__(self) -> None:
        self._spent: dict[tuple[str, ...], Spent] = {}
        self._open: tuple[str, ...] = ()

    @property
    def current(self) -> tuple[str, ...]:
        """The names of the open stages, each within the one before; may be read by another thread."""
        return self._open

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of the block to the stage, within the stage that is open."""
        outside = self._open
        self._open = (*outside, name)
        spent = self._spent.setdefault(self._open, Spent())
        begun = clock()
        try:
            yield
        finally:
            spent.add(since(begun))
            self._open = outside

    def add(self, name: str, spent: Spent, *, here: bool = False) -> None:
        """Count what was spent on a part of the open stage, in this process (`here`) or in a worker.

        The processor time of a worker also counts in the open stages, whose wall clocks run.
        """
        self._spent.setdefault((*self._open, name), Spent()).add(spent)
        for depth in range(0 if here else len(self._open)):
            self._spent[self._open[: depth + 1]].add(Spent(0.0, spent.processor_s))

    def rows(self) -> list[Row]:
        """Return the stages in the order in which they began, each followed by its parts."""
        first = {path: place for place, path in enumerate(self._spent)}
        ordered = sorted(self._spent, key=lambda path: [first[path[: end + 1]] for end in range(len(path))])
        return [Row(len(path) - 1, path[-1], self._spent[path]) for path in ordered]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the rows as JSON values, in milliseconds' precision."""
        return [
            {"stage": row.name, "depth": row.depth}
            | {name: round(seconds, 3) for name, seconds in asdict(row.spent).items()}
            for row in self.rows()
        ]


def clock() -> Spent:
    """Return the present time, for `since`."""
    return Spent(time.perf_counter(), time.process_time())


def since(begun: Spent) -> Spent:
    """Return what this process has spent since then."""
    now = clock()
    return Spent(now.wall_s - begun.wall_s, now.processor_s - begun.processor_s)
