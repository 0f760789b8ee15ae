"""Finished runs on demand against a real MariaDB with slurmdbd's own tables: plans, cost, and pages."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp.test_utils import TestClient, TestServer

from aggregator.api.application import create_app
from aggregator.app.layouts import CLUSTERS
from aggregator.app.service import Service
from aggregator.config import State
from aggregator.model.history import OfName, RunKey, Search
from aggregator.model.jobid import JobId
from aggregator.model.view import ClusterView, SourceStatus
from aggregator.queries.history import HistoryQueries
from aggregator.queries.readers import Readers
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct, SlurmHistory, SlurmUsers
from aggregator.sources.slurmacct import history as statements
from aggregator.state import StateStore
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables
from tests.unit.api.builders import make_settings

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW, PASSWORD = "history_db", "narval-2", 1_700_000_000, "only for tests"
ENDED, USERS, ARRAY = 200_000, 200, 4_000_000
# So many runs ended in one second: a large array was cancelled.
CANCELLED_AT_ONCE = 2_500
TABLE = f"`{CLUSTER}_job_table`"
YEAR = 365 * 86_400
EVERY = pl.lit(True)
SINCE = NOW - YEAR
COLUMNS = (
    "job_db_inx, account, job_name, id_assoc, id_job, id_user, het_job_offset, nodelist, `partition`, state, timelimit,"
    " time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req, id_array_job, id_array_task, deleted"
)
FILL = f"""
INSERT INTO {TABLE} ({COLUMNS})
SELECT seq, CONCAT('acct', (seq + 1) % 20), 'ended', 1 + seq % {USERS}, seq, 1001 + seq % {USERS}, 4294967294,
  'node01', 'cpu', 3 + seq % 4, 60, {NOW} - 100 * ({ENDED} - seq DIV 4) - 900,
  IF(seq % 9, {NOW} - 100 * ({ENDED} - seq DIV 4) - 800, 0), {NOW} - 100 * ({ENDED} - seq DIV 4) - 700,
  {NOW} - 100 * ({ENDED} - seq DIV 4), '1=4,2=8000,4=1', '1=4', 0, 4294967294, IF(seq % 1000, 0, 1)
FROM seq_1_to_{ENDED}
"""
# Run ids of a cluster since 24.11 need all 64 bits.
FILL_ARRAY = f"""
INSERT INTO {TABLE} ({COLUMNS})
SELECT 18446744073709000000 + seq, 'acct3', 'array', 3, {ARRAY} + seq, 1003, 4294967294, 'None assigned', 'gpu', 4, 60,
  {NOW} - 9000, 4294967295, 0, {NOW} - 5000, '', '1=1', {ARRAY}, seq, 0
FROM seq_1_to_{CANCELLED_AT_ONCE}
"""
FILL_OPEN = f"""
INSERT INTO {TABLE} ({COLUMNS})
SELECT 17446744073709000000 + seq, 'acct3', 'open', 3, 5000000 + seq, 1003, 4294967294, 'node01', 'gpu', 1, 60,
  {NOW} - 9000, {NOW} - 8000, {NOW} - 7000, 0, '1=1', '1=1', 0, 4294967294, 0
