"""What the part makes of a cluster."""

import pytest

from aggregator.model.waste import Condition, Level
from tests.builders import make_allocation, make_gpu, make_rule, make_run, make_use
from tests.clusters import join_cluster, make_energy

IDLE = make_rule(resource="gpu", levels=(Level("warning", (Condition("gpu_idle_seconds", ">=", 600.0),)),))


@pytest.mark.parametrize(("gpu_nodes", "found"), [({"node01"}, ["holds"]), (set(), [])])
def test_where_no_exporter_can_show_a_gpu_none_is_called_idle(gpu_nodes: set[str], found: list[str]) -> None:
    run = make_run(allocated=make_allocation(gpus={"a100": 1}))
    use = make_use(gpus={4711: (make_gpu(utilization=0.0),)}, gpu_nodes=frozenset(gpu_nodes))
    energy = make_energy({"run_id": 101, "gpu_idle_seconds": 1800.0})
    assert join_cluster([run], use, energy, rules=[IDLE])["waste"]["reason"].to_list() == found
