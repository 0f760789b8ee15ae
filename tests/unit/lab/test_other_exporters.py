"""Exporters of other sites beside the lab's own, on the nodes that a test chooses."""

from collections import defaultdict

import pytest

from tests.lab.behaviours import GIB, Behaviour
from tests.lab.exporters.sluid import sluid
from tests.lab.feed import NodeShare, RunningJob
from tests.lab.recording import record
from tests.lab.remote_write import STALE
from tests.lab.simulators import Simulators
from tests.lab.slurm_config import GPU_NODES

NODES = GPU_NODES[:2]
SLUID = sluid(0xBC064B4483EA1000)
# A job on both nodes, with two GPUs on each.
JOB = RunningJob(
    500, 500, "ann", "phys", 1000.0, {node: NodeShare((0, 1), 8 * GIB, 2, (1, 2)) for node in NODES}, 1000, "gpu"
)
BEHAVIOUR = Behaviour(cpu=0.5, gpu=(80.0, 20.0))
OTHERS = {
    "plazonic-cgroup": NODES[:1], "treydock-cgroup": NODES[1:], "dcgm": NODES, "nvidia-gpu": NODES, "ceems": NODES,
    "amd-device-metrics": NODES, "amd-smi": NODES, "omnistat": NODES,
}  # fmt: skip
Series = dict[str, dict[str, list[tuple[float, float]]]]


def recorded(*, down: frozenset[tuple[str, str]] = frozenset(), renamed: bool = False) -> Series:
    """Give the samples at 1600 and 1630, by metric and target; the job ends in between."""

    def prepare(simulators: Simulators, at: float) -> None:
        simulators.behaviours = {JOB.submitted_id: BEHAVIOUR}
        simulators.sluids = {JOB.job_id: SLUID} if renamed else {}
        simulators.others.down = down

    written = record(
        "lab", [1600.0, 1630.0], lambda at: [JOB] if at < 1610 else [], prepare, NODES,
        lambda job, _: job in OTHERS or job == "slurm-job-exporter", OTHERS,
    )  # fmt: skip
    found: Series = defaultdict(lambda: defaultdict(list))
    for labels, samples in written:
        found[labels["__name__"]][labels["instance"]] += samples
    return found


def first(samples: list[tuple[float, float]]) -> list[float]:
    return [value for at, value in samples if at == 1600.0]


def test_half_of_the_nodes_has_one_exporter_and_half_another() -> None:
    found = recorded()
    seconds = {f"{node}:9306": [2 * 0.5 * 600.0] for node in NODES}
    assert {target: first(samples) for target, samples in found["cgroup_cpu_total_seconds"].items()} == seconds
    assert found["cgroup_uid"].keys() == {f"{NODES[0]}:9306"}
    assert {target: sum(first(each)) for target, each in found["slurm_job_core_usage_total"].items()} == pytest.approx(
        {f"{node}:9798": 600e9 for node in NODES}
    )


def test_counters_have_the_names_that_their_exporter_gives_them() -> None:
    """A counter without `_total`, as several of them have, stays one."""
    found = recorded()
    assert "cgroup_cpu_total_seconds_total" not in found
    assert found["amd_gpu_power"].keys() == {f"{node}:2021" for node in NODES}
    assert first(found["DCGM_FI_DEV_GPU_UTIL"][f"{NODES[0]}:9400"]) == [0, 80, 20, 0]


def test_what_a_job_had_ends_with_it_and_its_gpus_go_on_without_it() -> None:
    found = recorded()
    assert [value for at, value in found["cgroup_cpu_total_seconds"][f"{NODES[0]}:9306"] if at == 1630.0] == [STALE]
    board = found["DCGM_FI_DEV_POWER_USAGE"][f"{NODES[0]}:9400"]
    assert sorted(value for at, value in board if at == 1630.0 and value is not STALE) == [50.0] * 4


def test_an_exporter_that_is_down_takes_no_other_with_it() -> None:
    found = recorded(down=frozenset({("dcgm", NODES[0])}))
    assert first(found["up"][f"{NODES[0]}:9400"]) == [0.0]
    assert f"{NODES[0]}:9400" not in found["DCGM_FI_DEV_GPU_UTIL"]
    assert first(found["up"][f"{NODES[0]}:9445"]) == [1.0]
    assert first(found["DCGM_FI_DEV_GPU_UTIL"][f"{NODES[1]}:9400"]) == [0, 80, 20, 0]


def test_a_job_that_is_called_by_its_sluid_is_not_seen_by_all() -> None:
    found = recorded(renamed=True)
    assert "slurm_job_core_usage_total" not in found
    assert "ceems_compute_unit_cpus" not in found
    assert "cgroup_info" not in {name for name in found if f"{NODES[1]}:9306" in found[name]}
    assert first(found["cgroup_cpu_total_seconds"][f"{NODES[1]}:9306"]) == [600.0]
