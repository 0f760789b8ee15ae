"""Nodes, partitions and reservations: what everybody sees of a node, and whose jobs on it."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model import job_inputs
from aggregator.model.accounting import JobState, Run
from aggregator.model.run_details import NodeEvent, NodeEvents, Reservation
from aggregator.model.series import Line, Subject
from aggregator.model.tres import Allocation
from aggregator.sources.base import FetchError
from tests.builders import HOSTILE_NAMES

from .builders import NOW, FakeSeries, frames_of, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
NOTHING_HELD = {"allocated_cpus": 0.0, "allocated_memory_bytes": 0.0, "allocated_estimated": False, "jobs": 0}
NODES = (
    {"node": "login1", "kind": "login", "load": 3.0},
    {
        "node": "n1", "kind": "compute", "state": "mixed", "flags": ["planned"], "features": "ib,skylake",
        "cpus": 64.0, "memory_bytes": 2.0**37, "allocated_cpus": 8.0, "allocated_memory_bytes": 2.0**34,
        "allocated_estimated": True, "jobs": 2, "unobserved_jobs": 1, "cause": "no_process", "exporter_up": True,
        "observed_gpus": 2, "used_gpus": 0.5, "load": 9.5, "busy_cpus": 4.0, "memory_used_bytes": 2.0**36,
        "scratch_bytes": 2e12, "scratch_used_bytes": 1.5e12,
    },
    {"node": "n2", "kind": "compute", **NOTHING_HELD},
)  # fmt: skip
RUNS = (
    {"node": "n1", "run_id": 9001, "job_id": 101, "allocated_cpus": 4.0, "allocated_memory_bytes": 2.0**33,
     "gpus_ratio": 1.0, "estimated": False, "observed": True},
    {"node": "n1", "run_id": 9002, "job_id": 102, "allocated_cpus": 2.0, "allocated_memory_bytes": 0.0,
     "gpus_ratio": 0.0, "estimated": True, "observed": False},
)  # fmt: skip
GPUS = ({"node": "n1", "gpu_type": "a100", "count": 1.0},)
PARTITIONS = ({"partition": "cpu", "allocated_cpus": 8, "allocated_memory_bytes": 2**33, "is_in_slurmctld": False},
              {"partition": "gpu", "allocated_cpus": 0, "allocated_memory_bytes": 0, "is_in_slurmctld": True,
               "slurmctld_cpus": 640.0})  # fmt: skip
EVENTS = NodeEvents(
    (
        NodeEvent("n1", NOW - 9000, NOW - 8000, ("down", "not_responding"), "power"),
        NodeEvent("n2", NOW - 600, None, ("idle", "drain"), 'bad "DIMM"'),
    )
)


async def serve(idle: Service, aiohttp_client: Any, **settings: Any) -> Service:
    publish_jobs(
        idle.store, make_job(101), make_job(102, user="bob", nodes=("n1", "n2"), allocated=Allocation(cpus=4, nodes=2)),
        tree={"def-kim": "root"},
        frames=frames_of(
            nodes=NODES, node_runs=RUNS, node_gpus=GPUS, partitions=PARTITIONS,
            partition_states=[{"partition": "cpu", "state": "running", "jobs": 2}],
            node_energy=[{"node": "n1", "jobs_watts": 200.0, "idle_watts": 50.0, "unattributed_watts": 0.0}],
        ),
        members={"alice": frozenset({"def-kim"})},
    )  # fmt: skip
    idle.details.events = EVENTS
    idle.lines = FakeSeries()
    idle.client = await aiohttp_client(idle.app(**settings))
    return idle


@pytest.fixture
async def nodes(idle_service: Service, aiohttp_client: Any) -> Service:
    return await serve(idle_service, aiohttp_client)


@pytest.fixture
async def alice(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> tuple[Service, dict[str, str]]:
    token = make_token(tmp_path / "tokens.yml", "aaaaaaaa", "read:own", user="alice")
    settings = {"open_areas": frozenset({HEALTH}), "tokens": TokenStore(tmp_path / "tokens.yml")}
    return await serve(idle_service, aiohttp_client, **settings), {"headers": bearer(token)}


async def test_a_row_has_what_slurm_the_jobs_and_the_exporters_say(nodes: Service) -> None:
    rows = {row["node"]: row for row in (await nodes.data(f"{CLUSTER}/nodes"))["nodes"]}
    row = rows["n1"]
    assert (row["state"], row["flags"], row["state_source"], row["kind"]) == (
        "mixed", ["planned"], "slurm-exporter", "compute",
    )  # fmt: skip
    assert (row["cpus"], row["memory_bytes"], row["gpus"]) == (64.0, 2.0**37, None)
    assert (row["allocated_cpus"], row["allocated_memory_bytes"], row["allocated_estimated"]) == (8.0, 2.0**34, True)
    assert row["gpus_by_type"] == [{"gpu_type": "a100", "count": 1.0}]
    assert row["unobserved_jobs"] == 1
    assert "without any process" in row["explanation"]
    assert [row[key] for key in ("load", "busy_cpus", "memory_used_bytes", "scratch_used_bytes")] == [
        9.5, 4.0, 2.0**36, 1.5e12,
    ]  # fmt: skip
    assert (row["observed_gpus"], row["features"], row["jobs"]) == (2, "ib,skylake", 2)
    assert (row["jobs_watts"], row["idle_watts"]) == (200.0, 50.0)


async def test_what_is_not_known_is_null_and_login_nodes_have_no_jobs(nodes: Service) -> None:
    rows = {row["node"]: row for row in (await nodes.data(f"{CLUSTER}/nodes"))["nodes"]}
    unknown = ("load", "memory_used_bytes", "observed_gpus", "exporter_up", "unobserved_jobs", "explanation")
    assert [rows["n2"][key] for key in unknown] == [None] * 6
    login = rows["login1"]
    assert (login["load"], login["jobs"], login["allocated_cpus"], login["state"]) == (3.0, None, None, None)


async def test_without_slurms_word_state_and_reason_are_slurmdbds(nodes: Service) -> None:
    (row,) = (await nodes.data(f"{CLUSTER}/nodes?node=n2"))["nodes"]
    assert (row["state"], row["state_source"], row["reason"]) == ("drained", "slurmacct event_table", 'bad "DIMM"')
    assert row["event_timestamp_seconds"] == NOW - 600


async def test_nodes_are_filtered_and_paged(nodes: Service) -> None:
    names = [row["node"] for row in (await nodes.data(f"{CLUSTER}/nodes?state=drained"))["nodes"]]
    assert names == ["n2"]
    assert [row["node"] for row in (await nodes.data(f"{CLUSTER}/nodes?kind=login"))["nodes"]] == ["login1"]
    first = await nodes.data(f"{CLUSTER}/nodes?limit=2")
    second = await nodes.data(f"{CLUSTER}/nodes?limit=2&cursor={first['next_cursor']}")
    assert [row["node"] for row in (*first["nodes"], *second["nodes"])] == ["login1", "n1", "n2"]
    assert second["next_cursor"] is None
    assert (await nodes.failure(f"{CLUSTER}/nodes?kind=toaster"))[0] == 400
    (row,) = (await nodes.data(f"{CLUSTER}/nodes?min_load=4&sort=-load&fields=node,load"))["nodes"]
    assert row == {"node": "n1", "load": 9.5}
    by_state = (await nodes.data(f"{CLUSTER}/nodes?kind=compute&group_by=state&fields=state,nodes"))["nodes"]
    assert sorted(map(str, by_state)) == [
        "{'state': 'drained', 'nodes': 1}", "{'state': 'mixed', 'nodes': 1}",
    ]  # fmt: skip


async def test_slurmdbd_away_costs_the_reasons_only(nodes: Service) -> None:
    nodes.details.errors["events"] = FetchError("clusters.narval.slurmacct: gone")
    body = await (await nodes.get(f"{CLUSTER}/nodes")).json()
    assert body["warnings"] == ["reasons of nodes are missing: clusters.narval.slurmacct: gone"]
    assert body["data"]["nodes"][1]["state"] == "mixed"
    assert (await nodes.failure(f"{CLUSTER}/nodes/n1/events"))[0] == 503


async def test_a_node_shows_the_jobs_on_it_and_which_are_not_seen(nodes: Service) -> None:
    data = await nodes.data(f"{CLUSTER}/nodes/n1")
    assert {run["id"]: run["observed"] for run in data["running"]} == {"101": True, "102": False}
    halved = next(run for run in data["running"] if run["id"] == "102")
    assert halved["on_node"] == {"cpus": 2.0, "memory_bytes": 0.0, "gpus": 0.0, "estimated": True}
    whole = next(run for run in data["running"] if run["id"] == "101")
    assert whole["on_node"] == {"cpus": 4, "memory_bytes": 2**33, "gpus": 2.0, "estimated": False}
    assert data["hidden_jobs"] == 0


async def test_the_jobs_of_others_are_counted_not_shown(alice: tuple[Service, dict[str, Any]]) -> None:
    service, identity = alice
    data = await service.data(f"{CLUSTER}/nodes/n1", **identity)
    assert ([run["id"] for run in data["running"]], data["hidden_jobs"]) == (["101"], 1)
    past = await service.data(f"{CLUSTER}/nodes/n1/jobs", **identity)
    assert ([run["id"] for run in past["jobs"]], past["hidden_jobs"]) == (["101"], 1)
    assert "bob" not in str((data, past))


async def test_lines_of_others_jobs_are_left_out(alice: tuple[Service, dict[str, Any]]) -> None:
    service, identity = alice
    assert service.lines is not None
    service.lines.lines = tuple(
        Line({"node": "n1", **labels}, ((NOW, 1.0),)) for labels in ({"slurmjobid": "101"}, {"slurmjobid": "102"}, {})
    )
    body = await (await service.get(f"{CLUSTER}/nodes/n1/series?metric=cpu", **identity)).json()
    assert [line["metric"].get("slurmjobid") for line in body["data"]["result"]] == ["101", None]
    assert body["warnings"] == ["lines of jobs that may not be seen, or have ended, are left out"]


async def test_no_more_runs_are_made_one_by_one_than_have_lines(
    nodes: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs of a large site, one by one, take seconds of the event loop."""
    made: list[int] = []
    make = job_inputs._run_of

    def remember(cluster: str, row: dict[str, Any]) -> Run:
        made.append(row["job_id"])
        return make(cluster, row)

    monkeypatch.setattr(job_inputs, "_run_of", remember)
    assert nodes.lines is not None
    nodes.lines.lines = (Line({"node": "n1", "slurmjobid": "101"}, ((NOW, 1.0),)),)
    await nodes.data(f"{CLUSTER}/nodes/n1/series?metric=cpu")
    assert made == []


