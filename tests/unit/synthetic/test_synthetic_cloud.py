"""The demo's cloud and homes: believable, and the same whenever they are looked at."""

import pytest

from aggregator.join.cloud import join_cloud
from aggregator.model.cloud import IdleRule
from aggregator.model.series import Span, Subject
from aggregator.synthetic import SyntheticCloud, SyntheticCluster, SyntheticQuotas

START = 1_800_000_900.0
SPAN = Span(START, START + 600.0, 60.0)


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(start=START)


async def test_two_projects_have_instances_some_of_which_idle(cluster: SyntheticCluster) -> None:
    source = SyntheticCloud(cluster, IdleRule())
    use = await source.fetch(START)
    view = join_cloud("demo-cloud", use, IdleRule(), {})
    assert len(view.projects) == 2
    assert len({each.uuid for each in view.instances}) == source.rows == 24
    assert 0 < sum(sums.idle for sums in view.projects) < 12
    for each in view.instances:
        assert 0 <= (each.rates.used_cpus or 0.0) <= (each.rates.vcpus or 0.0)
    assert any(each.rates.memory_used_bytes is None for each in view.instances), "not every driver reports"


async def test_the_graph_of_a_project_has_a_line_for_each_instance(cluster: SyntheticCluster) -> None:
    source = SyntheticCloud(cluster, IdleRule())
    use = await source.fetch(START)
    project = use.instances[0].project
    lines = (await source.read("project", "cpu", Subject(labels=(("project_name", project),)), SPAN)).lines
    assert {line.labels["uuid"] for line in lines} == {each.uuid for each in use.instances if each.project == project}
    first = next(line for line in lines if line.labels["uuid"] == use.instances[0].uuid)
    assert first.points[0] == (START, use.instances[0].rates.used_cpus), "now is the same in both"
    assert source.offers("project").keys() == source.offers("instance").keys() == source.offers("cloud").keys()
    assert source.missing("cloud") == {}


@pytest.mark.parametrize("name", ["cpu", "vcpus", "memory", "memory_used"])
async def test_the_projects_graphs_add_up_to_the_clouds(cluster: SyntheticCluster, name: str) -> None:
    source = SyntheticCloud(cluster, IdleRule())
    use = await source.fetch(START)
    subjects = [Subject(labels=(("project_name", name),)) for name in {each.project for each in use.instances}]
    projects = [line for each in subjects for line in (await source.read("project", name, each, SPAN)).lines]
    whole = (await source.read("cloud", name, Subject(), SPAN)).lines
    assert sum(line.points[0][1] for line in whole) == pytest.approx(sum(line.points[0][1] for line in projects))


async def test_every_user_has_a_home_below_its_limit(cluster: SyntheticCluster) -> None:
    source = SyntheticQuotas(cluster)
    counts = (await source.fetch(START)).counts
    assert [count.owner for count in counts] == sorted(user.name for user in cluster.population.users)
    assert all(0 < (count.used_bytes or 0) <= (count.soft_bytes or 0) for count in counts)
    (line,) = (await source.read("user", "used_bytes", Subject(labels=(("user", counts[0].owner),)), SPAN)).lines
    assert round(line.points[0][1]) == counts[0].used_bytes
    assert (await source.read("user", "used_bytes", Subject(labels=(("user", "nobody"),)), SPAN)).lines == ()
    limits = await source.read("user", "quota_bytes", Subject(labels=(("user", counts[0].owner),)), SPAN)
    assert limits.lines[0].points[0][1] == counts[0].soft_bytes
    assert source.offers("user").keys() >= {"used_bytes", "used_inodes", "quota_bytes", "limit_bytes"}
    assert (source.offers("group"), source.missing("user")) == ({}, {})