FROM seq_1_to_1000
"""
# The ends of the runs by time: the oldest run ended 200,000 * 100 s before the newest.
LONG_AGO = NOW - 100 * ENDED


@pytest.fixture(scope="module", params=["20.11", "22.05", "26.05"])
def release(request: pytest.FixtureRequest, mariadb: MariaDB) -> str:
    create_tables(mariadb, DATABASE, request.param, CLUSTER)
    for sql in (FILL, FILL_ARRAY, FILL_OPEN):
        mariadb.execute(sql, DATABASE)
    mariadb.execute(
        f"INSERT INTO `{CLUSTER}_assoc_table` (id_assoc, user, acct, parent_acct)"
        f" SELECT seq, CONCAT('user', seq), CONCAT('acct', seq % 20), '' FROM seq_1_to_{USERS}",
        DATABASE,
    )
    mariadb.execute(f"ANALYZE TABLE {TABLE}", DATABASE)
    mariadb.create_user("aggregator", PASSWORD, [r"SELECT ON `history\_db`.*"])
    return str(request.param)


@pytest.fixture
async def database(mariadb: MariaDB, release: str) -> AsyncIterator[Database]:
    opened = Database(
        Connection(
            key="clusters.narval-2.slurmacct", host="127.0.0.1", port=mariadb.port, user="aggregator",
            password=lambda: PASSWORD, database=DATABASE, pool_size=1,
        )
    )  # fmt: skip
    yield opened
    await opened.close()


@pytest.fixture
def accounting(database: Database) -> SlurmAcct:
    return SlurmAcct(CLUSTER, database, "clusters.narval-2.slurmacct", 600.0)


@pytest.fixture
def history(accounting: SlurmAcct, database: Database) -> SlurmHistory:
    return SlurmHistory(accounting, database)


async def examined(database: Database) -> dict[str, int]:
    rows = await database.rows("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return {str(name): int(count) for name, count in rows}


PLACES: dict[str, RunKey | None] = {
    "first page": None,
    "recent": (NOW - 5000, 4294967295, 18446744073709000100),
    "old": (NOW - 100 * (ENDED - 10), 0, 41),
    "middle": (NOW - 100 * (ENDED - 25_000), NOW - 100 * (ENDED - 25_000) - 800, 100_001),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("uid", [None, 1003], ids=["everybody", "user"])
@pytest.mark.parametrize("seconds", [3600, 86_400, 30 * 86_400, YEAR])
async def test_a_chunk_is_found_in_an_index_and_nothing_is_sorted(
    accounting: SlurmAcct, mariadb: MariaDB, place: str, uid: int | None, seconds: int
) -> None:
    """Whatever the window, the user and the place: a covering index in its own order, then primary keys."""
    schema, _ = await accounting.known()
    after = PLACES[place]
    sql = statements.ended_chunk(schema, by_user=uid is not None, after=after is not None)
    parameters = (NOW - seconds, NOW + 1, *statements.after_parameters(after), 1000)
    plan = mariadb.execute("EXPLAIN " + sql, DATABASE, [*([] if uid is None else [uid]), *parameters])
    for row in plan:
        table, access, key, extra = str(row[2]), row[3], row[5], str(row[9])
        if table.startswith("<") or table == "None":
            continue
        assert "filesort" not in extra, plan
        if "Using index" in extra:
            assert key == ("rollup2" if uid is None else "sacct_def2"), plan
            assert access in ("range", "ref", "index"), plan
        else:
            assert (access, key) == ("eq_ref", "PRIMARY"), plan


@pytest.mark.parametrize("uids", [None, frozenset({1003}), frozenset(range(1000, 1010))], ids=["all", "one", "ten"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_chunk_costs_its_rows_not_the_tables(
    history: SlurmHistory, accounting: SlurmAcct, database: Database, uids: frozenset[int] | None, place: str
) -> None:
    await accounting.known()
    before = await examined(database)
    chunk = await history.ended(Search(since=LONG_AGO, until=NOW + 1, uids=uids), PLACES[place])
    read = {name: count - before[name] for name, count in (await examined(database)).items()}
    assert sum(read.values()) <= 6 * chunk.examined + 600, read


async def test_runs_of_a_name_are_looked_for_among_a_users_newest(
    history: SlurmHistory, accounting: SlurmAcct, mariadb: MariaDB, database: Database
) -> None:
    """No index has names: the user's newest come from the index alone, and each is looked at by its primary key."""
    schema, _ = await accounting.known()
    sql = "EXPLAIN " + statements.runs_of_name(schema)
    plan = mariadb.execute(sql, DATABASE, [1003, LONG_AGO, NOW + 1, "array"])
    of_table = [row for row in plan if not str(row[2]).startswith("<")]
    assert {(row[3], row[5]) for row in of_table} == {("eq_ref", "PRIMARY"), ("range", "sacct_def2")}, plan
    assert ["Using index" in str(row[9]) for row in of_table if row[5] == "sacct_def2"] == [True], plan
    before = await examined(database)
    runs = await history.of_name(OfName(uid=1003, name="array", since=LONG_AGO, until=NOW + 1))
    read = {name: count - before[name] for name, count in (await examined(database)).items()}
    assert {(run.uid, run.name) for run in runs} == {(1003, "array")}
    assert len(runs) <= statements.MAX_OF_NAME
    assert [run.end for run in runs] == sorted((run.end for run in runs), reverse=True)
    assert sum(read.values()) <= 8 * statements.MAX_LOOKED_AT, read


async def test_uids_are_found_by_two_rows_for_each_association(
    history: SlurmHistory, accounting: SlurmAcct, mariadb: MariaDB, database: Database
) -> None:
    schema, _ = await accounting.known()
    for row in mariadb.execute("EXPLAIN " + statements.uids_of_associations(schema, 1), DATABASE, [7, 7]):
        assert str(row[2]).startswith("<") or (row[5] == "association" and "filesort" not in str(row[9])), row
    before = await examined(database)
    assert await history.uids(frozenset({"user7", "user8"}), frozenset()) == {1007, 1008}
    after = await examined(database)
    assert sum(after.values()) - sum(before.values()) < 60