async def test_of_a_job_id_that_is_used_again_the_former_owners_points_are_left_out(
    alice: tuple[Service, dict[str, Any]],
) -> None:
    service, identity = alice
    assert service.lines is not None
    service.lines.lines = (Line({"node": "n1", "slurmjobid": "101"}, ((NOW - 90_000, 5.0), (NOW, 1.0))),)
    data = await service.data(f"{CLUSTER}/nodes/n1/series?metric=cpu&start={NOW - 100_000:.0f}", **identity)
    assert [line["values"] for line in data["result"]] == [[[NOW, "1.0"]]]


async def test_a_host_list_draws_several_nodes_and_each_must_be_known(nodes: Service) -> None:
    await nodes.data(f"{CLUSTER}/nodes/n%5B1-2%5D/series?metric=cpu")
    assert nodes.lines is not None
    assert nodes.lines.read_of[0][1] == Subject(nodes=("n1", "n2"))
    assert await nodes.failure(f"{CLUSTER}/nodes/n%5B2-3%5D/series?metric=cpu") == (
        404, "not_found", 'node "n3": not known on cluster "narval"',
    )  # fmt: skip
    assert (await nodes.failure(f"{CLUSTER}/nodes/n%5B1-200%5D/series?metric=cpu"))[0] == 400
    await nodes.data(f"{CLUSTER}/nodes/login1/series?metric=cpu")


