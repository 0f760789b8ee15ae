"""Threads are kept apart by purpose: names that are never resolved take none from the jobs."""

from collections.abc import Callable

from tests.faults.within import SILENT_NAMES, fault, prepare
from tests.lab.ports import LOOPBACK
from tests.scenarios.site import Site

# More than there are threads for names.
SILENT_HOSTS = 20


def add_job(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500)
    site.samples.job(500)


def shows_jobs(site: Site) -> Callable[[], bool]:
    return lambda: site.value("hpc_job_allocated_cpus", slurmjobid=500) is not None


def test_names_that_are_never_resolved_take_no_thread_from_the_jobs(site: Site) -> None:
    prepare(site, SILENT_NAMES)
    add_job(site)
    database = {"port": 3306, "user": "nobody", "password": "none", "database": "rbh"}
    site.config["filesystems"] = {
        f"fs{number}": {"robinhood": {"host": f"host{number}.silent", **database}} for number in range(SILENT_HOSTS)
    }
    with fault(site, "silence"):
        site.start(until=shows_jobs(site))
        assert site.value("hpc_aggregator_source_up", source="robinhood", filesystem="fs0") == 0.0
        site.refreshed(3)
        assert shows_jobs(site)()
        assert site.data("/jobs/500")["job_id"] == "500"
        assert site.service.get("/-/healthy")[0] == 200
        assert site.service.terminate(10) == 0


def test_jobs_end_when_their_database_is_not_found_any_more_and_come_back(site: Site) -> None:
    prepare(site, SILENT_NAMES)
    add_job(site)
    site.config["refresh"]["stale_after"] = "4s"
    site.settings["slurmacct"]["host"] = "db.silent"
    site.mariadb.execute(f"CREATE USER IF NOT EXISTS 'scenario'@'{LOOPBACK}'")
    site.start(until=shows_jobs(site))
    with fault(site, "silence"):
        end_connections(site)
        site.wait(lambda: not shows_jobs(site)(), "the end of the jobs")
        assert site.service.get(f"/api/v1/clusters/{site.cluster}/jobs")[0] == 503
        assert site.service.get("/-/healthy")[0] == 200
    site.wait(shows_jobs(site), "the jobs")


def end_connections(site: Site) -> None:
    """End the service's connections to the database, as a restart of the server does."""
    rows = site.mariadb.execute("SELECT id FROM information_schema.processlist WHERE db=%s", None, [site.database])
    for (number,) in rows:
        site.mariadb.execute(f"KILL {number}")
