"""What the demo draws of users, accounts and the cluster adds up to the same, and is an hour long."""

import pytest

from aggregator.model.series import Line, Lines, Span, Subject
from aggregator.sources.synthetic import SyntheticCluster, SyntheticSeries

START = 1_800_000_900.0
SPAN = Span(START - 7200, START, 300.0)
NAMES = ("allocated_cpus", "used_cpus", "allocated_memory", "used_memory", "allocated_gpus", "used_gpus")


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
    owners = {(live.run.user, live.run.account) for live in cluster.ran_since(SPAN.start)}
    parts = [await read(cluster, "account", name, ("account", account)) for account in {owner[1] for owner in owners}]
    lines = tuple(line for part in parts for line in part.lines)
    assert {(line.labels["user"], line.labels["account"]) for line in lines} == owners
    assert total(whole, START) == pytest.approx(total(lines, START))
    assert total(whole, START) > 0
    assert min(time for line in whole for time, _ in line.points) >= START - 3600, "the model knows one hour"


async def test_executables_are_a_part_of_what_is_busy(cluster: SyntheticCluster) -> None:
    programs = (await read(cluster, "software", "executables")).lines
    busy = (await read(cluster, "cluster", "used_cpus")).lines
    assert 0 < total(programs, START) < total(busy, START)
    assert all(line.labels["exe"].startswith("/cvmfs/soft/bin/") for line in programs)


async def test_a_user_without_jobs_has_no_line(cluster: SyntheticCluster) -> None:
    assert (await read(cluster, "user", "used_cpus", ("user", "nobody"))).lines == ()


def test_each_kind_of_subject_has_graphs(cluster: SyntheticCluster) -> None:
    series = SyntheticSeries(cluster)
    for kind in ("user", "account", "cluster"):
        assert set(NAMES) == series.offers(kind).keys()
    assert {"executables", "gpu_executables"} == series.offers("software").keys()
    assert "cpu" in series.offers("job")
