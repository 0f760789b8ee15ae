"""The real `demo` as a process, and all its routes with something that is there in place of each parameter."""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from aggregator.api.application import setup_routes
from aggregator.app.lists import lists_of
from tests.clock import PINNED, Clock
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import wait_until
from tests.lab.service import Service

CLUSTER = "/api/v1/clusters/demo"
# What a route does not answer without.
_NEEDED = {"/jobs/history": "start=now-1d"}


class Demo:
    """`python -m aggregator demo` on a free port; one that is started again has the same state.

    By a clock that stands still at epoch time `at`, all that it answers is the same each time.
    """

    def __init__(self, root: Path, *flags: str, at: float | None = None) -> None:
        port = free_port()
        state = root / "state"
        state.mkdir()
        clock = Clock(root / "clock", at) if at else None
        python = ["-P", str(PINNED), str(clock.path), "1"] if clock else ["-m"]
        command = [
            sys.executable, *python, "aggregator", "demo", f"--web.listen-address={LOOPBACK}:{port}",
            f"--state.dir={state}", *flags,
        ]  # fmt: skip
        self.service = Service(SimpleNamespace(root=root, service_port=port), root, command)  # type: ignore[arg-type]

    def start(self) -> None:
        """Start it, and wait until it is ready and the ledger has caught up."""
        self.service.start()
        wait_until(lambda: self.service.get("/-/ready")[0] == 200, 60, "the demo to be ready")
        wait_until(lambda: bool(self.service.samples("hpc_cluster_power_watts")), 600, "the ledger to catch up")

    def wait_caught_up(self, at: float) -> None:
        """Wait until the ledger is as far as it can be by a clock that stands still."""
        name = "hpc_aggregator_ledger_window_timestamp_seconds"
        wait_until(lambda: max(self.service.samples(name).values(), default=0) >= at - 120, 300, "the ledger's end")

    def data(self, path: str) -> Any:
        return self.service.data(path)

    def rows(self, path: str, key: str) -> list[dict[str, Any]]:
        """Read all pages of a list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.data(f"{path}{'&' if '?' in path else '?'}limit=1000{cursor}")
            found += page[key]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def runs(self) -> list[dict[str, Any]]:
        return self.rows(f"{CLUSTER}/jobs", "jobs")

    def total(self, family: str, **labels: str) -> float:
        return sum(self.service.samples(family, **labels).values())


def routes() -> list[str]:
    """List the patterns of all GET routes of the API."""
    app = web.Application()
    setup_routes(app, lists_of())
    return sorted(
        {route.resource.canonical for route in app.router.routes() if route.method == "GET" and route.resource}
    )


def paths(demo: Demo, pattern: str) -> Iterator[str]:
    """Fill a pattern with what is there, several things where they are of several kinds."""
    for values in _values(demo, pattern):
        path = pattern
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        needed = next((query for end, query in _NEEDED.items() if path.endswith(end)), "")
        yield f"{path}?{needed}" if needed else path


def _values(demo: Demo, pattern: str) -> Iterator[dict[str, str]]:
    if "{job_id}" in pattern:
        yield from ({"cluster": "demo", "job_id": str(run["job_id"])} for run in _kinds_of_runs(demo))
    elif "{node}" in pattern:
        yield from ({"cluster": "demo", "node": name} for name in ("nc0001", "nc0003", "nc0007", "ng0001", "login1"))
    elif "{group}" in pattern:
        group = demo.data("/api/v1/storage/project/groups")["groups"][0]["group"]
        yield from ({"filesystem": name, "group": group} for name in ("project", "scratch"))
    elif "{filesystem}" in pattern:
        user = demo.data("/api/v1/storage/home/users")["users"][0]["user"]
        yield from ({"filesystem": name, "user": user} for name in ("project", "scratch", "home"))
    elif "{project}" in pattern or "{uuid}" in pattern:
        project = demo.data("/api/v1/cloud/projects")["projects"][0]["project"]
        instances = demo.data(f"/api/v1/cloud/instances?project={project}")["instances"]
        yield from ({"project": project, "uuid": each["uuid"]} for each in instances[:2])
    else:
        yield from _owners(demo) if "{user}" in pattern or "{account}" in pattern else iter([{"cluster": "demo"}])


def _owners(demo: Demo) -> Iterator[dict[str, str]]:
    # Under no account is what users do on Lustre outside of jobs; each list about these should have something.
    users = [row for row in demo.data(f"{CLUSTER}/users")["users"] if row["account"] and row["gpus"]]
    busiest = sorted(users, key=running, reverse=True)
    for row in busiest[:2]:
        yield {"cluster": "demo", "user": row["user"], "account": row["account"]}


def running(row: dict[str, Any]) -> int:
    """Count the running jobs of a user or account."""
    return sum(each["count"] for each in row["jobs"] if each["state"] == "running")


def _kinds_of_runs(demo: Demo) -> list[dict[str, Any]]:
    """Choose a run of each kind: by state, partition, QOS, array and heterogeneous job."""
    kinds = {
        (
            *(run[name] for name in ("state", "partition", "qos")),
            run["array_job_id"] is None,
            run["het_job_id"] is None,
        ): run
        for run in demo.runs()
    }
    return list(kinds.values())


def graphs(demo: Demo, path: str) -> Iterator[dict[str, Any]]:
    """Read every graph that is available at a path."""
    for graph in demo.data(path)["metrics"]:
        yield demo.data(f"{path}?metric={graph['metric']}")


def answer(demo: Demo, path: str) -> Any:
    """Read a path, whatever it answers; give the data of JSON, text otherwise.

    Raises AssertionError for a status that is not 200.
    """
    status, body = demo.service.get(path)
    assert status == 200, f"{path}: {status} {body[:300]!r}"
    return json.loads(body)["data"] if path.startswith("/api/") else body.decode()


def assert_nodes(demo: Demo) -> list[dict[str, Any]]:
    """Hold what runs have on each node against what it has and what slurmctld says; give the nodes."""
    held: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for run in (run for run in demo.runs() if run["state"] == "running"):
        assert run["allocated_nodes"] == len(set(run["nodes"]))
        for node in run["nodes"]:
            amounts = {"cpus": run["granted_cpus"], "memory_bytes": run["granted_memory_bytes"]}
            amounts["gpus"] = sum(each["count"] for each in run["gpus"])
            held[node].update({name: amount // len(run["nodes"]) for name, amount in amounts.items()})
    nodes = [node for node in demo.rows(f"{CLUSTER}/nodes", "nodes") if node["kind"] == "compute"]
    for node in nodes:
        assert all(held[node["node"]][name] <= node[name] for name in ("cpus", "memory_bytes", "gpus")), node
        assert node["slurmctld_allocated_cpus"] == node["allocated_cpus"]
        assert (node["state"] in ("idle", "down", "drained")) <= (node["jobs"] == 0)
        assert (node["state"] == "allocated") <= (node["allocated_cpus"] >= node["cpus"])
    return nodes


def assert_sums(demo: Demo) -> dict[str, float]:
    """Hold the sums of one scrape, and give the counters."""
    families = demo.service.families()

    def total(family: str, **labels: str) -> float:
        found = families[family.removesuffix("_total")].samples if family.removesuffix("_total") in families else []
        return sum(each.value for each in found if each.name == family and labels.items() <= each.labels.items())

    for name in ("allocated_cpus", "allocated_memory_bytes", "allocated_gpus", "used_cpus", "used_gpus", "wasted_cpus",
                 "wasted_memory_bytes", "wasted_gpus", "jobs", "power_watts"):  # fmt: skip
        assert total(f"hpc_user_{name}") == pytest.approx(total(f"hpc_account_{name}")), name
        assert total(f"hpc_user_{name}") > 0, name
    watts = total("hpc_cluster_power_watts", component="jobs")
    assert total("hpc_node_power_watts", component="jobs") == pytest.approx(watts)
    # Jobs that have ended since the window closed have no gauge any more.
    assert total("hpc_user_power_watts") == pytest.approx(watts)
    joules = total("hpc_cluster_energy_joules_total", component="jobs")
    for family in ("hpc_user_energy_joules_total", "hpc_account_energy_joules_total"):
        assert total(family) == pytest.approx(joules, rel=1e-9), family
    assert total("hpc_node_energy_joules_total", component="jobs") == pytest.approx(joules, rel=1e-9)
    return {
        f"{each.name}{sorted(each.labels.items())}": each.value
        for family in families.values()
        if family.type == "counter" and not family.name.startswith("hpc_job")
        for each in family.samples
        if each.name.endswith("_total")
    }