@pytest.mark.parametrize("name", ["n9", *(name for name in HOSTILE_NAMES if "/" not in name)])
@pytest.mark.parametrize("below", ["", "/jobs", "/events", "/series"])
async def test_an_unknown_node_is_not_found(nodes: Service, name: str, below: str) -> None:
    status, _, error = await nodes.failure(f"{CLUSTER}/nodes/{quote(name, safe='')}{below}")
    assert status in (400, 404)
    assert "node" in error or "no such path" in error


async def test_the_timeline_has_those_that_were_there_in_the_time(nodes: Service) -> None:
    def ended(job_id: int, start: float, end: float, *on: str) -> Any:
        return make_run(job_id, nodes=on, start=start, end=end, state=JobState.COMPLETED)

    nodes.history.runs = (
        ended(1, NOW - 9000, NOW - 8000, "n1"), ended(2, NOW - 9000, NOW - 7000, "n2"),
        ended(3, NOW - 5000, NOW - 4000, "n1"), ended(4, NOW - 20000, NOW - 100, "n1", "n2"),
    )  # fmt: skip
    whole = await nodes.data(f"{CLUSTER}/nodes/n1/jobs?start=now-3h")
    assert sorted(run["job_id"] for run in whole["jobs"]) == [1, 3, 4, 101, 102]
    past = await nodes.data(f"{CLUSTER}/nodes/n1/jobs?start={NOW - 9500}&end={NOW - 7500}")
    assert sorted(run["job_id"] for run in past["jobs"]) == [1, 4], "also one that ended long after it"
    shown, cursor = [], ""
    while True:
        page = await nodes.data(f"{CLUSTER}/nodes/n1/jobs?start=now-3h&limit=1{cursor}")
        shown += [run["job_id"] for run in page["jobs"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(shown) == [1, 3, 4, 101, 102], "every run comes once"


@pytest.mark.parametrize("query", ["start=now&end=now-1h", "start=0&end=now", "start=x", "nodes=3"])
async def test_a_time_that_is_none_is_refused(nodes: Service, query: str) -> None:
    assert (await nodes.failure(f"{CLUSTER}/nodes/n1/jobs?{query}"))[0] == 400


async def test_events_are_those_of_the_time(nodes: Service) -> None:
    data = await nodes.data(f"{CLUSTER}/nodes/n1/events?start=now-1d")
    assert [(event["states"], event["reason"]) for event in data["events"]] == [(["down", "not_responding"], "power")]
    assert data["complete"] is True
    assert (await nodes.data(f"{CLUSTER}/nodes/n1/events?start=now-1h"))["events"] == []


async def test_partitions_add_up_their_open_runs(nodes: Service) -> None:
    rows = {row["partition"]: row for row in (await nodes.data(f"{CLUSTER}/partitions"))["partitions"]}
    assert {name: rows["gpu"][name] for name in ("jobs", "gpus", "allocated_cpus", "slurmctld_cpus")} == {
        "jobs": [], "gpus": [], "allocated_cpus": 0, "slurmctld_cpus": 640.0,
    }  # fmt: skip
    assert rows["gpu"]["slurmctld_nodes"] is None
    assert (rows["cpu"]["jobs"], rows["cpu"]["is_in_slurmctld"]) == ([{"state": "running", "jobs": 2}], False)


async def test_what_was_put_right_of_slurmctlds_words_is_a_warning(nodes: Service) -> None:
    publish_jobs(nodes.store, frames=frames_of(slurmctld=[{"cpus": 64.0, "repairs": ["it wraps", "it mixes up"]}]))
    for path in ("nodes", "partitions"):
        assert (await (await nodes.get(f"{CLUSTER}/{path}")).json())["warnings"] == ["it wraps", "it mixes up"]


async def test_a_cluster_shows_what_slurmctld_says_of_it(nodes: Service) -> None:
    assert (await nodes.data(CLUSTER))["slurmctld"] is None
    states = [{"state": "idle", "cpus": 48.0, "nodes": 1.0}, {"state": "running", "jobs": 2.0}]
    frames = frames_of(slurmctld=[{"cpus": 64.0, "repairs": []}], slurmctld_states=states)
    publish_jobs(nodes.store, frames=frames)
    said = (await nodes.data(CLUSTER))["slurmctld"]
    assert (said["cpus"], said["gpus"]) == (64.0, None)
    assert said["states"] == [
        {"state": "idle", "cpus": 48.0, "gpus": None, "nodes": 1.0, "jobs": None},
        {"state": "running", "cpus": None, "gpus": None, "nodes": None, "jobs": 2.0},
    ]


async def test_reservations_are_those_that_have_not_ended(nodes: Service) -> None:
    nodes.details.reservation = Reservation("maint", NOW - 60, None, ("n1",))
    (row,) = (await nodes.data(f"{CLUSTER}/reservations"))["reservations"]
    assert (row["name"], row["end_time"], row["nodes"]) == ("maint", None, ["n1"])
    nodes.details.reservation = None
    assert (await nodes.failure(f"{CLUSTER}/reservations"))[0] == 404


async def test_of_the_clusters_lines_those_of_foreign_accounts_are_left_out(
    alice: tuple[Service, dict[str, Any]],
) -> None:
    service, identity = alice
    assert service.lines is not None
    service.lines.lines = tuple(
        Line(labels, ((NOW, 1.0),)) for labels in ({"account": "def-kim"}, {"account": "rrg-lee"}, {"state": "idle"})
    )
    data = await service.data(f"{CLUSTER}/series?metric=cpu", **identity)
    assert [line["metric"] for line in data["result"]] == [{"account": "def-kim"}, {"state": "idle"}]


async def test_nodes_need_an_identity_and_a_known_accounting(alice: tuple[Service, dict[str, Any]]) -> None:
    service, _ = alice
    for path in ("nodes", "nodes/n1", "nodes/n1/jobs", "partitions", "reservations", "series"):
        assert (await service.get(f"{CLUSTER}/{path}")).status == 401
