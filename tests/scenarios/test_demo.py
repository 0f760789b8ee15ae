"""The demo is a believable cluster in every answer: limits hold, all sums add up, histories stay the same."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from aggregator.config import active_rules, load_rules
from tests.lab.process import wait_until
from tests.scenarios.demo import CLUSTER, Demo, answer, assert_nodes, assert_sums, graphs, paths, routes
from tests.scenarios.openapi import Declared

_SCRAPES = 3
# A list that may be empty on a site like this: nothing says that the thing should be there.
_MAY_BE_EMPTY = {"warnings", "queries", "children", "coordinators", "limits", "running", "jobs", "events", "features",
                 "flags", "groups", "waste", "alerts", "gpus_by_type", "inodes", "hsm", "changes",
                 "similar_runs"}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    try:
        running.start()
        yield running
    finally:
        running.service.stop()


def refresh(demo: Demo) -> None:
    """Wait for the next refresh."""
    name, labels = "hpc_aggregator_source_last_success_timestamp_seconds", {"source": "slurmacct"}
    before = demo.service.samples(name, **labels)
    wait_until(lambda: demo.service.samples(name, **labels) != before, 120, "a refresh")


@pytest.mark.parametrize("pattern", [each for each in routes() if not each.endswith("/series")])
def test_every_route_answers_and_no_list_is_empty(demo: Demo, pattern: str) -> None:
    for path in paths(demo, pattern):
        data = answer(demo, path)
        assert data
        if isinstance(data, dict):
            empty = {name for name, value in data.items() if value == [] and name not in _MAY_BE_EMPTY}
            assert not empty, path


@pytest.fixture(scope="module")
def declared(demo: Demo) -> Declared:
    return Declared(json.loads(demo.service.get("/openapi.json")[1]))


@pytest.mark.parametrize("pattern", [each for each in routes() if each.startswith("/api/")])
def test_every_answer_is_what_openapi_says(demo: Demo, declared: Declared, pattern: str) -> None:
    for path in paths(demo, pattern):
        asked = [path]
        if pattern.endswith("/series"):
            asked += [f"{path}?metric={graph['metric']}" for graph in demo.data(path)["metrics"][:2]]
        for each in asked:
            status, body = demo.service.get(each)
            assert (status, declared.problems(pattern, json.loads(body))) == (200, []), each


@pytest.mark.parametrize("pattern", [each for each in routes() if each.endswith("/series")])
def test_every_graph_can_be_drawn_and_its_times_are_in_order(demo: Demo, pattern: str) -> None:
    for path in list(paths(demo, pattern))[:3]:
        for graph in graphs(demo, path):
            assert graph["unit"] or graph["metric"] == "bad_state"
            for line in graph["result"]:
                times = [at for at, _ in line["values"]]
                assert times == sorted(set(times))
                assert all(float(value) >= 0 for _, value in line["values"])


def test_nodes_users_clusters_clouds_and_file_systems_have_lines(demo: Demo) -> None:
    user = demo.data(f"{CLUSTER}/users")["users"][0]["user"]
    project = demo.data("/api/v1/cloud/projects")["projects"][0]["project"]
    for path in (
        f"{CLUSTER}/series", f"{CLUSTER}/nodes/nc0001/series", f"{CLUSTER}/nodes/login1/series",
        f"{CLUSTER}/users/{user}/series", "/api/v1/storage/scratch/series", "/api/v1/cloud/series",
        f"/api/v1/cloud/projects/{project}/series", f"/api/v1/storage/home/users/{user}/series",
    ):  # fmt: skip
        assert any(graph["result"] for graph in graphs(demo, path)), path


# -- limits and nodes


def test_no_account_user_or_qos_uses_more_than_its_limits(demo: Demo) -> None:
    limits: list[dict[str, Any]] = []
    for account in demo.rows(f"{CLUSTER}/accounts", "accounts"):
        whole = demo.data(f"{CLUSTER}/accounts/{account['account']}")
        limits += whole["limits"]
        for user in {each["user"] for each in whole["users"]}:
            standings = demo.data(f"{CLUSTER}/users/{user}")["accounts"]
            limits += [limit for standing in standings for limit in standing["limits"]]
    of_qos = [limit for qos in demo.data(f"{CLUSTER}/qos")["qos"] for limit in qos["limits_used"]]
    assert [limit for limit in of_qos if limit["headroom"] < 0] == []
    used = [limit for limit in limits if limit["used"] is not None]
    assert [limit for limit in used if limit["headroom"] < 0] == []
    assert any(limit["used"] >= 0.9 * limit["value"] for limit in used), "somebody is at a limit"
    assert {limit["limit"] for limit in used} >= {"GrpTRES", "GrpTRESRunMins", "GrpSubmitJobs", "MaxJobsPerUser"}


def test_no_node_holds_more_than_it_has_and_slurmctld_says_the_same(demo: Demo) -> None:
    nodes = assert_nodes(demo)
    assert {node["state"] for node in nodes} >= {"allocated", "mixed", "drained", "down"}
    assert all(node["reason"] for node in nodes if node["state"] in ("drained", "down"))


def test_jobs_are_in_the_partition_whose_nodes_they_have(demo: Demo) -> None:
    for run in demo.runs():
        assert all(node.startswith("ng" if run["partition"] == "gpu" else "nc") for node in run["nodes"]), run
        assert run["time_limit_seconds"] >= run["elapsed_seconds"]


# -- sums


def test_users_accounts_nodes_and_cluster_add_up_at_every_scrape_and_counters_never_go_back(demo: Demo) -> None:
    before = assert_sums(demo)
    for _ in range(_SCRAPES - 1):
        refresh(demo)
        after = assert_sums(demo)
        assert all(after.get(name, value) >= value for name, value in before.items())
        before = after


def test_the_cluster_is_the_sum_of_its_jobs(demo: Demo) -> None:
    for _ in range(3):
        cluster, runs, again = demo.data(CLUSTER), demo.runs(), demo.data(CLUSTER)
        if cluster["as_of_time"] == again["as_of_time"]:
            break
    running = [run for run in runs if run["state"] == "running"]
    assert sum(run["allocated_cpus"] for run in running) == cluster["allocated_cpus"]
    jobs = {each["state"]: each["count"] for each in cluster["jobs"]}
    assert len(running) == jobs["running"]
    pending = sum(run["pending_tasks"] or 1 for run in runs if run["state"] == "pending")
    assert pending == jobs["pending"]
    partitions = demo.data(f"{CLUSTER}/partitions")["partitions"]
    assert all(partition["is_in_slurmctld"] for partition in partitions)


def test_storage_adds_up_and_somebody_is_near_a_quota(demo: Demo) -> None:
    ratios = []
    for name in ("project", "scratch"):
        filesystem = demo.data(f"/api/v1/storage/{name}")
        groups, users = (demo.rows(f"/api/v1/storage/{name}/{of}", of) for of in ("groups", "users"))
        for tier in ("disk", "tape"):
            used = filesystem[f"{tier}_used_bytes"] or 0
            assert sum(group[f"{tier}_used_bytes"] or 0 for group in groups) == used
            for group in groups:
                own = [user[f"{tier}_used_bytes"] or 0 for user in users if user["group"] == group["group"]]
                assert sum(own) == (group[f"{tier}_used_bytes"] or 0)
        for group in groups:
            ratio = group["quota_used_ratio_bytes"]
            assert ratio == pytest.approx(group["disk_used_bytes"] / group["quota_bytes"])
            ratios.append(ratio)
    homes = demo.rows("/api/v1/storage/home/users", "users")
    assert len(homes) == 40
    assert 0.95 < max(ratios) < 1.05


# -- jobs and their details


def test_times_are_in_order_and_ended_runs_are_there(demo: Demo) -> None:
    runs, now = demo.runs(), time.time()
    ended = demo.rows(f"{CLUSTER}/jobs/history?start=now-6h", "jobs")
    for run in (*runs, *ended):
        known = [run[f"{name}_timestamp_seconds"] for name in ("submit", "eligible", "start", "end")]
        times = [each for each in known if each is not None]
        assert times == sorted(times), run
        assert times[-1] <= now
    assert {run["state"] for run in ended} >= {
        "completed", "failed", "cancelled", "out_of_memory", "requeued", "node_fail",
    }  # fmt: skip
    names = "".join(run["job_name"] for run in (*runs, *ended))
    assert all(character in names for character in '"\n🧬\\')


def test_every_rule_of_waste_has_a_job_and_a_blind_node_accuses_nobody(demo: Demo) -> None:
    found = {each["reason"] for each in demo.data(CLUSTER)["waste"]}
    assert found == {rule.name for rule in active_rules(load_rules())}
    blind = demo.data(f"{CLUSTER}/nodes/nc0002")
    assert blind["exporter_up"] is False
    assert blind["cause"] == "exporter_down"
    (there,) = (run for run in demo.runs() if run["state"] == "running" and "nc0002" in run["nodes"])
    assert there["waste"] == []
    (run,) = demo.data(f"{CLUSTER}/jobs/{there['id']}")["runs"]
    assert {each["because"] for each in run["not_judged"]} == {"the exporter of nc0002 is down"}


def test_jobs_have_steps_exits_dependencies_arrays_and_reservations(demo: Demo) -> None:
    ended = demo.rows(f"{CLUSTER}/jobs/history?start=now-6h", "jobs")
    seen: Counter[str] = Counter()
    chosen = {
        (run["state"], run["array_job_id"] is None, run["job_name"].partition("_")[0]): run
        for run in (*demo.runs(), *ended)
    }
    for run in chosen.values():
        whole = demo.data(f"{CLUSTER}/jobs/{run['job_id']}")["runs"]
        details = next((each.get("around") for each in whole if each["run_id"] == run["run_id"]), None)
        if details is None:
            continue
        seen.update(name for name, value in details.items() if value)
        seen.update(f"dependencies.{name}" for name, value in (details["dependencies"] or {}).items() if value)
        if run["state"] == "completed":
            assert details["exit"] == {"status": 0, "signal": 0}
            used = details["recorded"]["cpu_seconds"]
            assert 0 < used <= run["elapsed_seconds"] * run["allocated_cpus"] + 5
    for name in ("steps", "exit", "array_tasks", "dependencies.depends_on", "reservation", "cancelled_by_uid",
                 "components", "node_events"):  # fmt: skip
        assert seen[name], f"{name} of {seen}"


def test_node_failures_are_events_of_the_node_and_ends_of_its_jobs(demo: Demo) -> None:
    failed = demo.rows(f"{CLUSTER}/jobs/history?start=now-6h&state=node_fail", "jobs")
    assert failed
    run = failed[0]
    events = [event for node in run["nodes"] for event in demo.data(f"{CLUSTER}/nodes/{node}/events")["events"]]
    assert any(
        event["start_timestamp_seconds"] == run["end_timestamp_seconds"] and "not_responding" in event["states"]
        for event in events
    )
    (reservation, maintenance) = demo.data(f"{CLUSTER}/reservations")["reservations"]
    assert reservation["name"] == "workshop"
    assert maintenance["start_timestamp_seconds"] > time.time()


def test_after_a_restart_it_is_the_same_cluster(demo: Demo) -> None:
    jobs = {run["run_id"]: run for run in demo.runs() if run["state"] == "running"}
    old = demo.rows(f"{CLUSTER}/jobs/history?start=now-3h&end=now-30m", "jobs")
    joules = demo.total("hpc_user_energy_joules_total")
    demo.service.stop()
    demo.start()
    again = {run["run_id"]: run for run in demo.runs()}
    same = [run for number, run in jobs.items() if number in again]
    assert len(same) > 0.8 * len(jobs)
    assert all(again[run["run_id"]]["start_timestamp_seconds"] == run["start_timestamp_seconds"] for run in same)
    known = {
        run["run_id"]: run["end_timestamp_seconds"] for run in demo.rows(f"{CLUSTER}/jobs/history?start=now-4h", "jobs")
    }
    assert all(known[run["run_id"]] == run["end_timestamp_seconds"] for run in old)
    assert demo.total("hpc_user_energy_joules_total") >= joules
    assert_sums(demo)
