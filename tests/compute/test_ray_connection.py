"""Connections to Ray: what is refused, and an instance that is started here."""

import numpy as np
import pytest

from polyclinic.compute.ray_cluster import ClusterError, connected
from polyclinic.compute.resources import LOCAL, RAY, Resources
from tests.compute.test_ray_cluster import results
from tests.compute.test_workers import SHARED, scaled

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'polyclinic[ray]'")
pytestmark = pytest.mark.slow


def test_nothing_is_connected_to_where_the_resources_name_no_cluster():
    with connected(Resources(on=LOCAL)):
        assert not ray.is_initialized()


def test_no_cluster_at_an_address_is_refused():
    with (
        pytest.raises(ClusterError, match=r"no Ray cluster at 127\.0\.0\.1:1"),
        connected(Resources(on=RAY, ray_address="127.0.0.1:1")),
    ):
        pytest.fail("it was refused")
    with pytest.raises(ClusterError, match="ray://"), connected(Resources(on=RAY, ray_address="ray://127.0.0.1:1")):
        pytest.fail("it was refused")


def test_without_an_address_an_instance_is_started_and_ended(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    resources = Resources(jobs=1, on=RAY)
    with connected(resources):
        assert ray.cluster_resources()["CPU"] == 1
        found = results(scaled, SHARED, [2], resources)
        np.testing.assert_array_equal(found[0][0], SHARED["values"] * 2)
    assert not ray.is_initialized()
