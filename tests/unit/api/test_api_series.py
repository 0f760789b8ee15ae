"""Lines over time: whose may be seen, in which range, and what is said of a graph that there is not."""

from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.series import Line, Subject
from aggregator.sources.base import FetchError

from .builders import JOBS, NOW, FakeSeries, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
LINES = (
    Line({"user": "alice", "account": "def-kim"}, ((NOW - 60, 1.0), (NOW, 3.0))),
    Line({"user": "bob", "account": "def-kim"}, ((NOW, 4.0),)),
)


async def serve(idle: Service, aiohttp_client: Any, **settings: Any) -> FakeSeries:
    publish_jobs(
        idle.store, make_job(101), make_job(102, user="bob", nodes=("n2",)),
        tree={"def-kim": "root"},
        members={"alice": frozenset({"def-kim"}), "bob": frozenset({"def-kim"})},
    )  # fmt: skip
    idle.lines = FakeSeries(lines=LINES)
    idle.client = await aiohttp_client(idle.app(**settings))
    return idle.lines


@pytest.fixture
async def series(idle_service: Service, aiohttp_client: Any) -> FakeSeries:
    return await serve(idle_service, aiohttp_client)


async def test_a_line_comes_as_prometheus_writes_it_with_what_people_ask_of_it(
    idle_service: Service, series: FakeSeries
) -> None:
    data = await idle_service.data(f"{JOBS}/101/series?metric=cpu")
    assert (data["metric"], data["unit"], data["resultType"], data["step_seconds"]) == ("cpu", "cpus", "matrix", 30.0)
    assert data["result"][0] == {
        "metric": {"account": "def-kim", "user": "alice"},
        "values": [[NOW - 60, "1.0"], [NOW, "3.0"]],
        "mean": 2.0, "min": 1.0, "max": 3.0, "last": 3.0,
    }  # fmt: skip
    assert data["queries"] == ["up"], "every number can be explained"


async def test_the_range_of_a_job_is_its_run_unless_another_is_asked_for(
    idle_service: Service, series: FakeSeries
) -> None:
    await idle_service.data(f"{JOBS}/101/series?metric=cpu")
    await idle_service.data(f"{JOBS}/101/series?metric=cpu&start=now-10m&end=now-5m&step=1m")
    (_, subject, whole), (_, _, part) = series.read_of
    assert subject == Subject(jobs=(101,))
    assert (NOW - 3600 <= whole.start < NOW - 3570, NOW - 30 < whole.end <= NOW) == (True, True)
    assert (part.start >= NOW - 600, part.end <= NOW - 300, part.step) == (True, True, 60.0)


async def test_several_jobs_are_read_at_once(idle_service: Service, series: FakeSeries) -> None:
    await idle_service.data(f"{JOBS}/101-102,101/series?metric=cpu")
    assert series.read_of[0][1] == Subject(jobs=(101, 102))


@pytest.mark.parametrize("text", ["5-", "9-5", "1-100000", "1_2-5", ",", "x"])
async def test_a_list_of_jobs_that_is_none_is_refused(idle_service: Service, series: FakeSeries, text: str) -> None:
    status, kind, error = await idle_service.failure(f"{JOBS}/{text}/series?metric=cpu")
    assert (status, kind) == (400, "bad_data")
    assert "job id" in error


async def test_a_graph_of_whole_nodes_is_of_one_job_and_its_nodes(idle_service: Service, series: FakeSeries) -> None:
    await idle_service.data(f"{JOBS}/101/series?metric=disk")
    assert series.read_of[0][1] == Subject(jobs=(101,), nodes=("n1",))
    status, _, error = await idle_service.failure(f"{JOBS}/101,102/series?metric=disk")
    assert (status, error) == (400, "metric: disk is of whole nodes: ask for one job at a time")


