"""The demo's cloud and homes: believable, and the same whenever they are looked at."""

import polars as pl
import pytest

from aggregator.model.cloud import IdleRule
from aggregator.model.series import Span, Subject
from aggregator.synthetic import SyntheticCloud, SyntheticCluster, SyntheticQuotas
from tests.clouds import join_cloud

START = 1_800_000_900.0
SPAN = Span(START, START + 600.0, 60.0)


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(start=START)


async def test_two_projects_have_instances_some_of_which_idle(cluster: SyntheticCluster) -> None:
    source = SyntheticCloud(cluster, IdleRule())
    use = await source.fetch(START)
    view = join_cloud(use, cloud="demo-cloud")
    assert view["projects"].height == 2
    assert view["instances"]["uuid"].n_unique() == source.rows == 24
    assert 0 < view["projects"]["idle_instances"].sum() < 12
    assert view["instances"]["used_cpus"].is_between(0.0, view["instances"]["vcpus"]).all()
    assert view["instances"]["memory_used_bytes"].has_nulls(), "not every driver reports"


async def test_the_graph_of_a_project_has_a_line_for_each_instance(cluster: SyntheticCluster) -> None:
    source = SyntheticCloud(cluster, IdleRule())
    use = await source.fetch(START)
    first = use.instances.row(0, named=True)
    project = first["project"]
    lines = (await source.read("project", "cpu", Subject(labels=(("project_name", project),)), SPAN)).lines
    instances = use.instances.filter(pl.col("project") == project)
    assert {line.labels["uuid"] for line in lines} == set(instances["uuid"])
    line = next(line for line in lines if line.labels["uuid"] == first["uuid"])
    assert line.points[0] == (START, first["used_cpus"]), "now is the same in both"
    assert source.available("project").keys() == source.available("instance").keys() == source.available("cloud").keys()
    assert source.missing("cloud") == {}


@pytest.mark.parametrize("name", ["cpu", "vcpus", "memory", "memory_used"])
async def test_the_projects_graphs_add_up_to_the_clouds(cluster: SyntheticCluster, name: str) -> None:
    source = SyntheticCloud(cluster, IdleRule())
    use = await source.fetch(START)
    subjects = [Subject(labels=(("project_name", name),)) for name in set(use.instances["project"])]
    projects = [line for each in subjects for line in (await source.read("project", name, each, SPAN)).lines]
    whole = (await source.read("cloud", name, Subject(), SPAN)).lines
    assert sum(line.points[0][1] for line in whole) == pytest.approx(sum(line.points[0][1] for line in projects))


async def test_every_user_has_a_home_below_its_limit(cluster: SyntheticCluster) -> None:
    source = SyntheticQuotas(cluster)
    counts = (await source.fetch(START)).counts
    assert counts["owner"].to_list() == sorted(user.name for user in cluster.population.users)
    assert counts["used_bytes"].is_between(1, counts["soft_bytes"]).all()
    first = counts.row(0, named=True)
    (line,) = (await source.read("user", "used_bytes", Subject(labels=(("user", first["owner"]),)), SPAN)).lines
    assert round(line.points[0][1]) == first["used_bytes"]
    assert (await source.read("user", "used_bytes", Subject(labels=(("user", "nobody"),)), SPAN)).lines == ()
    limits = await source.read("user", "quota_bytes", Subject(labels=(("user", first["owner"]),)), SPAN)
    assert limits.lines[0].points[0][1] == first["soft_bytes"]
    assert source.available("user").keys() >= {"used_bytes", "used_inodes", "quota_bytes", "limit_bytes"}
    assert (source.available("group"), source.missing("user")) == ({}, {})
