"""Loops that end, hang or stand still: what they do not renew is withdrawn, and who can restart the process is told."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.systemd import Systemd
from tests.faults.within import BROKEN_LOOP, HANGING_JOIN, STUCK_EVENT_LOOP, fault, prepare
from tests.scenarios.site import Site


@pytest.fixture
def systemd(site: Site) -> Iterator[Systemd]:
    systemd = Systemd(site)
    yield systemd
    systemd.close()


@pytest.fixture
def jobs(site: Site) -> Callable[[], bool]:
    """Make a job, and tell whether it is shown."""
    site.samples.exporter("node01")
    site.job(500)
    return lambda: site.value("hpc_job_allocated_cpus", slurmjobid=500) is not None


def health(site: Site) -> tuple[int, str]:
    status, body = site.service.get("/-/healthy")
    return status, body.decode()


def test_a_loop_that_hangs_is_withdrawn_and_named_and_systemd_is_told_nothing(
    site: Site, systemd: Systemd, jobs: Callable[[], bool]
) -> None:
    prepare(site, HANGING_JOIN)
    site.config["refresh"].update(stale_after="3s", stalled_after="3s")
    site.start(until=jobs)
    assert systemd.hears("READY=1")
    # Longer than what is not renewed would be shown.
    for _ in range(5):
        site.refreshed()
        assert jobs()
    assert health(site) == (200, "Healthy.\n")
    assert systemd.hears("WATCHDOG=1")
    with fault(site, "hang"):
        site.wait(lambda: not jobs(), "the end of the jobs")
        status, body = site.service.get(f"/api/v1/clusters/{site.cluster}/jobs")
        assert (status, b"the refresh hangs" in body) == (503, True)
        assert site.service.get(f"/api/v1/clusters/{site.cluster}/nodes")[0] == 503
        assert site.value("hpc_aggregator_source_up", source="slurmacct", cluster=site.cluster) == 0.0
        site.wait(lambda: health(site)[0] == 503, "a service that is not healthy")
        assert health(site)[1] == f"Unhealthy: no progress: cluster {site.cluster}\n"
        assert systemd.falls_silent()
    site.wait(jobs, "the jobs")
    # What is joined is shown before the loop has come to its end.
    site.wait(lambda: health(site)[0] == 200, "a service that is healthy")
    assert systemd.hears("WATCHDOG=1")
    log = site.service.daemon.log.read_text()
    assert log.count("not refreshed in time") == log.count("refreshed again") == 1
    assert site.service.terminate(10) == 0
    assert systemd.hears("STOPPING=1")


def test_a_loop_that_a_bug_ends_starts_again_and_the_others_go_on(site: Site, jobs: Callable[[], bool]) -> None:
    prepare(site, BROKEN_LOOP)
    site.start(until=jobs)
    loop = f"cluster {site.cluster}"
    assert site.value("hpc_aggregator_loop_restarts_total", loop=loop) == 0.0
    with fault(site, "bug"):
        site.wait(lambda: (site.value("hpc_aggregator_loop_restarts_total", loop=loop) or 0) >= 2, "a second start")
        assert health(site)[0] == 200
        assert site.value("hpc_aggregator_loop_restarts_total", loop=f"ledger of {loop}") == 0.0
    site.refreshed(2)
    assert "loop ended by a bug, it starts again" in site.service.daemon.log.read_text()


def test_an_event_loop_that_stands_still_tells_systemd_nothing_and_ends_by_sigterm(
    site: Site, systemd: Systemd, jobs: Callable[[], bool]
) -> None:
    prepare(site, STUCK_EVENT_LOOP)
    site.start(until=jobs)
    assert systemd.hears("WATCHDOG=1")
    with fault(site, "stuck"):
        assert systemd.falls_silent()
        assert site.service.terminate(10) == 1
    assert "publish_source" in site.service.daemon.log.read_text(), "the log says where it hangs"
