"""What lfs_quota and gpfs_exporter say of a file system's quotas."""

from typing import Literal

import polars as pl
import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus, vector
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusQuotas, QuotaSeries
from aggregator.sources.prometheus.client import selector
from aggregator.sources.prometheus.nodes import one_of
from tests.builders import NOW

FAILURE = web.Response(status=500, text="oops")
LFS = QuotaSeries(exporter="lfs_quota_exporter", owner="group", labels=(("path", ("/lustre07/scratch/",)),))
HOSTILE = 'o"brien \\ 🦙\n'


def gpfs(owner: Literal["group", "user", "fileset"] = "user", *filesets: str) -> QuotaSeries:
    labels = (("fs", ("home",)), *((("fileset", filesets),) if filesets else ()))
    return QuotaSeries(exporter="gpfs_exporter", owner=owner, labels=labels)


def make_source(client: PrometheusClient, series: QuotaSeries = LFS, **settings: object) -> PrometheusQuotas:
    exporter = ExporterSettings(**settings)  # type: ignore[arg-type]
    return PrometheusQuotas(client, {"cluster": "narval"}, exporter, NodeNames(), series)


def known(counts: pl.DataFrame) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if value is not None} for row in counts.to_dicts()]


async def test_lfs_quota_is_kib_of_a_path_by_the_sites_label(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {
        "lfs_quota_kbytes": vector(({"project": "def-kim"}, "7.5"), ({"project": HOSTILE}, "1")),
        "lfs_quota_inodes": vector(({"project": "def-kim"}, "441208")),
    }
    found = await make_source(client, labels={"group": "project"}).fetch(NOW)
    assert known(found.counts) == [
        {"owner": "def-kim", "used_bytes": 7680, "used_inodes": 441_208}, {"owner": HOSTILE, "used_bytes": 1024},
    ]  # fmt: skip
    assert (found.source, found.of_users) == ("lfs_quota", False)
    query = next(form["query"] for form in prometheus.queries if "kbytes" in form["query"])
    assert query == 'max by (project) (lfs_quota_kbytes{cluster="narval",path="/lustre07/scratch/"})'


async def test_gpfs_has_soft_and_hard_limits_and_what_is_in_doubt(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {
        f"gpfs_user_{name}": vector(({"user": "3021723"}, str(value)))
        for value, name in enumerate(
            ("used_bytes", "used_files", "quota_bytes", "quota_files", "limit_bytes", "limit_files", "in_doubt_bytes",
             "in_doubt_files")
        )
    }  # fmt: skip
    found = await make_source(client, gpfs()).fetch(NOW)
    assert known(found.counts) == [
        {"owner": "3021723", "used_bytes": 0, "used_inodes": 1, "soft_bytes": 2, "soft_inodes": 3, "hard_bytes": 4,
         "hard_inodes": 5, "in_doubt_bytes": 6, "in_doubt_inodes": 7},
    ]  # fmt: skip
    assert (found.source, found.of_users) == ("gpfs", True)


async def test_the_failure_of_a_collection_is_asked_of_its_own_collector_only(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    """Its series have no file system: matchers of one would never find them."""
    prometheus.answers = {"gpfs_group_used_bytes": vector(({"group": "g"}, "1"))}
    await make_source(client, gpfs("group", "root", "a.b")).fetch(NOW)
    query = next(form["query"] for form in prometheus.queries if "gpfs_group_used_bytes" in form["query"])
    assert 'gpfs_exporter_collect_timeout{cluster="narval",collector="mmrepquota"}' in query
    assert r'gpfs_group_used_bytes{cluster="narval",fs="home",fileset=~"root|a\\.b"}' in query


async def test_no_series_are_no_data_and_the_exporters_own_word_is_told(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    with pytest.raises(FetchError, match=r"no series for .*: check quota and that gpfs_exporter is scraped"):
        await make_source(client, gpfs()).fetch(NOW)
    prometheus.answers = {"max by (instance) (gpfs_exporter_collect_error": vector(({"instance": "n"}, "1"))}
    with pytest.raises(FetchError, match="mmrepquota failed or timed out"):
        await make_source(client, gpfs()).fetch(NOW)


async def test_limits_that_cannot_be_read_are_missing_and_named(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {"gpfs_user_used_bytes": vector(({"user": "a"}, "5")), "gpfs_user_quota_bytes": FAILURE}
    found = await make_source(client, gpfs()).fetch(NOW)
    assert known(found.counts) == [{"owner": "a", "used_bytes": 5}]
    assert found.failed.keys() == {"quota_bytes"}


async def test_without_what_is_used_the_fetch_fails(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers = {"lfs_quota_kbytes": FAILURE}
    with pytest.raises(FetchError, match="HTTP 500"):
        await make_source(client).fetch(NOW)


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf", "1e30", "x"])
async def test_an_impossible_count_is_dropped_and_counted(
    prometheus: FakePrometheus, client: PrometheusClient, value: str
) -> None:
    prometheus.answers = {"lfs_quota_kbytes": vector(({"group": "a"}, value), ({"group": "b"}, "1"), ({}, "2"))}
    found = await make_source(client).fetch(NOW)
    assert found.counts["owner"].to_list() == ["b"], "nor has what has no owner one"
    assert found.rejected == {"used_bytes out of range": 1}


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_no_name_of_a_fileset_leaves_its_matcher(names: list[str]) -> None:
    text = selector("m", {}, one_of("fileset", names))
    body = text.removeprefix("m{fileset").lstrip("=~").removesuffix("}")
    assert body[0] == body[-1] == '"'
    inner = body[1:-1].replace("\\\\", "")
    assert "\n" not in inner
    assert '"' not in inner.replace('\\"', "")
