from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.cluster import join_cluster
from aggregator.join.efficiency import FairShare
from aggregator.model.accounting import Accounting
from aggregator.model.use import Use
from aggregator.model.view import ClusterView, Job
from aggregator.sources.base import Source
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticUse
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.waves import Wave, integrals

START = 1_800_000_900.0
HEALTHY = START - START % 1800 + 1200
OUTAGE = START - START % 1800 + 1800 + 300


@dataclass(frozen=True)
class Fetched:
    cluster: SyntheticCluster
    accounting: Accounting
    use: Use
    view: ClusterView

    def jobs(self, behaviour: str) -> list[Job]:
        """List the joined jobs of one behaviour that are old enough to have series."""
        ids = {live.run.run_id for live in self.cluster.live() if live.profile.behaviour.name == behaviour}
        old = [
            job
            for job in self.view.jobs
            if job.run.run_id in ids and job.run.elapsed(self.view.time) > 1800 and is_seen(self, job)
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
        view = join_cluster(cluster.name, at, accounting, use, previous={}, fair_share=FairShare(), awards={})
        _kept[at] = Fetched(cluster, accounting, use, view)
    return _kept[at]


def is_seen(fetched: Fetched, job: Job) -> bool:
    """Tell whether the exporters of all nodes of a job answer."""
    return not Exporters(fetched.cluster).silent(fetched.view.time).intersection(job.run.nodes)


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
    view = (await fetch(HEALTHY)).view
    running = [job.run for job in view.jobs if job.run.holds_resources]
    for sums in (view.users, view.accounts):
        assert sum(row.allocated_cpus for row in sums) == sum(run.allocated.cpus for run in running)
        assert sum(row.allocated_memory_bytes for row in sums) == sum(run.allocated.memory_bytes for run in running)
        gpus = sum(sum(row.allocated_gpus.values()) for row in sums)
        assert gpus == sum(run.allocated.gpu_count for run in running)
        assert sum(row.jobs.get("running", 0) for row in sums) == len(running)


async def test_use_is_within_the_allocation() -> None:
    fetched = await fetch(HEALTHY)
    for job in fetched.view.jobs:
        held, used = job.run.allocated, job.use
        if used.cpus is None or not is_seen(fetched, job):
            continue
        assert used.cpus <= held.cpus
        assert used.cpu_seconds is not None
        assert 0 <= used.cpu_seconds <= held.cpus * job.run.elapsed(HEALTHY)
        assert used.memory_bytes is not None
        assert used.memory_peak_bytes is not None
        assert used.memory_bytes <= used.memory_peak_bytes <= held.memory_bytes
        assert used.threads


async def test_node_names_are_those_of_the_runs() -> None:
    fetched = await fetch(HEALTHY)
    use = fetched.use
    assert use.cpus is not None
    assert use.gpus is not None
    nodes = {run.job_id: run.nodes for run in fetched.accounting.runs if run.holds_resources}
    silent = Exporters(fetched.cluster).silent(HEALTHY)
    assert all(set(values) == set(nodes[job_id]) - silent for job_id, values in use.cpus.items())
    assert all(gpu.node in nodes[job_id] for job_id, gpus in use.gpus.items() for gpu in gpus)


async def test_every_run_old_enough_is_covered() -> None:
    fetched = await fetch(HEALTHY)
    for job in fetched.view.jobs:
        if job.run.holds_resources and job.run.elapsed(HEALTHY) >= 150 and is_seen(fetched, job):
            assert job.use.cpu_coverage == 1.0
            assert job.use.memory_coverage == 1.0
            assert job.use.gpu is None or job.use.gpu.coverage == 1.0


async def test_idle_gpus_have_no_series_but_are_judged() -> None:
    for job in (await fetch(HEALTHY)).jobs("gpu_unseen"):
        assert job.use.gpu is not None
        assert job.use.gpu.observed == 0
        assert job.use.gpu.coverage == 1.0
        assert job.efficiency.wasted_gpus == job.run.allocated.gpu_count


async def test_behaviours_show_in_the_joined_use() -> None:
    fetched = await fetch(HEALTHY)
    assert all(0.8 < (job.efficiency.cpu or 0) <= 1 for job in fetched.jobs("serial"))
    assert all((job.use.cpus or 9) <= 1.0 < job.run.allocated.cpus for job in fetched.jobs("one_core"))
    assert all(0.4 < (job.efficiency.cpu or 0) < 0.5 for job in fetched.jobs("one_node"))
    assert all((job.efficiency.cpu or 1) < 0.02 for job in fetched.jobs("idle_session"))
    assert all((job.efficiency.wasted_memory_bytes or 0) > 2**34 for job in fetched.jobs("memory_overrequested"))
    for behaviour, low, high in (("gpu_efficient", 0.8, 1.0), ("gpu_low", 0.05, 0.15), ("gpu_one_of_four", 0.15, 0.25)):
        ratios = [job.use.gpu.utilization for job in fetched.jobs(behaviour) if job.use.gpu]
        assert all(ratio is not None and low <= ratio <= high for ratio in ratios)
    assert {job.use.gpu.busy for job in fetched.jobs("gpu_one_of_four") if job.use.gpu} == {1}


async def test_counters_only_grow_and_agree_with_the_rate() -> None:
    cluster = SyntheticCluster(nodes=12, gpu_nodes=4, running=120, start=START)
    source = SyntheticUse(cluster)
    first, second = await source.fetch(HEALTHY), await source.fetch(HEALTHY + 30)
    assert first.cpu_seconds
    assert second.cpu_seconds
    assert first.cpus
    for job_id in first.cpu_seconds.keys() & second.cpu_seconds.keys():
        for node, before in first.cpu_seconds[job_id].items():
            grown = second.cpu_seconds[job_id][node] - before
            assert grown == pytest.approx(first.cpus[job_id][node] * 30, rel=0.05)


async def test_node_whose_exporter_is_down_is_missing() -> None:
    fetched = await fetch(OUTAGE)
    down = Exporters(fetched.cluster).restarting(OUTAGE)
    assert down is not None
    assert fetched.use.healthy_nodes is not None
    assert fetched.use.cpus is not None
    assert down not in fetched.use.healthy_nodes
    assert all(down not in values for values in fetched.use.cpus.values())
    hit = [job for job in fetched.view.jobs if down in job.run.nodes and job.run.elapsed(OUTAGE) > 150]
    assert all((job.use.cpu_coverage or 0.0) < 1.0 for job in hit if job.run.holds_resources)


async def test_one_exporter_is_always_down_and_nodes_that_failed_show_nothing() -> None:
    fetched = await fetch(HEALTHY)
    silent, healthy = Exporters(fetched.cluster).silent(HEALTHY), fetched.use.healthy_nodes
    down = {event.node for event in fetched.cluster.outages.events if fetched.cluster.outages.is_down(event.node)}
    assert down
    assert len(silent - down) == 1
    assert healthy == {node.name for node in fetched.cluster.nodes} - silent
    hidden = [job for job in fetched.view.jobs if job.run.holds_resources and not is_seen(fetched, job)]
    assert hidden
    assert all((job.use.cpu_coverage or 0.0) < 1.0 for job in hidden)


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