async def test_without_a_metric_the_graphs_that_there_are_are_listed(idle_service: Service, series: FakeSeries) -> None:
    data = await idle_service.data(f"{JOBS}/101/series")
    assert [metric["metric"] for metric in data["metrics"]] == ["cpu", "disk"]
    assert series.read_of == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("metric=lustre", "metric: lustre needs clusters.narval.exporters.lustre_exporter, which is not configured"),
        ('metric=cp"u', 'metric: must be one of cpu, disk, got "cp"u"'),
        ("step=", 'step: must be a duration of a second to a year such as 30s or 300, got ""'),
        ("metric=cpu&step=0", 'step: must be a duration of a second to a year such as 30s or 300, got "0"'),
        ("metric=cpu&start=now&end=now-1h", "start: must be before end"),
        ("metric=cpu&metrics=x", "metrics: unknown parameter"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_name(
    idle_service: Service, series: FakeSeries, query: str, text: str
) -> None:
    status, _, error = await idle_service.failure(f"{JOBS}/101/series?{query}")
    assert status == 400
    assert text in error


async def test_more_points_than_a_graph_has_are_refused(idle_service: Service, series: FakeSeries) -> None:
    path = f"{CLUSTER}/users/alice/series?metric=cpu&start=0&end=now&step=1s"
    status, _, error = await idle_service.failure(path)
    assert (status, "step: more than 55000 points" in error) == (400, True)


async def test_a_time_before_the_run_is_not_asked_for(idle_service: Service, series: FakeSeries) -> None:
    """Whoever had the id then is not to be seen."""
    await idle_service.data(f"{JOBS}/101/series?metric=cpu&start=0&step=1s")
    ((_, _, span),) = series.read_of
    assert span.start >= NOW - 3600
    data = await idle_service.data(f"{JOBS}/101/series?metric=cpu&start=0&end=1000")
    assert data["result"] == []
    assert len(series.read_of) == 1, "nothing was asked"


async def test_a_run_that_has_not_started_has_no_lines_and_that_is_said(
    idle_service: Service, series: FakeSeries
) -> None:
    idle_service.reader.runs = (make_run(103, start=None, nodes=()),)
    body = await (await idle_service.get(f"{JOBS}/103/series?metric=cpu")).json()
    assert (body["data"]["result"], body["warnings"]) == ([], ["no run has started yet"])


async def test_dropped_values_are_said(idle_service: Service, series: FakeSeries) -> None:
    series.rejected = {"cpu out of range": 3}
    body = await (await idle_service.get(f"{JOBS}/101/series?metric=cpu")).json()
    assert body["warnings"] == ["3 values dropped: cpu out of range"]


async def test_slurmacct_may_be_away_for_a_live_job(idle_service: Service, series: FakeSeries) -> None:
    idle_service.reader.error = FetchError("clusters.narval.slurmacct: gone")
    body = await (await idle_service.get(f"{JOBS}/101/series?metric=cpu")).json()
    assert body["warnings"] == ["earlier runs may be missing: clusters.narval.slurmacct: gone"]
    assert (await idle_service.failure(f"{JOBS}/999/series?metric=cpu"))[0] == 503


async def test_prometheus_away_is_an_error_that_names_it(idle_service: Service, series: FakeSeries) -> None:
    series.error = FetchError("clusters.narval.prometheus.url: cannot reach it")
    status, _, error = await idle_service.failure(f"{JOBS}/101/series?metric=cpu")
    assert (status, error) == (503, "clusters.narval.prometheus.url: cannot reach it")


async def test_an_owner_sees_their_own_and_an_accounts_sum_but_nobody_elses(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.yml"
    alice = bearer(make_token(file, "aaaaaaaa", "read:own", user="alice"))
    await serve(idle_service, aiohttp_client, open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    assert (await idle_service.get(f"{JOBS}/101/series?metric=cpu")).status == 401
    assert (await idle_service.get(f"{JOBS}/102/series?metric=cpu", headers=alice)).status == 404
    assert (await idle_service.get(f"{JOBS}/101,102/series?metric=cpu", headers=alice)).status == 404
    assert (await idle_service.get(f"{CLUSTER}/users/bob/series?metric=cpu", headers=alice)).status == 404
    await idle_service.data(f"{JOBS}/101/series?metric=cpu", headers=alice)
    own = await idle_service.data(f"{CLUSTER}/users/alice/series?metric=cpu", headers=alice)
    assert [line["metric"]["user"] for line in own["result"]] == ["alice"]
    whole = await idle_service.data(f"{CLUSTER}/accounts/def-kim/series?metric=cpu", headers=alice)
    assert [(line["metric"], line["last"]) for line in whole["result"]] == [({"account": "def-kim"}, 7.0)]


async def test_staff_see_an_account_by_user(idle_service: Service, series: FakeSeries) -> None:
    whole = await idle_service.data(f"{CLUSTER}/accounts/def-kim/series?metric=cpu")
    assert [line["metric"]["user"] for line in whole["result"]] == ["alice", "bob"]
    status, _, error = await idle_service.failure(f"{CLUSTER}/accounts/nobody/series?metric=cpu")
    assert (status, error) == (404, 'account "nobody": not known on cluster "narval"')


async def test_a_clusters_graphs_are_its_totals_for_everybody(idle_service: Service, series: FakeSeries) -> None:
    data = await idle_service.data(f"{CLUSTER}/series?metric=cpu&start=now-1h")
    assert data["metric"] == "cpu"
    assert series.read_of[0][1] == Subject()
    assert [each["metric"] for each in (await idle_service.data(f"{CLUSTER}/series"))["metrics"]] == ["cpu"]
    status, _, error = await idle_service.failure("/api/v1/clusters/unknown/series?metric=cpu")
    assert (status, error.startswith('cluster "unknown": not configured')) == (404, True)
