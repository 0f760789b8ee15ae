"""What the ledger adds up: what it rests on, what it waits for, clocks, and sums that agree."""

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.energy import EXPORTERS, add_up, energy, gpus, node_watts, sums
from tests.scenarios.proxy import empty, only
from tests.scenarios.site import Site
from tests.scenarios.test_energy_meters import prepare, rapl


def busy_gpu_job(site: Site, job_id: int = 500, **more: float) -> None:
    """Add a job with one GPU that is 90 % busy."""
    site.job(job_id, **gpus(1))
    site.samples.job(job_id, **more)
    site.samples.gpu(job_id, **more)


def gpu_coverage(site: Site, job_id: int = 500) -> float:
    """Give the share of the job's GPU time that was observed."""
    return observed(energy(site, job_id))


def observed(run: Any) -> float:
    since, until = (run[f"ledger_{name}_timestamp_seconds"] for name in ("since", "until"))
    return float(run["ledger_gpu_seconds"] / (run["granted_gpus"] * (until - since)))


def test_gpu_time_without_any_sample_is_not_idle(site: Site) -> None:
    """Prometheus was away for two minutes, with the exporter's series and its `up`."""
    site.use_exporters("slurm_job_exporter")
    away = (-150.0, -30.0)
    there = lambda value: lambda at: None if away[0] < at < away[1] else value  # noqa: E731
    site.samples.exporter("node01", up=there(1.0))
    site.job(500, **gpus(1))
    site.samples.job(500)
    site.samples.gpu(500, busy=there(0.9), watts=there(300.0))
    site.start()
    add_up(site, -5.0)
    assert site.value("hpc_job_gpu_efficiency_ratio", slurmjobid=500) == pytest.approx(0.9, abs=0.01)
    found = energy(site, 500)
    since, until = (found[f"ledger_{name}_timestamp_seconds"] - site.samples.zero for name in ("since", "until"))
    unseen = max(0.0, min(until, away[1]) - max(since, away[0]))
    # A window in which it was seen for a part counts as seen or not, at both ends.
    wanted = pytest.approx((until - since - unseen) / (until - since), abs=8.0 / (until - since))
    assert observed(found) == wanted, f"from {since} to {until}"
    assert site.value("hpc_job_gpu_idle_seconds", slurmjobid=500) == 0.0


def test_a_gpu_without_series_is_idle_where_its_exporter_was_scraped_all_the_time(site: Site) -> None:
    site.use_exporters("slurm_job_exporter")
    site.samples.exporter("node01")
    busy_gpu_job(site, 500)
    site.job(501, **gpus(1))
    site.samples.job(501)
    site.start()
    add_up(site, -5.0)
    assert site.value("hpc_job_gpu_efficiency_ratio", slurmjobid=501) == pytest.approx(0.0)
    assert site.value("hpc_job_gpu_idle_seconds", slurmjobid=501) == pytest.approx(290.0, abs=20.0)


def test_a_clock_that_is_ahead_closes_no_window_before_its_samples(make_site: Callable[..., Site]) -> None:
    """A service clock 20 s ahead: the windows end where the samples do, and the job stays as busy as it is."""
    site: Site = make_site(clock=20)
    site.use_exporters("slurm_job_exporter")
    site.samples.exporter("node01", until=5.0)
    busy_gpu_job(site, until=5.0)
    site.start()
    add_up(site, -4.0)
    site.refreshed(4)
    end = site.value("hpc_aggregator_ledger_window_timestamp_seconds", cluster=site.cluster)
    assert end is not None
    assert end <= site.samples.zero + 5.0
    assert site.value("hpc_job_gpu_efficiency_ratio", slurmjobid=500) == pytest.approx(0.9, abs=0.01)


def test_idle_time_is_what_was_observed_and_unobserved_time_does_not_change_it(site: Site) -> None:
    """Idle, then an hour of the exporter's silence: the value stays, and grows again with what is seen."""
    site.use_exporters("slurm_job_exporter")
    down = (-100.0, -40.0)
    up = lambda at: 0.0 if down[0] < at < down[1] else 1.0  # noqa: E731
    site.samples.exporter("node01", up=up)
    busy_gpu_job(site, 499)
    site.job(500, **gpus(1))
    site.samples.job(500)
    site.samples.gpu(500, busy=lambda at: None if down[0] < at < down[1] else 0.0)
    site.start()
    add_up(site, -5.0)
    end = site.value("hpc_aggregator_ledger_window_timestamp_seconds", cluster=site.cluster)
    idle = site.value("hpc_job_gpu_idle_seconds", slurmjobid=500)
    assert end is not None
    assert idle is not None
    observed = end - site.samples.zero + 300.0 - 60.0
    assert idle == pytest.approx(observed, abs=25.0)
    wasted = site.value("hpc_job_wasted_gpu_seconds", slurmjobid=500)
    assert wasted == pytest.approx(idle, abs=6.0)


