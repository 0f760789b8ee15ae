"""One user's long job name does not cost a Prometheus with a limit on labels the whole page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.scenarios.site import Site

pytestmark = pytest.mark.mariadb

# 254 bytes in UTF-8, of the 255 that slurmdbd keeps.
LONG = "é" * 127


@pytest.fixture
def limited(site: Site, tmp_path: Path) -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes the service, and no label of more than 200 bytes."""
    assert len(LONG.encode()) > 200
    limits = {"label_value_length_limit": 200}
    server = PrometheusServer(tmp_path, service_port=site.service_port, scrape_limits=limits)
    site.job(1, job_name=LONG)
    site.job(2, job_name="short")
    yield server
    server.stop()


def name(server: PrometheusServer, job: int) -> str | None:
    """Give a job's name as the Prometheus has it, "" without the label, None without the job."""
    found = server.query(f'hpc_job_info{{slurmjobid="{job}"}}')
    return found[0]["metric"].get("job_name", "") if found else None


def test_a_long_name_is_cut_on_the_page_and_whole_in_the_api(site: Site, limited: PrometheusServer) -> None:
    site.start(until=lambda: site.value("hpc_job_info", slurmjobid="1"))
    limited.start()
    wait_until(lambda: bool(name(limited, 1)), 60, "the scrape")
    assert name(limited, 1) == "é" * 64, "whole characters: 128 bytes"
    assert name(limited, 2) == "short"
    assert site.data("/jobs/1")["runs"][0]["job_name"] == LONG
