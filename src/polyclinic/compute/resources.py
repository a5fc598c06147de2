"""What a run may use, and its account of what it spends."""

from __future__ import annotations

from dataclasses import dataclass, field

from polyclinic.compute.stages import Stages


@dataclass(frozen=True)
class Resources:
    """What a run may use, and its account of what it spends; results do not depend on the number of processes."""

    jobs: int = 1  # processes of one thread each, at most
    stages: Stages = field(default_factory=Stages)


def usable_cores() -> int:
    """Return the processor cores that this process may use, within its affinity and the limits of its container."""
    import joblib  # takes a tenth of a second

    return int(joblib.cpu_count())