async def test_names_of_uids_cost_a_row_for_each(accounting: SlurmAcct, database: Database) -> None:
    users = SlurmUsers(accounting, database)
    assert await users.names(()) == {}
    await accounting.known()
    before = await examined(database)
    assert await users.names((1007, 1008, 999_999)) == {1007: "user7", 1008: "user8"}
    after = await examined(database)
    assert sum(after.values()) - sum(before.values()) < 60


async def test_uids_of_an_account_are_those_of_its_members(history: SlurmHistory) -> None:
    assert await history.uids(frozenset(), frozenset({"acct3"})) == {1000 + n for n in range(3, USERS, 20)}
    assert await history.uids(frozenset({"user4"}), frozenset({"acct3"})) == frozenset()
    assert await history.uids(frozenset({"1011"}), frozenset()) == {1011}, "the uid of a user without an association"
    assert await history.uids(frozenset({"nobody"}), frozenset()) == frozenset()
    assert await history.uids(frozenset(), frozenset(f"acct{n}" for n in range(20))) is None, "too many to search by"


async def pages(
    history: SlurmHistory, search: Search, limit: int, wanted: pl.Expr = EVERY, rows: int = 10_000
) -> pl.DataFrame:
    queries = HistoryQueries({CLUSTER: history})
    found: list[pl.DataFrame] = []
    after: RunKey | None = None
    while True:
        page = await queries.page(CLUSTER, search, wanted, after, limit, rows)
        assert page.runs.height <= limit
        assert page.last is None or after is None or page.last < after, "progress is guaranteed"
        found.append(page.runs)
        after = page.last
        if after is None:
            return pl.concat(found)


def expected(mariadb: MariaDB, condition: str) -> list[int]:
    rows = mariadb.execute(
        f"SELECT job_db_inx FROM {TABLE} WHERE deleted=0 AND {condition}"
        " ORDER BY time_end DESC, time_eligible DESC, job_db_inx DESC",
        DATABASE,
    )
    return [int(run_id) for (run_id,) in rows]


@pytest.mark.parametrize("limit", [100, 777, 1000])
@pytest.mark.parametrize("uids", [None, frozenset({1003}), frozenset(range(1000, 1030))], ids=["all", "one", "thirty"])
async def test_pages_give_every_run_exactly_once_in_order(
    history: SlurmHistory, mariadb: MariaDB, uids: frozenset[int] | None, limit: int
) -> None:
    """Also through a second in which 2,500 runs ended, and with rows that are marked deleted."""
    since, until = NOW - 100 * (ENDED - 49_000), NOW + 1
    users = "1" if uids is None else f"id_user IN ({','.join(map(str, sorted(uids)))})"
    found = await pages(history, Search(since=since, until=until, uids=uids), limit)
    runs = expected(mariadb, f"time_end>={since} AND time_end<{until} AND {users}")
    assert found["run_id"].to_list() == runs
    assert found.height > CANCELLED_AT_ONCE


async def test_filters_that_no_index_serves_end_pages_early_and_lose_nothing(
    history: SlurmHistory, mariadb: MariaDB
) -> None:
    since = NOW - 100 * (ENDED - 45_000)
    search = Search(since=since, until=NOW + 1)
    found = await pages(history, search, 100, pl.col("partition") == "gpu", rows=2000)
    assert found["run_id"].to_list() == expected(mariadb, f"time_end>={since} AND `partition`='gpu'")