@pytest.mark.parametrize("what", ["", "redfish", "slurm_job_core_usage", "slurm_job_utilization_gpu"])
def test_an_answer_without_series_is_waited_for(site: Site, what: str) -> None:
    """Prometheus answers `[]` for a while: no joule is lost, and the ledger says why it stands still."""
    prepare(site)
    site.config["energy"]["window"] = "6s"
    site.samples.chassis("node01", 400.0)
    busy_gpu_job(site)
    site.start(
        until=lambda: (
            energy(site, 500)["energy_joules_total"] and site.value("hpc_job_gpu_efficiency_ratio", slurmjobid=500)
        )
    )
    site.proxy.fault = only(what, empty) if what else empty
    up = lambda: site.value("hpc_aggregator_source_up", source="ledger", cluster=site.cluster)  # noqa: E731
    site.wait(lambda: up() == 0.0, "the ledger to say that it waits")
    site.proxy.fault = None
    site.wait(lambda: up() == 1.0, "the ledger to go on")
    add_up(site, time.time() - site.samples.zero - 10.0)
    found = energy(site, 500)
    assert found["coverage"]["power"] == pytest.approx(1.0, abs=0.02)
    assert site.value("hpc_job_gpu_efficiency_ratio", slurmjobid=500) == pytest.approx(0.9, abs=0.01)


def test_a_gap_that_stays_is_closed_as_not_covered(site: Site) -> None:
    """The BMCs are silent from now on: the ledger waits for ten windows, and goes on."""
    prepare(site)
    site.samples.chassis("node01", lambda at: 400.0 if at < -100 else None)
    site.job(500)
    site.samples.job(500)
    site.start()
    add_up(site, -30.0)
    coverage = energy(site, 500)["coverage"]["power"]
    end = site.value("hpc_aggregator_ledger_window_timestamp_seconds", cluster=site.cluster)
    assert end is not None
    assert coverage == pytest.approx(200 / (300 + end - site.samples.zero), abs=0.08)


def test_the_sums_agree_at_every_scrape(site: Site) -> None:
    """Jobs, users, accounts, nodes and the cluster; a node without power, one that is shared, a job that ends."""
    prepare(site)
    site.samples.chassis("node01", 500.0)
    site.samples.exporter("node02")
    site.samples.host("node02", cpus=8)
    busy_gpu_job(site, 500)
    site.job(501, nodelist="node[01-02]", nodes_alloc=2, id_assoc=11, tres_alloc="1=8,2=8000,4=2,5=8,1001=2,1002=2")
    for node in ("node01", "node02"):
        site.samples.job(501, node, user="ben")
        site.samples.gpu(501, node=node, user="ben", watts=80.0)
    site.job(502, id_assoc=12, account="chem", nodelist="node02", **gpus(1))
    site.samples.job(502, "node02", user="cora", account="chem")
    site.samples.gpu(502, node="node02", user="cora", account="chem")
    site.start(until=lambda: node_watts(site))
    for step in range(4):
        for what in ("energy", "power"):
            found = sums(site, what)
            assert found["jobs"] > 0
            assert found == pytest.approx(dict.fromkeys(found, found["jobs"]), rel=1e-9)
        if step == 1:
            site.end(500, time.time() - site.samples.zero)
        site.refreshed(2)


def test_a_job_that_is_requeued_keeps_its_power(site: Site) -> None:
    """The windows before are the former run's, of whose id the next run has the series."""
    prepare(site)
    site.samples.chassis("node01", 500.0)
    site.job(500)
    site.samples.job(500)
    site.start(until=lambda: node_watts(site))
    now = time.time() - site.samples.zero
    site.end(500, now, state=1024)
    site.job(500, started=now, time_submit=int(site.samples.zero + now))
    site.wait(lambda: len(site.data("/jobs/500")["runs"]) == 2, "the next run")
    for _ in range(4):
        found = sums(site, "power")
        assert found["jobs"] > 0
        assert found == pytest.approx(dict.fromkeys(found, found["jobs"]), rel=1e-9)
        site.refreshed()


def test_energy_that_is_known_in_part_is_not_covered(site: Site) -> None:
    """The exporter of a node is down: the job has its part of the rest, and nothing of what it causes."""
    prepare(site)
    site.samples.chassis("node01", 400.0)
    site.samples.chassis("node02", 400.0)
    site.samples.host("node02", cpus=8)
    site.samples.exporter("node02", up=0.0)
    site.job(500)
    site.samples.job(500)
    site.job(501, nodelist="node02")
    site.start()
    add_up(site, -5.0)
    assert energy(site, 500)["coverage"]["power"] == pytest.approx(1.0, abs=0.02)
    assert energy(site, 501)["energy_joules_total"] > 0
    assert energy(site, 501)["coverage"]["power"] == 0.0


