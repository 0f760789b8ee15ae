"""Clouds for tests, joined as the service joins them."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from aggregator.app.layouts import CLOUDS
from aggregator.engine.part import Inputs
from aggregator.engine.view import View
from aggregator.model.cloud import RATES, IdleRule
from aggregator.model.instances import INSTANCES, CloudUse
from aggregator.model.storage import Allocations
from aggregator.parts.cloud.inputs import Cloud
from tests.builders import GIB, NOW

Instance = dict[str, Any]
# What an instance of 2 vCPUs did on a day on which it idled.
IDLE = {"did_cpu_seconds": 86.4, "did_network_bytes": 864.0, "did_coverage": 1.0}
NOT_LOOKED = dict.fromkeys(IDLE)
NO_RATES = dict.fromkeys(RATES)


def make_instance(**changes: Any) -> Instance:
    """Make an instance of 2 vCPUs and 4 GiB of which everything is known, and which is busy."""
    return {
        "uuid": "0d7c2f5e", "instance_name": "web-1", "project": "def-kim-dev", "user": "alice", "flavor": "p2-4gb",
        "hypervisor": "hv01", "vcpus": 2.0, "used_cpus": 0.5, "memory_bytes": 4.0 * GIB,
        "memory_used_bytes": 1.0 * GIB, "disk_read_bytes_per_second": 10.0, "disk_write_bytes_per_second": 20.0,
        "network_receive_bytes_per_second": 30.0, "network_transmit_bytes_per_second": 40.0,
        "did_cpu_seconds": 43_200.0, "did_network_bytes": 1e12, "did_coverage": 1.0, **changes,
    }  # fmt: skip


def make_cloud_use(*instances: Instance, **changes: Any) -> CloudUse:
    return CloudUse(**{"time": NOW, "instances": pl.DataFrame(instances, schema=INSTANCES), **changes})


def join_cloud(
    use: CloudUse,
    members: Mapping[str, frozenset[str]] | None = None,
    cloud: str = "arbutus",
    rule: IdleRule | None = None,
) -> View:
    allocations = Allocations(NOW, project_members={cloud: members or {}})
    joined = CLOUDS.join(Inputs(Cloud(cloud, rule or IdleRule()), use, allocations), use.time)
    assert not joined.failed
    return View(cloud, use.time, joined.frames)


def rich_cloud(names: tuple[str, ...] = ("alice", "bob"), cloud: str = "arbutus") -> View:
    """Make a view in which every family of a cloud has samples."""
    return join_cloud(rich_cloud_use(names), {name: frozenset({name}) for name in names}, cloud)


def rich_cloud_use(names: tuple[str, ...] = ("alice", "bob")) -> CloudUse:
    """Make a fetch by which every family of a cloud has samples: a project of each name, one of two idle."""
    busy = [make_instance(uuid=f"{name}-1", instance_name=name, project=name, user=name, flavor=name) for name in names]
    idle = [make_instance(uuid=f"{name}-2", instance_name=name, project=name, **IDLE) for name in names]
    return make_cloud_use(*busy, *idle, hypervisors={"hv01": True, "hv02": False})
