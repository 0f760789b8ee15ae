"""A reload leaves undisturbed what has not changed; what has changed keeps what is known until it is stale."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.load import API
from tests.faults.reloading import clients, connections, reload, reloads, tried, write
from tests.lab.process import wait_until
from tests.scenarios.proxy import only, unavailable
from tests.scenarios.site import Site

Values = Callable[[], tuple[float | None, float | None]]


@pytest.fixture
def values(site: Site) -> Values:
    """Run a job, and read what is known of it from slurmacct and from Prometheus."""
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500)

    def read() -> tuple[float | None, float | None]:
        return (
            site.value("hpc_job_allocated_cpus", slurmjobid=500),
            site.value("hpc_job_used_cpus", slurmjobid=500),
        )

    site.config["refresh"]["stale_after"] = "12s"
    site.start(until=lambda: None not in read())
    return read


def break_down(site: Site) -> None:
    site.proxy.fault = unavailable
    site.execute(f"RENAME TABLE `{site.cluster}_job_table` TO away")
    site.wait(lambda: not up(site, "slurmacct") and not up(site, "prometheus"), "an outage")


def up(site: Site, source: str) -> bool:
    return bool(site.value("hpc_aggregator_source_up", source=source, cluster=site.cluster))


@pytest.mark.soak
def test_a_reload_during_an_outage_keeps_what_is_known_until_it_is_stale(site: Site, values: Values) -> None:
    break_down(site)
    with clients(site) as asking:
        reload(site)
        tried(site)
        site.config["energy"]["tariff"] = {"currency": "CAD", "per_kwh": 0.04}
        reload(site)
        tried(site)
        site.settings["slurmacct"]["pool_size"] = 3
        site.settings["prometheus"]["timeout"] = "20s"
        reload(site)
        tried(site)
        assert None not in values()
        assert not up(site, "slurmacct"), "the outage has lasted"
        assert asking.failures == []
        assert asking.count(API) > 0
    site.wait(lambda: values() == (None, None), "an end of what is kept")
    site.proxy.fault = None
    site.execute(f"RENAME TABLE away TO `{site.cluster}_job_table`")
    site.wait(lambda: None not in values(), "a recovery")


def test_a_reload_while_one_input_fails_keeps_what_is_known_of_it(site: Site, values: Values) -> None:
    site.proxy.fault = only("deriv(", unavailable)
    failing = {"source": "prometheus", "cluster": site.cluster, "input": "cpus"}
    site.wait(lambda: site.samples_of("hpc_aggregator_source_input_failed", **failing), "an input that fails")
    site.settings["prometheus"]["timeout"] = "20s"
    reload(site)
    tried(site, "prometheus")
    site.refreshed()
    assert site.samples_of("hpc_aggregator_source_input_failed", **failing), "the fault has lasted"
    assert None not in values()


def test_a_storm_of_signals_is_a_few_reloads_and_nobody_notices(site: Site, values: Values) -> None:
    before = connections(site)
    with clients(site, f"/api/v1/clusters/{site.cluster}/jobs/500") as asking:
        asked = asking.count(API)
        for _ in range(60):
            site.service.daemon.hang_up()
            answers = asking.count(API)
            site.wait(lambda answers=answers: asking.count(API) > answers, "an answer")  # type: ignore[misc]
        write(site)
        site.service.daemon.hang_up()
        site.wait(lambda: reloads(site) >= 2, "a reload after the last signal")
        tried(site)
        assert asking.count(API) >= asked + 60
    assert asking.failures == []
    assert reloads(site) < 30
    assert connections(site) == before, "no connection was made anew"
    assert None not in values()


def test_who_reads_while_the_connections_are_replaced_gets_an_answer(site: Site, values: Values) -> None:
    site.job(400, started=-9000.0, ended=-8000.0)
    site.settings["slurmacct"]["pool_size"] = 3
    with ThreadPoolExecutor() as threads, site.mariadb.connect(site.database) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES `{site.cluster}_job_table` WRITE")
        answer = threads.submit(site.service.get, f"/api/v1/clusters/{site.cluster}/jobs/400")
        site.wait(lambda: waiting(site), "a statement that waits")
        reload(site)
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("UNLOCK TABLES")
        assert answer.result()[0] == 200, answer.result()
    assert None not in values()


def waiting(site: Site) -> bool:
    """Tell whether the read of one job waits for the table."""
    found = site.mariadb.execute(
        "SELECT 1 FROM information_schema.processlist WHERE db=%s AND info LIKE '%%400%%' AND state LIKE 'Waiting%%'",
        None, [site.database],
    )  # fmt: skip
    return bool(found)


def test_a_new_cluster_that_hangs_does_not_take_away_the_others(site: Site, values: Values) -> None:
    """It is not ready for as long as a fetch may take; a load balancer must not take the whole service out."""
    site.wait(lambda: site.service.get("/-/ready")[0] == 200, "a service that is ready")
    with socket.create_server(("127.0.0.1", 0)) as silent, clients(site) as asking:
        database = {"host": "127.0.0.1", "port": silent.getsockname()[1], "user": "a"}
        site.config["clusters"]["silent"] = {"slurmacct": database, "prometheus": {"url": site.proxy.url}}
        reload(site)
        tried(site, times=2)
        assert "slurmacct silent: no data yet" in site.service.get("/-/ready")[1].decode()
        assert not site.value("hpc_aggregator_source_up", source="slurmacct", cluster="silent")
    assert asking.failures == []


def test_only_the_cluster_that_has_changed_is_opened_anew(site: Site, make_site: Callable[..., Site]) -> None:
    other = make_site()
    site.config["clusters"][other.cluster] = other.settings
    site.job(500)
    site.start()
    wait_until(lambda: bool(connections(other)), 30, "the other cluster")
    tried(site)
    first, second = connections(site), connections(other)

    site.settings["slurmacct"]["pool_size"] = 3
    with clients(site) as asking:
        reload(site)
        site.wait(lambda: connections(site) - first, "new connections")
    assert connections(other) == second
    assert asking.failures == []

    del site.config["clusters"][other.cluster]
    reload(site)
    sources = {dict(labels)["cluster"] for labels in site.samples_of("hpc_aggregator_source_up")}
    assert sources == {"", site.cluster}
    assert not site.samples_of("hpc_aggregator_snapshot_timestamp_seconds", cluster=other.cluster)