def test_the_rest_of_a_gpu_node_is_that_of_its_host(site: Site) -> None:
    """Two jobs with two GPUs each: idle GPUs are no rest of the host, and the busy job has what it causes.

    Host 160 W at rest, 200 W now; GPUs 50 W idle, 180 W busy. Each holds half of the node.
    """
    site.use_exporters(*EXPORTERS)
    site.samples.exporter("node01")
    site.samples.host("node01", cpus=8, busy=0.5)
    busy = lambda at: at > -400  # noqa: E731
    long = {"since": -7300.0, "interval": 10.0}
    site.settings["exporters"]["redfish_exporter"]["interval"] = "10s"
    site.settings["exporters"]["dcgm_exporter"]["interval"] = "10s"
    site.samples.chassis("node01", lambda at: 200.0 + 2 * 50 + 2 * 180 if busy(at) else 160.0 + 4 * 50, **long)
    for number in range(4):
        watts = lambda at, number=number: 180.0 if busy(at) and number > 1 else 50.0  # noqa: E731
        site.samples.add("DCGM_FI_DEV_POWER_USAGE", watts, instance="node01:9400", job="dcgm", UUID=f"GPU-{number}",
                         gpu=str(number), **long)  # fmt: skip
    for job_id, load, power in ((500, 0.0, 50.0), (501, 1.0, 180.0)):
        site.job(job_id, started=-300.0, **gpus(2))
        site.samples.job(job_id, busy=load)
        for index in "01":
            site.samples.gpu(job_id, index, busy=load, watts=power)
    site.start(until=lambda: node_watts(site))
    rest, dynamic = 160.0, 40.0
    for job_id, cause, own in ((500, 0.0, 100.0), (501, dynamic, 360.0)):
        found = energy(site, job_id)
        assert found["node_watts"] == pytest.approx(rest / 2 + cause, rel=0.02)
        assert found["gpu_watts"] == pytest.approx(own, rel=0.01)


def test_a_position_in_the_future_is_an_error(site: Site) -> None:
    """Nothing is added, and the source says why; it is not success."""
    prepare(site)
    site.samples.chassis("node01", 400.0)
    site.job(500)
    site.samples.job(500)
    site.start(until=lambda: node_watts(site))
    site.service.stop()
    with sqlite3.connect(f"{site.root}/state.db") as state:
        state.execute("UPDATE ledger_position SET window_end = window_end + 7200")
    site.service.start()

    def error() -> str:
        # The ledger is in the list once it has been asked for the first time.
        of_ledger = [one for one in site.service.data("/api/v1/status")["sources"]
                     if one["source"] == "ledger" and one["scope"] == site.cluster]  # fmt: skip
        return "".join(one["error"] or "" for one in of_ledger)

    site.wait(lambda: "further on than the newest sample" in error(), "the error")
    assert site.value("hpc_aggregator_source_up", source="ledger", cluster=site.cluster) == 0.0


def test_a_suspended_run_holds_no_cpus(site: Site) -> None:
    """Suspended beside a running one of the same CPUs: the rest is the running one's alone."""
    prepare(site)
    site.config["energy"]["model"] = "allocation"
    site.samples.chassis("node01", 400.0)
    site.job(500, state=2)
    site.samples.job(500, busy=0.0)
    site.job(501)
    site.samples.job(501)
    site.start(until=lambda: node_watts(site))
    assert site.value("hpc_job_power_watts", slurmjobid=500, component="node") == 0.0
    assert site.value("hpc_job_power_watts", slurmjobid=501, component="node") == pytest.approx(200.0)


def test_a_kill_in_the_middle_changes_nothing(site: Site) -> None:
    """The same windows without a kill give the same totals, to the last digit.

    Of numbers that floats have exactly: a kill changes which windows are added up at once, and so the order.
    """
    site.use_exporters(*EXPORTERS)
    site.samples.exporter("node01", until=5.0)
    site.samples.host("node01", cpus=8, busy=0.5, until=5.0)
    rapl(site, 150.0)
    site.samples.chassis("node01", lambda at: 400.0 if at % 20 < 10 else 0.0)
    site.job(500, **gpus(1))
    site.samples.job(500)
    site.samples.gpu(500, busy=0.75)
    site.start(until=lambda: site.value("hpc_job_energy_joules_total", slurmjobid=500))
    site.service.kill()
    site.service.start()
    add_up(site, -4.0)
    site.service.stop()
    killed = _ledger(site)
    begin = killed["ledger_run"][0]["since"]
    with sqlite3.connect(f"{site.root}/state.db") as state:
        for table in _TABLES:
            state.execute(f"DELETE FROM {table}")
        state.execute("UPDATE ledger_position SET window_end = ?", (begin,))
    site.service.start()
    add_up(site, -4.0)
    site.service.stop()
    assert _ledger(site) == killed


_TABLES = ("ledger_run", "ledger_user", "ledger_node")


def _ledger(site: Site) -> dict[str, list[dict[str, Any]]]:
    with sqlite3.connect(f"{site.root}/state.db") as state:
        return {
            table: [json.loads(text) for (text,) in state.execute(f"SELECT totals FROM {table}")] for table in _TABLES
        }
