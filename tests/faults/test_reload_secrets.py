"""Secrets in files: a rotated one is used from the next reload on, though the configuration is the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.reloading import clients, connections, reload, tried
from tests.lab.ports import LOOPBACK
from tests.scenarios.site import Site


@pytest.fixture
def password(site: Site) -> Callable[[str], None]:
    """Give the service a database user of its own, and rotate its password; the file is another thing."""
    user = f"'u_{site.cluster}'@'{LOOPBACK}'"
    pattern = site.database.replace("_", r"\_")
    site.mariadb.execute(f"CREATE USER {user} IDENTIFIED BY 'first'")
    site.mariadb.execute(f"GRANT SELECT ON `{pattern}`.* TO {user}")
    section = site.settings["slurmacct"]
    del section["password"]
    section.update(user=f"u_{site.cluster}", password_file=str(file(site)))
    file(site).write_text("first\n")
    site.job(500)
    return lambda text: site.mariadb.execute(f"ALTER USER {user} IDENTIFIED BY '{text}'") and None


def file(site: Site) -> Path:
    return site.root / "password"


def up(site: Site, source: str) -> bool:
    return site.value("hpc_aggregator_source_up", source=source, cluster=site.cluster) == 1.0


def test_rotated_secrets_are_used_from_the_reload_on(site: Site, password: Callable[[str], None]) -> None:
    token = site.root / "token"
    token.write_text("first\n")
    site.settings["prometheus"]["bearer_token_file"] = str(token)
    site.start(until=lambda: up(site, "slurmacct") and site.proxy.authorization == "Bearer first")
    before = connections(site)
    reload(site)
    tried(site)
    assert connections(site) == before, "the files hold what they held"

    password("second")
    file(site).write_text("second\n")
    token.write_text("second\n")
    with clients(site) as asking:
        reload(site)
        site.wait(lambda: connections(site) - before, "connections by the new password")
        site.wait(lambda: site.proxy.authorization == "Bearer second", "the new token")
        tried(site)
    assert up(site, "slurmacct")
    assert asking.failures == []


def test_a_file_that_cannot_be_read_leaves_everything_as_it_is(site: Site, password: Callable[[str], None]) -> None:
    site.start(until=lambda: up(site, "slurmacct"))
    before = connections(site)
    file(site).unlink()
    status, body = site.service.get("/-/reload", method="POST")
    assert status == 500
    assert b"password_file: cannot read" in body
    tried(site)
    assert connections(site) == before
    assert up(site, "slurmacct")


def test_usage_is_read_again_soon_after_a_failure(site: Site, password: Callable[[str], None]) -> None:
    """It is read every ten minutes; a failure must not cost that long."""
    site.start(until=lambda: up(site, "usage"))
    file(site).write_text("wrong\n")
    reload(site)
    site.wait(lambda: not up(site, "usage"), "a failure")
    file(site).write_text("first\n")
    site.wait(lambda: up(site, "usage"), "usage", timeout=60)
