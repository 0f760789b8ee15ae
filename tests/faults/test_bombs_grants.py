"""A table that is not granted costs what needs it and no more, and docs/grants.md has the grants that are needed."""

import json
import re
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pymysql
import pytest

from aggregator.config import State
from aggregator.model.job_inputs import Accounting
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from aggregator.state.database import Database as StateDatabase
from tests.faults.test_bombs_tls import PASSWORD, accounting, check
from tests.lab.databases import HSM, load_robinhood
from tests.lab.mariadb import MariaDB
from tests.lab.ports import LOOPBACK
from tests.scenarios.site import Site

pytestmark = pytest.mark.mariadb

PAGE = Path(__file__).parents[2] / "docs" / "grants.md"
SMALL = ("tres_table", "qos_table", "acct_table")
_users = count(1)


def statements(heading: str) -> list[str]:
    """Give the SQL of one chapter of the page."""
    (chapter,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(re.findall(r"```sql\n(.*?)```", chapter, re.DOTALL)).splitlines()
    return [line for line in lines if line.startswith(("CREATE", "GRANT"))]


def run(mariadb: MariaDB, sql: list[str], **names: str) -> str:
    """Run statements of the page as they stand, with other names, for a new user; give its name."""
    user = f"granted{next(_users)}"
    replaced = {"'aggregator'@'10.0.0.5'": f"'{user}'@'{LOOPBACK}'", "'…'": f"'{PASSWORD}'", **names}
    for statement in [*statements("The user and its connections"), *sql]:
        for old, new in replaced.items():
            statement = statement.replace(old, new)
        mariadb.execute(statement)
    # The server of the tests has no TLS.
    mariadb.execute(f"ALTER USER '{user}'@'{LOOPBACK}' REQUIRE NONE")
    return user


def grant(site: Site, sql: list[str]) -> None:
    """Let the service log in as a user who has these grants on slurmacct."""
    tables = {str(name) for (name,) in site.mariadb.execute(f"SHOW TABLES FROM `{site.database}`")}
    names = {"slurm_acct_db": site.database, "narval_": f"{site.cluster}_"}
    there = {f"`{table}`".replace(names["narval_"], "narval_") for table in tables}
    known = [each for each in sql if any(table in each for table in there)]
    user = run(site.mariadb, known, **names)
    site.settings["slurmacct"] |= {"user": user, "password": PASSWORD}


def only(*tables: str) -> list[str]:
    return [each for each in statements("slurmacct") if any(f"`{table}`" in each for table in tables)]


@pytest.fixture
def site(site: Site) -> Site:
    site.job(1, tres_alloc="1=4,2=8000,4=1,1001=2,1002=2")
    return site


def warnings(site: Site) -> list[str]:
    _, answer = site.service.get(f"/api/v1/clusters/{site.cluster}/jobs")
    _, status = site.service.get("/api/v1/status")
    found = [warning for warning in parsed(answer).get("warnings", []) if "GRANT" in warning]
    assert found == [warning for warning in parsed(status).get("warnings", []) if "GRANT" in warning]
    return found


def parsed(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer)
    return found


def test_the_least_of_grants_shows_the_jobs_and_says_what_is_missing(site: Site) -> None:
    grant(site, only("narval_job_table", "narval_assoc_table"))
    site.start()
    assert site.value("hpc_aggregator_source_up", source="slurmacct", cluster=site.cluster) == 1
    (job,) = site.wait(lambda: site.data("/jobs")["jobs"], "the job")
    assert (job["user"], job["account"], job["allocated_cpus"]) == ("ann", "phys", 4)
    assert (job["qos"], job["gpus"]) == ("", [])
    found = warnings(site)
    assert [each.partition(" ")[0] for each in found] == [*SMALL]
    said = check(site)
    assert all(f"{table} is not there, or not granted (GRANT SELECT ON {table})" in said for table in SMALL)


async def test_each_table_costs_what_needs_it(site: Site) -> None:
    for missing in SMALL:
        grant(site, [each for each in statements("slurmacct") if f"`{missing}`" not in each])
        accounting = await read(site)
        (run,) = accounting.runs
        assert run.allocated.gpus == ({} if missing == "tres_table" else {"a100": 2})
        assert run.qos == ("" if missing == "qos_table" else "normal")
        organizations = dict(accounting.associations.organizations.iter_rows())
        assert organizations.get("phys", "") == ("" if missing == "acct_table" else "phys")
        (warning,) = accounting.missing
        assert warning.startswith(f"{missing} is not there, or not granted (GRANT SELECT ON {missing}): ")


async def read(site: Site, **more: Any) -> Accounting:
    section = site.settings["slurmacct"]
    database = Database(Connection(**{**section, **more, "key": "key", "password": lambda: section["password"]}))
    try:
        return await SlurmAcct(site.cluster, database, "key", 600.0).fetch(time.time())
    finally:
        await database.close()


def test_the_whole_of_grants_leaves_nothing_out_and_one_that_is_taken_away_is_missed(site: Site) -> None:
    grant(site, statements("slurmacct"))
    user = site.settings["slurmacct"]["user"]
    site.start()
    assert warnings(site) == []
    features = accounting(site)["features"]
    assert {"scripts", "usage", "steps", "suspensions", "coordinators", "node_events", "reservations"} <= {
        name for name, there in features.items() if there
    }
    table = f"`{site.database}`.`{site.cluster}_assoc_table`"
    site.mariadb.execute(f"REVOKE SELECT ON {table} FROM '{user}'@'{LOOPBACK}'")
    site.service.stop()
    site.service.start()
    site.wait(
        lambda: "assoc_table is not granted" in (accounting(site)["error"] or ""), "the missing grant to be named"
    )
    site.mariadb.execute(f"GRANT SELECT ON {table} TO '{user}'@'{LOOPBACK}'")
    site.wait(lambda: accounting(site)["up"], "slurmacct to be read again")


def test_check_names_no_grant_where_the_page_was_followed(site: Site) -> None:
    grant(site, statements("slurmacct"))
    load_robinhood(site.mariadb)
    user = run(site.mariadb, statements("Robinhood"), robinhood_project=HSM)
    section = {"host": LOOPBACK, "port": site.mariadb.port, "user": user, "password": PASSWORD, "database": HSM}
    site.config["filesystems"] = {"project": {"robinhood": section}}
    said = check(site)
    assert "GRANT" not in said
    assert f"slurmacct: not encrypted, up to 5 connections of {site.settings['slurmacct']['user']!r}" in said
    assert f"filesystems.project.robinhood: not encrypted, up to 4 connections of {user!r}" in said


async def test_too_many_connections_are_told_with_the_number_that_is_needed(site: Site) -> None:
    grant(site, statements("slurmacct"))
    user = site.settings["slurmacct"]["user"]
    site.mariadb.execute(f"ALTER USER '{user}'@'{LOOPBACK}' WITH MAX_USER_CONNECTIONS 1")
    with (
        closing(pymysql.connect(host=LOOPBACK, port=site.mariadb.port, user=user, password=PASSWORD)),
        pytest.raises(FetchError) as caught,
    ):
        await read(site, connections=5)
    assert "each replica of this service needs up to 5 connections (MAX_USER_CONNECTIONS)" in str(caught.value)
    assert "the server says: User 'granted" in str(caught.value)
    site.mariadb.execute(f"ALTER USER '{user}'@'{LOOPBACK}' WITH MAX_USER_CONNECTIONS 5")
    assert (await read(site)).runs


async def test_the_grants_on_the_state_are_enough(mariadb: MariaDB) -> None:
    user = run(mariadb, statements("State"), hpc_aggregator="state_by_the_page")
    url = f"mysql://{user}@{LOOPBACK}:{mariadb.port}/state_by_the_page"
    database = StateDatabase(State.model_validate({"url": url, "password": PASSWORD}))
    await database.open()
    await database.close()
    mariadb.execute("DROP DATABASE state_by_the_page")
