"""Change the configuration of a running service."""

import re
from collections.abc import Callable

import yaml

from tests.faults.load import Load
from tests.scenarios.site import Site

# All of them together stay below what one address may ask.
_PAUSE = 0.3


def write(site: Site) -> None:
    """Write the configuration as it is now."""
    (site.root / "config.yml").write_text(yaml.safe_dump(site.config, sort_keys=False))


def reload(site: Site) -> str:
    """Write the configuration, reload it, and give the answer."""
    write(site)
    status, body = site.service.get("/-/reload", method="POST")
    assert status == 200, body
    return body.decode()


def log(site: Site) -> str:
    return site.service.daemon.log.read_text()


def reloads(site: Site) -> int:
    return len(re.findall('msg="configuration reloaded', log(site)))


def tried(site: Site, source: str = "slurmacct", times: int = 1) -> None:
    """Wait until a source has been fetched so many times more, whatever came of it."""
    count = _fetches(site, source)
    before = count()
    site.wait(lambda: count() >= before + times, f"{times} fetches of {source}")


def _fetches(site: Site, source: str) -> Callable[[], float]:
    name = "hpc_aggregator_source_fetch_duration_seconds_count"
    return lambda: sum(
        sample.value
        for family in site.service.families().values()
        for sample in family.samples
        if sample.name == name and (sample.labels["source"], sample.labels["cluster"]) == (source, site.cluster)
    )


def connections(site: Site, database: str | None = None) -> set[int]:
    """Give the ids of the service's connections to slurmdbd's database."""
    found = site.mariadb.execute(
        "SELECT id FROM information_schema.processlist WHERE db=%s AND user<>'root'", None, [database or site.database]
    )
    return {number for (number,) in found}


def clients(site: Site, *more: str) -> Load:
    """Let some clients ask, again and again, for what monitors and people ask for all day."""
    paths = ("/-/ready", "/metrics", f"/api/v1/clusters/{site.cluster}/jobs", "/api/v1/status", *more)
    return Load(site.service, paths, scrapers=0, clients=len(paths), pause=_PAUSE)
