"""A source that fails is asked less often and said once, and is found when it is back."""

import time
from itertools import cycle

import pytest

from tests.scenarios.site import Site

# Two texts of one failure.
ANSWERS = cycle([(503, b"busy"), (422, b'{"status":"error","errorType":"execution","error":"query timed out"}')])


def prometheus_up(site: Site) -> float | None:
    return site.value("hpc_aggregator_source_up", source="prometheus", cluster=site.cluster)


@pytest.mark.soak
def test_a_source_that_fails_is_asked_less_often_said_once_and_found_again(site: Site) -> None:
    site.samples.exporter("node01")
    site.job(500)
    site.start(until=lambda: prometheus_up(site) == 1.0)
    site.refreshed(2)
    asked = len(site.proxy.queries)
    site.refreshed(6)
    of_good = len(site.proxy.queries) - asked
    site.proxy.fault = lambda path, parameters: next(ANSWERS)
    site.wait(lambda: prometheus_up(site) == 0.0, "a source that is down")
    asked = len(site.proxy.queries)
    site.refreshed(6)
    of_bad = len(site.proxy.queries) - asked
    assert of_bad < 0.7 * of_good, "the ledger's one query is asked at each interval"
    site.proxy.fault = None
    began = time.monotonic()
    site.wait(lambda: prometheus_up(site) == 1.0, "a source that is up")
    assert time.monotonic() - began < 17.0, "two intervals, five of back-off, and a slow machine"
    log = site.service.daemon.log.read_text()
    assert log.count("fetch failed: source=prometheus") == 1
    assert log.count("fetch succeeded: source=prometheus") == 2
    assert "failures=0" not in log.rpartition("fetch succeeded: source=prometheus")[2].partition("\n")[0]
