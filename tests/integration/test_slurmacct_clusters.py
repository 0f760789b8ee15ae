"""Several clusters in one database: each shows its own jobs, whatever the others are called."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aggregator.model.accounting import JobState
from aggregator.model.jobid import JobId
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import add_cluster, create_tables

pytestmark = pytest.mark.mariadb

DATABASE, NOW, NO_VAL = "several_clusters", 1_700_000_000, 4294967294
USER, PASSWORD = "several", "only for tests"
# Beginnings of each other, names that LIKE would take for each other, and names that are like a table's.
CLUSTERS = ("a", "a-b", "a_b", "axb", "a_b_c", "Upper", "job", "qos")
# Left behind by an older release, and not registered: slurmdbd takes it for the same name.
LEFT_BEHIND = "upper"
JOB = 4711
# The origin's number, here that of a-b, is in the top six bits of an id.
FEDERATED = (2 << 26) + 5


@pytest.fixture(scope="module")
def database(mariadb: MariaDB) -> MariaDB:
    first, *others = CLUSTERS
    create_tables(mariadb, DATABASE, "26.05", first)
    for cluster in others:
        add_cluster(mariadb, DATABASE, "26.05", cluster)
    add_cluster(mariadb, DATABASE, "20.11", LEFT_BEHIND)
    for cluster in (*CLUSTERS, LEFT_BEHIND):
        mariadb.execute(
            f"INSERT INTO `{cluster}_assoc_table` SET id_assoc=1, user=%s, acct='def', parent_acct='root'",
            DATABASE, [f"user of {cluster}"],
        )  # fmt: skip
        insert_job(mariadb, cluster, 1, JOB, JobState.RUNNING)
    mariadb.create_user(USER, PASSWORD, [rf"SELECT ON `{DATABASE}`.*"])
    return mariadb


def insert_job(mariadb: MariaDB, cluster: str, key: int, job_id: int, state: JobState) -> None:
    """Insert a run that has started; one that is revoked has ended."""
    mariadb.execute(
        f"INSERT INTO `{cluster}_job_table` SET job_db_inx=%s, id_job=%s, state=%s, time_end=%s, job_name=%s,"
        f" account='def', id_assoc=1, het_job_offset={NO_VAL}, time_submit={NOW - 60}, time_start={NOW - 30}",
        DATABASE, [key, job_id, int(state), NOW - 10 if state is JobState.REVOKED else 0, cluster],
    )  # fmt: skip


@pytest.fixture
async def open_source(database: MariaDB) -> AsyncIterator[Any]:
    opened = Database(
        Connection(key="key", host="127.0.0.1", port=database.port, user=USER, password=lambda: PASSWORD,
                   database=DATABASE)
    )  # fmt: skip
    yield lambda cluster: SlurmAcct(cluster, opened, f"clusters.{cluster}.slurmacct", 600.0)
    await opened.close()


@pytest.mark.parametrize("cluster", [*CLUSTERS, LEFT_BEHIND])
async def test_a_cluster_shows_its_own_jobs(open_source: Any, cluster: str) -> None:
    """All have the same ids: only the table tells them apart."""
    source = open_source(cluster)
    (run,) = (await source.fetch(NOW)).runs
    assert (run.cluster, run.name, run.user, run.job_id) == (cluster, cluster, f"user of {cluster}", JOB)
    assert [found.name for found in await source.runs_of(JobId(JOB))] == [cluster]
    assert source.features["scripts"] == source.features["submit_line"] == (cluster != LEFT_BEHIND)


@pytest.mark.parametrize("cluster", ["%", "a%", "a__", "A", "A-B", "uppeR", "b", "a_b_", "", "a`", "a' OR '1'='1"])
async def test_a_name_that_only_resembles_a_cluster_is_no_cluster(open_source: Any, cluster: str) -> None:
    with pytest.raises(FetchError) as caught:
        await open_source(cluster).fetch(NOW)
    names = ", ".join(sorted(CLUSTERS))
    assert str(caught.value).endswith(f"the database has no cluster {cluster!r}; it has: {names}")


async def test_a_federated_job_is_shown_where_it_runs(database: MariaDB, open_source: Any) -> None:
    """Each cluster of a federation has a row of the job under the same id; the siblings are revoked when one starts."""
    insert_job(database, "a-b", 2, FEDERATED, JobState.REVOKED)
    insert_job(database, "a_b", 2, FEDERATED, JobState.RUNNING)
    where = {cluster: [run.display_id for run in await open_source(cluster).runs_of(JobId(FEDERATED))]
             for cluster in ("a", "a-b", "a_b")}  # fmt: skip
    assert where == {"a": [], "a-b": [], "a_b": ["134217733"]}
    shown = {run.job_id for run in (await open_source("a_b").fetch(NOW)).runs}
    assert shown == {JOB, FEDERATED}
    assert {run.job_id for run in (await open_source("a-b").fetch(NOW)).runs} == {JOB}
    database.execute("DELETE FROM `a-b_job_table` WHERE job_db_inx=2", DATABASE)
    database.execute("DELETE FROM `a_b_job_table` WHERE job_db_inx=2", DATABASE)
