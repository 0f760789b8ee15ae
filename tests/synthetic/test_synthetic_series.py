"""What the demo draws of users, accounts, nodes and the cluster adds up to the same, as far back as it has run."""

import pytest

from aggregator.model.series import Line, Lines, Span, Subject
from aggregator.synthetic import SyntheticCluster, SyntheticSeries, SyntheticUse
from tests.use import values_of

START = 1_800_000_900.0
SPAN = Span(START - 86_400, START, 300.0)
NAMES = (
    "allocated_cpus", "used_cpus", "wasted_cpus", "allocated_memory", "used_memory", "peak_memory", "allocated_gpus",
    "used_gpus", "busy_gpus", "wasted_gpus", "gpu_power", "lustre_bandwidth", "lustre_metadata",
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(start=START)


def total(lines: tuple[Line, ...], time: float) -> float:
    return sum(value for line in lines for moment, value in line.points if moment == time)


async def read(cluster: SyntheticCluster, kind: str, name: str, *labels: tuple[str, str]) -> Lines:
    return await SyntheticSeries(cluster).read(kind, name, Subject(labels=labels), SPAN)


@pytest.mark.parametrize("name", NAMES)
async def test_accounts_add_up_to_the_cluster(cluster: SyntheticCluster, name: str) -> None:
    whole = (await read(cluster, "cluster", name)).lines
    accounts = sorted({live.run.account for live in cluster.ran_since(SPAN.start)})
    parts = [await read(cluster, "account", name, ("account", account)) for account in accounts]
    lines = tuple(line for part in parts for line in part.lines)
    assert total(whole, START) == pytest.approx(total(lines, START))
    assert total(whole, START) > 0
    assert min(time for line in whole for time, _ in line.points) >= cluster.since, "nothing ran before"


async def test_a_graph_of_now_shows_what_the_gauges_do(cluster: SyntheticCluster) -> None:
    use = await SyntheticUse(cluster).fetch(START)
    job_id, values = next(iter((values_of(use, "cpus") or {}).items()))
    lines = (await SyntheticSeries(cluster).read("job", "cpu", Subject(jobs=(job_id,)), Span(START, START, 30))).lines
    assert {line.labels["node"]: line.points[-1][1] for line in lines} == pytest.approx(values)


async def test_the_jobs_of_a_node_and_the_node_agree(cluster: SyntheticCluster) -> None:
    series, node = SyntheticSeries(cluster), cluster.nodes[0].name
    span = Span(START, START, 30.0)
    jobs = (await series.read("node", "cpu", Subject(nodes=(node,)), span)).lines
    whole = (await series.read("node", "node_busy_cpus", Subject(nodes=(node,)), span)).lines
    assert {line.labels["node"] for line in jobs} == {node}
    young = sum(live.run.start is not None and START - live.run.start < 30 for live in cluster.live())
    assert total(jobs, START) == pytest.approx(total(whole, START), abs=64 * young + 1e-6)


async def test_executables_are_a_part_of_what_is_busy(cluster: SyntheticCluster) -> None:
    programs = (await read(cluster, "software", "executables")).lines
    busy = (await read(cluster, "cluster", "used_cpus")).lines
    assert 0 < total(programs, START) < total(busy, START)
    assert {"/cvmfs", "/home", "/usr"} == {f"/{line.labels['exe'].split('/')[1]}" for line in programs}


async def test_a_user_without_jobs_has_no_line(cluster: SyntheticCluster) -> None:
    assert (await read(cluster, "user", "used_cpus", ("user", "nobody"))).lines == ()


def test_each_kind_of_subject_has_graphs(cluster: SyntheticCluster) -> None:
    series = SyntheticSeries(cluster)
    for kind in ("user", "account", "cluster"):
        assert set(NAMES) <= series.available(kind).keys()
    assert {"executables", "gpu_executables"} == series.available("software").keys()
    assert {"cpu", "memory", "lustre_bandwidth"} <= series.available("job").keys()
    assert {"cpu", "node_busy_cpus", "node_memory", "load", "scratch"} <= series.available("node").keys()
    assert {"lustre_bandwidth", "lustre_users_read"} <= series.available("filesystem").keys()
