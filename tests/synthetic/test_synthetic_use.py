from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.engine.frame import Frames
from aggregator.model.job_inputs import Accounting, Use
from aggregator.parts.owners.sums import HOLDS
from aggregator.sources.base import Source
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticUse
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.waves import Wave, integrals
from tests.clusters import join_cluster
from tests.use import gpus_of, values_of

Row = dict[str, Any]

START = 1_800_000_900.0
HEALTHY = START - START % 1800 + 1200
OUTAGE = START - START % 1800 + 1800 + 300


@dataclass(frozen=True)
class Fetched:
    cluster: SyntheticCluster
    accounting: Accounting
    use: Use
    frames: Frames

    @property
    def jobs(self) -> list[Row]:
        """List all jobs."""
        return self.frames["jobs"].with_columns(holds=HOLDS).to_dicts()

    def of(self, behaviour: str) -> list[Row]:
        """List the joined jobs of one behaviour that are old enough to have series."""
        ids = {live.run.run_id for live in self.cluster.live() if live.profile.behaviour.name == behaviour}
        old = [
            job for job in self.jobs if job["run_id"] in ids and job["elapsed_seconds"] > 1800 and is_seen(self, job)
        ]
        assert old
        return old


_kept: dict[float, Fetched] = {}


async def fetch(at: float) -> Fetched:
    """Fetch and join at a time; once only, for nobody changes it."""
    if at not in _kept:
        cluster = SyntheticCluster(start=START)
        accounting = await SyntheticAccounting(cluster).fetch(at)
        use = await SyntheticUse(cluster).fetch(at)
        _kept[at] = Fetched(cluster, accounting, use, join_cluster(accounting.runs, use, at=at))
    return _kept[at]


def is_seen(fetched: Fetched, job: Row) -> bool:
    """Tell whether the exporters of all nodes of a job answer."""
    return not Exporters(fetched.cluster).silent(fetched.use.time).intersection(job["nodes"])


async def test_sources_keep_the_protocol() -> None:
    cluster = SyntheticCluster(nodes=12, gpu_nodes=4, running=120, start=START)
    accounting: Source[Accounting] = SyntheticAccounting(cluster)
    use: Source[Use] = SyntheticUse(cluster)
    await use.fetch(START)
    assert (accounting.name, use.name) == ("slurmacct", "prometheus")
    assert accounting.rows == 0
    assert use.rows > 500
    assert accounting.features["gpus"]


async def test_sums_of_users_and_accounts_are_those_of_the_jobs() -> None:
    fetched = await fetch(HEALTHY)
    running = [run for run in fetched.accounting.runs if run.holds_resources]
    for of in ("user", "account"):
        sums, gpus, states = (fetched.frames[name] for name in (f"{of}s", f"{of}_gpus", f"{of}_states"))
        assert sums["allocated_cpus"].sum() == sum(run.allocated.cpus for run in running)
        assert sums["allocated_memory_bytes"].sum() == sum(run.allocated.memory_bytes or 0 for run in running)
        assert gpus["count"].sum() == sum(run.allocated.gpu_count for run in running)
        assert states.filter(state="running")["count"].sum() == len(running)


async def test_use_is_within_the_allocation() -> None:
    fetched = await fetch(HEALTHY)
    for job in fetched.jobs:
        if job["used_cpus"] is None or not is_seen(fetched, job):
            continue
        assert job["used_cpus"] <= job["granted_cpus"]
        assert 0 <= job["cpu_seconds"] <= job["granted_cpus"] * job["elapsed_seconds"]
        assert job["memory_used_bytes"] <= job["memory_peak_bytes"] <= job["granted_memory_bytes"]
        assert job["running_threads"]


async def test_node_names_are_those_of_the_runs() -> None:
    fetched = await fetch(HEALTHY)
    cpus, gpus = values_of(fetched.use, "cpus"), gpus_of(fetched.use)
    assert cpus
    assert gpus
    nodes = {run.job_id: run.nodes for run in fetched.accounting.runs if run.holds_resources}
    silent = Exporters(fetched.cluster).silent(HEALTHY)
    assert all(set(values) == set(nodes[job_id]) - silent for job_id, values in cpus.items())
    assert all(gpu.node in nodes[job_id] for job_id, found in gpus.items() for gpu in found)