async def test_runs_that_are_inserted_between_two_pages_change_nothing_else(
    history: SlurmHistory, mariadb: MariaDB
) -> None:
    """slurmdbd gets late messages: rows with old ends appear anywhere, before and behind the reader."""
    since, until = NOW - 100 * (ENDED - 49_500), NOW - 100 * (ENDED - 49_990)
    before = expected(mariadb, f"time_end>={since} AND time_end<{until}")
    queries, drawn = HistoryQueries({CLUSTER: history}), random.Random(7)
    seen: list[int] = []
    after: RunKey | None = None
    arrived = 0
    while True:
        search = Search(since=since, until=until)
        page = await queries.page(CLUSTER, search, EVERY, after, 211)
        seen += page.runs["run_id"].to_list()
        after = page.last
        if after is None:
            break
        arrived += 1
        end = drawn.randrange(since, until)
        mariadb.execute(
            f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({9_000_000 + arrived}, 'late', 'late', 1, {9_000_000 + arrived},"
            f" 1, 4294967294, '', 'cpu', 3, 60, {end} - 9, {end} - 8, {end} - 7, {end}, '', '', 0, 4294967294, 0)",
            DATABASE,
        )
    mariadb.execute(f"DELETE FROM {TABLE} WHERE account='late'", DATABASE)
    assert arrived >= 5
    assert len(seen) == len(set(seen))
    assert [run_id for run_id in seen if run_id < 9_000_000 or run_id > 10_000_000] == before


async def test_ids_and_arrays_are_read_by_their_own_indexes(
    history: SlurmHistory, accounting: SlurmAcct, mariadb: MariaDB
) -> None:
    schema, _ = await accounting.known()
    parameters = [ARRAY, SINCE, NOW + 1, 10_000]
    (row,) = mariadb.execute("EXPLAIN " + statements.array_runs(schema), DATABASE, parameters)
    assert row[5] == "array_job", row
    by_id = await history.ended(Search(since=SINCE - YEAR, until=NOW + 1, ids=frozenset({JobId(4711)})), None)
    assert [run.job_id for _, run in by_id.runs] == [4711]
    whole = await pages(history, Search(since=SINCE, until=NOW, arrays=frozenset({ARRAY})), 1000)
    assert whole["array_task_id"].to_list() == list(range(CANCELLED_AT_ONCE, 0, -1))
    outside = await history.ended(Search(since=NOW - 10, until=NOW, arrays=frozenset({ARRAY})), None)
    assert outside.runs == ()


@pytest.fixture
async def client(accounting: SlurmAcct, history: SlurmHistory, tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """The API over a state without anything, and this history."""
    service = Service(StateStore(State.model_validate({"url": f"sqlite:///{tmp_path}/state.db"})))
    service.store.publish_cluster(ClusterView(CLUSTER, NOW, frames=CLUSTERS.empty()))
    service.store.publish_source(SourceStatus("slurmacct", CLUSTER, up=True, last_attempt=NOW, last_success=NOW))
    service.queries.connect({CLUSTER: Readers(accounting, history=history)})
    app = create_app(service.answer_sources, make_settings(), clock=lambda: float(NOW))
    async with TestClient(TestServer(app)) as opened:
        yield opened
    await service.state.close()


async def groups(client: TestClient[Any, Any], query: str) -> dict[str, Any]:
    response = await client.get(f"/api/v1/clusters/{CLUSTER}/jobs/history?end=now-1h&{query}")
    body = await response.json()
    assert response.status == 200, body
    return dict(body["data"])


async def test_groups_are_what_sql_counts(client: TestClient[Any, Any], mariadb: MariaDB) -> None:
    since = NOW - 100 * (ENDED - 45_000)
    fields = "partition,state,jobs,elapsed_seconds_p90"
    data = await groups(client, f"start={since}&group_by=partition,state&fields={fields}")
    rows = mariadb.execute(
        f"SELECT `partition`, ELT(state - 2, 'completed', 'cancelled', 'failed', 'timeout'), COUNT(*),"
        f" MAX(IF(time_start, time_end - time_start, NULL)) FROM {TABLE}"
        f" WHERE deleted=0 AND time_end>={since} AND time_end<{NOW - 3600} GROUP BY 1, 2 ORDER BY 1, 2",
        DATABASE,
    )
    assert [tuple(group.values()) for group in data["jobs"]] == [tuple(row) for row in rows]
    assert (data["truncated"], data["total"]) == (False, 5)
    of_user = await groups(client, f"start={since}&group_by=user&user=user7,user9&account=acct7&sort=-jobs")
    assert [group["user"] for group in of_user["jobs"]] == ["user7"]
    assert of_user["examined"] < 1000, "those of its members alone are read"


async def test_of_more_rows_than_may_be_examined_the_newest_are_added_up(
    client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.api.history.WHOLE_ROWS", 4000)
    data = await groups(client, f"start={NOW - YEAR}&group_by=day&sort=-day&limit=1&fields=day,jobs")
    assert data["jobs"] == [{"day": "2023-11-14", "jobs": CANCELLED_AT_ONCE}]
    assert (data["truncated"], 3990 < data["examined"] <= 4000) == (True, True)


async def test_open_runs_are_not_finished_runs(history: SlurmHistory) -> None:
    chunk = await history.ended(Search(since=1, until=NOW + 86_400, uids=frozenset({1003})), None)
    assert all(run.end is not None for _, run in chunk.runs)
