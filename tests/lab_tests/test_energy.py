"""Energy on the real stack: what the nodes draw is shared out whole, and survives a kill."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Metric

from aggregator.model.energy import COMPONENTS
from tests.lab import Lab, wait_until
from tests.lab.behaviours import BEHAVIOURS
from tests.lab.ports import free_port
from tests.lab.service import Service
from tests.lab.site import ENERGY, EXPORTERS

pytestmark = pytest.mark.lab

WINDOW = 2.0
Energies = dict[str, dict[str, float]]


def by_node(families: dict[str, Metric]) -> dict[str, dict[str, float]]:
    nodes: dict[str, dict[str, float]] = {}
    for sample in families["hpc_node_power_watts"].samples:
        nodes.setdefault(sample.labels["node"], {})[sample.labels["component"]] = sample.value
    return nodes


@pytest.fixture(scope="module")
def metered(lab: Lab, service: Service) -> Service:
    """Give the service when every running job has been through whole windows."""
    key = str(lab.jobs["requeued"])
    wait_until(lambda: service.value("hpc_job_power_watts", slurmjobid=key, component="node") is not None, 60, "power")
    return service


def test_the_parts_of_each_node_add_up_to_what_its_bmc_measured(lab: Lab, metered: Service) -> None:
    families = metered.families()
    nodes = by_node(families)
    (end,) = families["hpc_aggregator_ledger_window_timestamp_seconds"].samples
    query = f"avg_over_time(redfish_chassis_power_average_consumed_watts[2s] @ {end.value})"
    measured = {series["metric"]["instance"]: float(series["value"][1]) for series in lab.prometheus.query(query)}

    assert len(nodes) == 10
    for node, parts in nodes.items():
        assert min(parts.values()) >= 0
        assert sum(parts.values()) == pytest.approx(measured[f"{node}-oob"], rel=0.02), node


def test_jobs_add_up_to_the_jobs_part_of_the_nodes(metered: Service) -> None:
    """Also one that has ended in the window; not one whose id has been requeued since."""

    def add_up() -> bool:
        families = metered.families()
        of_jobs = sum(sample.value for sample in families["hpc_job_power_watts"].samples)
        of_nodes = sum(parts["jobs"] for parts in by_node(families).values())
        return of_nodes > 0 and of_jobs == pytest.approx(of_nodes, rel=1e-6)

    wait_until(add_up, 60, "a window in which the jobs add up to their part of the nodes")


def test_a_job_has_the_power_of_its_own_gpus(lab: Lab, metered: Service) -> None:
    behaviour = BEHAVIOURS["gpu_busy"]
    watts = metered.value("hpc_job_power_watts", slurmjobid=str(lab.jobs["gpu_busy"]), component="gpu")

    assert watts == pytest.approx(sum(map(behaviour.gpu_power_watts, behaviour.gpu or ())))


def test_a_job_that_computes_draws_more_than_one_that_sleeps(lab: Lab, metered: Service) -> None:
    def watts_per_cpu(name: str) -> float:
        key = str(lab.jobs[name])
        watts = metered.value("hpc_job_power_watts", slurmjobid=key, component="node")
        cpus = metered.value("hpc_job_allocated_cpus", slurmjobid=key)
        assert watts is not None
        assert cpus
        return watts / cpus

    assert watts_per_cpu("plain") > 1.5 * watts_per_cpu("cpu_waster")


def test_counters_grow_and_co2_and_cost_follow_them(lab: Lab, metered: Service) -> None:
    key = str(lab.jobs["plain"])

    def value(family: str, **labels: str) -> float:
        found = metered.value(family, slurmjobid=key, **labels)
        assert found is not None
        return found

    before = value("hpc_job_energy_joules_total")
    wait_until(lambda: value("hpc_job_energy_joules_total") > before, 60, "the energy to grow")
    run = metered.data(f"/api/v1/clusters/lab/jobs/{key}")["runs"][0]
    kwh = run["energy_joules_total"] / 3.6e6

    assert run["co2_grams_total"] == pytest.approx(kwh * ENERGY["pue"] * ENERGY["co2"]["static_g_per_kwh"])
    costs = {cost["component"]: cost["amount"] for cost in run["costs"]}
    assert costs["electricity"] == pytest.approx(kwh * ENERGY["pue"] * ENERGY["tariff"]["per_kwh"])
    assert value("hpc_job_cost_total", component="hardware", currency="CAD") > 0
    assert run["coverage"]["power"] > 0.9


@pytest.fixture
def other(lab: Lab, metered: Service) -> Iterator[Service]:
    """Start a second service on a state of its own, which begins its ledger where the first did."""
    port = free_port()
    config = lab.write_config(
        lab.root / "other.yml",
        exporters=EXPORTERS,
        extra={
            "energy": ENERGY,
            "server": {"listen_address": f"127.0.0.1:{port}"},
            "state": {"url": f"sqlite:///{lab.root}/other.db"},
        },
    )
    started = Service(lab, config, port=port)
    started.start()
    yield started
    started.stop()


def energies(service: Service, into: Energies) -> None:
    """Note the cluster's energy by the end of the ledger's last window."""
    status, body = service.get("/api/v1/clusters/lab")
    # One that has just started knows no cluster yet.
    cluster: dict[str, Any] = json.loads(body)["data"] if status == 200 else {}
    if end := cluster.get("window_end_time"):
        into[end] = {part: cluster[f"{part}_joules"] for part in COMPONENTS}


def test_a_service_that_was_killed_comes_to_the_totals_of_one_that_was_not(metered: Service, other: Service) -> None:
    wait_until(lambda: bool(other.samples("hpc_cluster_energy_joules_total")), 60, "the second ledger")
    other.daemon.kill()
    killed = time.time()
    wait_until(lambda: ledger_end(metered) > killed + 3 * WINDOW, 60, "windows that the killed one misses")
    other.start()
    ours: Energies = {}
    theirs: Energies = {}

    def met() -> bool:
        energies(metered, ours)
        energies(other, theirs)
        return any(end in ours for end in theirs if end_time(end) > killed)

    wait_until(met, 60, "the same window in both ledgers")
    end = next(end for end in theirs if end in ours and end_time(end) > killed)
    assert theirs[end] == pytest.approx(ours[end], rel=1e-6)


def ledger_end(service: Service) -> float:
    return service.value("hpc_aggregator_ledger_window_timestamp_seconds", cluster="lab") or 0.0


def end_time(text: str) -> float:
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
