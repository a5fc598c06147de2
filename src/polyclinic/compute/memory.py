"""Memory that this process may still use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

MIB = 1 << 20


class Controller(NamedTuple):
    """File names of a version of Linux control groups: limit, use, and the keys of reclaimable file cache."""

    mount: str
    limit: str
    used: str
    cache: tuple[str, str]


VERSION_1 = Controller(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")
)
VERSION_2 = Controller("", "memory.max", "memory.current", ("inactive_file", "active_file"))
"""https://docs.kernel.org/admin-guide/cgroup-v2.html#memory"""


def free_bytes(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes available on the machine and in the container or job of this process, whichever is less.

    `membership` lists the control groups of the process, found under `root`; there are none outside Linux.
    """
    in_groups = (_available(group, controller) for group, controller in _groups(membership, root))
    machine: int = psutil.virtual_memory().available
    return min([machine, *(available for available in in_groups if available is not None)])


def _groups(membership: Path, root: Path) -> Iterator[tuple[Path, Controller]]:
    """Yield the groups that count this process's memory, from its own up to the root."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        controller = VERSION_2 if not controllers else VERSION_1 if "memory" in controllers.split(",") else None
        if controller is not None:
            mount = root / controller.mount
            group = mount / path.strip("/")
            yield from (
                (ancestor, controller) for ancestor in (group, *group.parents) if ancestor.is_relative_to(mount)
            )


def _available(group: Path, controller: Controller) -> int | None:
    """Return the bytes that a group still allows; None where it has no limit or cannot be read."""
    try:
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in controller[1:3])
        counts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return None
    cache = sum(int(counts.get(name, 0)) for name in controller.cache)
    return None if limit == "max" else max(0, int(limit) - int(used) + cache)
