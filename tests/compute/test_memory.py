"""The memory that is free, within the limits of containers."""

import psutil
import pytest

from polyclinic.compute import memory
from polyclinic.compute.memory import MIB, free_bytes

LIMITS = {
    "version 2": (
        "0::/jobs/mine\n",
        {
            "jobs/memory.max": "max\n",
            "jobs/memory.current": "1\n",
            "jobs/memory.stat": "anon 1\n",
            "jobs/mine/memory.max": "9000\n",
            "jobs/mine/memory.current": "8000\n",
            "jobs/mine/memory.stat": "anon 6000\ninactive_file 1500\nactive_file 500\n",
        },
    ),
    "version 2, limited above": (
        "0::/jobs/mine\n",
        {
            "memory.max": "3000\n",
            "memory.current": "0\n",
            "memory.stat": "anon 0\n",
            "jobs/mine/memory.max": "max\n",
            "jobs/mine/memory.current": "0\n",
            "jobs/mine/memory.stat": "anon 0\n",
        },
    ),
    "version 1": (
        "7:cpu,cpuacct:/elsewhere\n4:memory:/mine\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/memory.usage_in_bytes": "1\n",
            "memory/memory.stat": "cache 1\n",
            "memory/mine/memory.limit_in_bytes": "4000\n",
            "memory/mine/memory.usage_in_bytes": "2000\n",
            "memory/mine/memory.stat": "inactive_file 7\ntotal_inactive_file 600\ntotal_active_file 400\n",
        },
    ),
    "version 1, the host's name of a container": (
        "4:memory:/docker/0123\n",
        {
            "memory/memory.limit_in_bytes": "3000\n",
            "memory/memory.usage_in_bytes": "0\n",
            "memory/memory.stat": "cache 1\n",
        },
    ),
}


@pytest.mark.parametrize("groups", LIMITS)
def test_the_limit_of_a_container_is_respected(groups, tmp_path):
    membership, files = LIMITS[groups]
    (tmp_path / "cgroup").write_text(membership)
    for name, content in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(content)
    assert free_bytes(tmp_path / "cgroup", tmp_path / "fs") == 3000


def test_a_group_over_its_limit_has_nothing_free(tmp_path):
    (tmp_path / "cgroup").write_text("0::/\n")
    for name, content in {"memory.max": "10\n", "memory.current": "20\n", "memory.stat": "anon 20\n"}.items():
        (tmp_path / name).write_text(content)
    assert free_bytes(tmp_path / "cgroup", tmp_path) == 0


def test_without_control_groups_the_machine_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("Half", (), {"available": 12345}))
    assert free_bytes(tmp_path / "none", tmp_path) == 12345
    assert 0 < free_bytes() <= 12345


def test_free_memory_of_this_machine_is_plausible():
    assert MIB < free_bytes() <= psutil.virtual_memory().total
