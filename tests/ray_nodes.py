"""Ray clusters of several nodes on this machine, of one core each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STORE_BYTES = 100 << 20


@contextmanager
def two_nodes() -> "Iterator[Any]":
    """Run a cluster of two nodes, of which the first is that of this process."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False},
    )
    try:
        add_node(cluster)
        yield cluster
    finally:
        cluster.shutdown()


def add_node(cluster: Any) -> Any:
    """Add a node, and wait for it."""
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    cluster.wait_for_nodes()
    return node
