"""What a year brings, in two minutes: each fault under four scrapers and twenty clients of the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crowd import crowded, held, paths
from tests.faults.load import SCRAPE, Load
from tests.faults.provoked import FAULTS
from tests.faults.survival import is_whole, survive
from tests.lab.process import wait_until
from tests.scenarios.site import Servers, Site


@pytest.fixture(scope="module")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root: Path = tmp_path_factory.mktemp("faults")
    root.chmod(0o755)
    with Site(servers, root) as site, crowded(site):
        yield site


@pytest.fixture(scope="module")
def load(site: Site) -> Iterator[Load]:
    with Load(site.service, paths(site)) as load:
        yield load


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_known_is_served_and_all_is_as_before_afterwards(site: Site, load: Load, fault: str) -> None:
    outcome = survive(site, load, fault)
    assert not outcome.wrong, site.service.daemon.tail()


@pytest.mark.soak
def test_nothing_is_left_of_the_faults(site: Site, load: Load) -> None:
    """Faults that do not end the process leave no thread and no descriptor behind."""
    wait_until(lambda: is_whole(site) and load.count(SCRAPE) >= 12, 60, "a quiet service")
    before = held(_pid(site))
    for fault in ("MariaDB is killed", "Prometheus does not answer", "1,000 clients that hang"):
        assert not survive(site, load, fault).wrong
    assert any(name.startswith("hpc_job_energy_joules_total") for name in load.counters)
    # Connections of clients come and go.
    wait_until(lambda: held(_pid(site)).descriptors <= before.descriptors + 30, 30, "as few descriptors as before")
    assert held(_pid(site)).threads <= before.threads + 4


def _pid(site: Site) -> int:
    pid = site.service.daemon.pid
    assert pid
    return pid