async def test_every_run_old_enough_is_covered() -> None:
    fetched = await fetch(HEALTHY)
    for job in fetched.jobs:
        if job["holds"] and job["elapsed_seconds"] >= 150 and is_seen(fetched, job):
            assert (job["cpu_coverage_ratio"], job["memory_coverage_ratio"]) == (1.0, 1.0)
            assert job["gpu_coverage_ratio"] in (None, 1.0)


async def test_idle_gpus_have_no_series_but_are_judged() -> None:
    for job in (await fetch(HEALTHY)).of("gpu_unseen"):
        assert (job["gpus_observed"], job["gpu_coverage_ratio"]) == (0, 1.0)
        assert job["wasted_gpus"] == job["granted_gpus"]


async def test_behaviours_show_in_the_joined_use() -> None:
    fetched = await fetch(HEALTHY)
    assert all(0.8 < job["cpu_efficiency_ratio"] <= 1 for job in fetched.of("serial"))
    assert all(job["used_cpus"] <= 1.0 < job["granted_cpus"] for job in fetched.of("one_core"))
    assert all(0.4 < job["cpu_efficiency_ratio"] < 0.5 for job in fetched.of("one_node"))
    assert all(job["cpu_efficiency_ratio"] < 0.02 for job in fetched.of("idle_session"))
    assert all(job["wasted_memory_bytes"] > 2**34 for job in fetched.of("memory_overrequested"))
    for behaviour, low, high in (("gpu_efficient", 0.8, 1.0), ("gpu_low", 0.05, 0.15), ("gpu_one_of_four", 0.15, 0.25)):
        assert all(low <= job["gpu_utilization_ratio"] <= high for job in fetched.of(behaviour))
    assert {job["gpus_busy"] for job in fetched.of("gpu_one_of_four")} == {1}


async def test_counters_only_grow_and_agree_with_the_rate() -> None:
    cluster = SyntheticCluster(nodes=12, gpu_nodes=4, running=120, start=START)
    source = SyntheticUse(cluster)
    use, later = await source.fetch(HEALTHY), await source.fetch(HEALTHY + 30)
    cpus, first, second = values_of(use, "cpus"), values_of(use, "cpu_seconds"), values_of(later, "cpu_seconds")
    assert cpus
    assert first
    assert second
    for job_id in first.keys() & second.keys():
        for node, before in first[job_id].items():
            assert second[job_id][node] - before == pytest.approx(cpus[job_id][node] * 30, rel=0.05)


async def test_node_whose_exporter_is_down_is_missing() -> None:
    fetched = await fetch(OUTAGE)
    down = Exporters(fetched.cluster).restarting(OUTAGE)
    assert down is not None
    assert fetched.use.healthy_nodes is not None
    assert down not in fetched.use.healthy_nodes
    assert all(down not in set(values["node"]) for values in fetched.use.values.values())
    hit = [job for job in fetched.jobs if down in job["nodes"] and job["elapsed_seconds"] > 150]
    assert all((job["cpu_coverage_ratio"] or 0.0) < 1.0 for job in hit if job["holds"])


async def test_one_exporter_is_always_down_and_nodes_that_failed_show_nothing() -> None:
    fetched = await fetch(HEALTHY)
    silent, healthy = Exporters(fetched.cluster).silent(HEALTHY), fetched.use.healthy_nodes
    down = {event.node for event in fetched.cluster.outages.events if fetched.cluster.outages.is_down(event.node)}
    assert down
    assert len(silent - down) == 1
    assert healthy == {node.name for node in fetched.cluster.nodes} - silent
    hidden = [job for job in fetched.jobs if job["holds"] and not is_seen(fetched, job)]
    assert hidden
    assert all((job["cpu_coverage_ratio"] or 0.0) < 1.0 for job in hidden)


def test_another_node_is_down_each_time_and_none_in_between() -> None:
    exporters = Exporters(SyntheticCluster(nodes=12, gpu_nodes=4, running=120, start=START))
    assert len({exporters.restarting(OUTAGE + 1800 * number) for number in range(4)}) > 1
    assert exporters.restarting(HEALTHY) is None


@given(st.floats(0, 64), st.floats(0, 7), st.floats(1.7e9, 1.8e9), st.floats(0, 1e6))
def test_integral_of_a_wave_lies_within_its_bounds(level: float, phase: float, begin: float, seconds: float) -> None:
    wave = Wave(level, phase)
    (area,) = integrals([wave], [begin], begin + seconds)
    slack = 1e-3 * (1 + level)
    assert 0.88 * level * seconds - slack <= area <= level * seconds + slack
    assert 0 <= wave.value(begin) <= level
