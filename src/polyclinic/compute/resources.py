"""What a run may use, and its account of what it spends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from polyclinic.compute.devices import CPU
from polyclinic.compute.stages import Stages

LOCAL, RAY = "local", "ray"
PLACES = (LOCAL, RAY)


@dataclass(frozen=True)
class Resources:
    """What a run may use, and its account of what it spends; results do not depend on the number of processes."""

    jobs: int = 1  # processes of one thread each, at most
    device: str = CPU  # of networks: cpu, cuda or mps; see `chosen_device`
    on: str = LOCAL  # where members are fitted: processes of this machine, or the nodes of a Ray cluster
    ray_address: str | None = None  # of the cluster; by default see `ray_cluster.connected`
    stages: Stages = field(default_factory=Stages)

    def of_networks(self) -> Resources:
        """Return the resources for what computes on the device: one process, if that is no CPU."""
        return self if self.device == CPU else replace(self, jobs=1)


def usable_cores() -> int:
    """Return the processor cores that this process may use, within its affinity and the limits of its container."""
    import joblib  # takes a tenth of a second

    return int(joblib.cpu_count())
