"""History from a replica: two real servers, one of which replicates the other."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from aggregator.api.access import AREAS
from aggregator.api.application import create_app
from aggregator.api.keys import ApiSettings, Upkeep
from aggregator.app.check_report import Outcome
from aggregator.app.connect import connect
from aggregator.app.lists import lists_of
from aggregator.app.schedule import Timing
from aggregator.app.service import Service
from aggregator.app.site import open_site
from aggregator.config import Config, State, parse
from aggregator.model.accounting import Run
from aggregator.model.calendar import Rolled, Segment
from aggregator.model.history import Search
from aggregator.model.jobid import JobId
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database, Row, TooSlowError
from aggregator.sources.replica import ReplicaReads, ReplicaState
from aggregator.sources.slurmacct import SlurmAcct, SlurmDetails, SlurmHistory, SlurmReplica, SlurmUsage, statements
from aggregator.state import StateStore
from tests.lab.mariadb import MariaDB
from tests.lab.process import wait_until
from tests.slurm_schema import create_tables, schemas

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, USER, PASSWORD = "replicated_db", "narval-2", "reader", "only for tests"
KEY, NOW, HOUR = "clusters.narval-2.slurmacct", 1_700_000_000, 1_699_999_200
MAX_LAG = 60.0


@dataclass
class Pair:
    """A primary and its replica; ids and keys of the primary's jobs are consecutive."""

    primary: MariaDB
    replica: MariaDB
    jobs: int = 0

    def end_job(self, at: float, written: float | None = None) -> int:
        """Write a job that ended at a time, with a script and a step."""
        self.jobs += 1
        number = self.jobs
        self.write(
            f"INSERT INTO `{CLUSTER}_job_table` SET job_db_inx=%s, id_job=%s, mod_time=%s, time_end=%s, state=3,"
            " time_submit=%s, time_eligible=%s, time_start=%s, id_assoc=1, id_user=1000, account='def', job_name='x',"
            " het_job_offset=4294967294, id_array_task=4294967294, script_hash_inx=1, timelimit=60, tres_alloc='1=4'",
            number, number, written or at, at, at - 60, at - 60, at - 50,
        )  # fmt: skip
        self.write(
            f"INSERT INTO `{CLUSTER}_step_table` SET job_db_inx=%s, id_step=-5, step_name='batch', state=3,"
            " time_start=%s, time_end=%s, user_sec=10", number, at - 50, at,
        )  # fmt: skip
        return number

    def write(self, sql: str, *values: object) -> None:
        self.primary.execute(sql, DATABASE, values or None)

    def wait(self) -> None:
        """Wait until the replica has all that the primary has."""
        ((wanted,),) = self.primary.execute("SELECT @@gtid_binlog_pos")
        wait_until(lambda: self.replica.execute("SELECT @@gtid_slave_pos") == [(wanted,)], 30, "the replica")


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-replica-") as folder:
        pair = Pair(*(start_server(Path(folder), number) for number in (1, 2)))
        fill(pair)
        yield pair
        pair.replica.stop()
        pair.primary.stop()


def start_server(folder: Path, number: int) -> MariaDB:
    folder.chmod(0o755)
    root = folder / str(number)
    root.mkdir(mode=0o755)
    server = MariaDB(root, number)
    server.start()
    return server


def fill(pair: Pair) -> None:
    pair.replica.follow(pair.primary)
    create_tables(pair.primary, DATABASE, "26.05", CLUSTER)
    pair.primary.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.*"])
    for sql in (
        f"INSERT INTO `{CLUSTER}_assoc_table` (id_assoc, user, acct, parent_acct) VALUES (1, 'alice', 'def', ''),"
        " (2, '', 'def', 'root'), (3, '', 'root', '')",
        "INSERT INTO tres_table (creation_time, deleted, id, type, name) VALUES (1,0,1,'cpu',''), (1,0,2,'mem','')",
        f"INSERT INTO `{CLUSTER}_job_script_table` SET hash_inx=1, script_hash='2:x', batch_script='#!/bin/sh'",
        f"INSERT INTO `{CLUSTER}_last_ran_table` VALUES ({HOUR}, {HOUR}, {HOUR})",
        f"INSERT INTO `{CLUSTER}_assoc_usage_hour_table` (creation_time, mod_time, id, id_tres, time_start, alloc_secs)"
        f" VALUES (1, 1, 1, 1, {HOUR - 3600}, 7200)",
    ):
        pair.write(sql)
    pair.end_job(NOW - 900)
    pair.wait()


@pytest.fixture
def pair(servers: Pair) -> Iterator[Pair]:
    """Give both, up, replicating, and the one as far as the other."""
    servers.wait()
    yield servers
    if not servers.replica.daemon.running:
        servers.replica.start()
    servers.replica.execute("START SLAVE")


class CountingDatabase(Database):
    """A database that counts the statements that read jobs, steps, scripts and usage."""

    statements = 0

    async def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        self.statements += 1
        return await super().rows(sql, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        self.statements += 1
        async with super().snapshot() as read:
            yield read


@dataclass
class Readers:
    """All that reads of one cluster, as a site opens it."""

    primary: CountingDatabase
    copy: CountingDatabase
    accounting: SlurmAcct
    history: SlurmHistory
    details: SlurmDetails
    usage: SlurmUsage
    replica: SlurmReplica

    async def run(self) -> Run:
        (run,) = await self.accounting.runs_of(JobId(1))
        return run

    async def read_all(self) -> dict[str, Any]:
        run = await self.run()
        chunk = await self.history.ended(Search(since=NOW - 86_400, until=NOW + 1), None)
        recorded = await self.details.recorded_of(run)
        _, sums = await self.usage.series((1,), ["cpu"], lambda _: [Segment("hour", HOUR - 3600, HOUR)])
        return {
            "ended": [run.job_id for _, run in chunk.runs],
            "steps": [step.id for step in recorded.steps] if recorded else None,
            "script": (await self.accounting.script_of(run)).content,
            "usage": dict(sums),
        }


def connection(server: MariaDB, key: str, **changes: Any) -> Connection:
    settings = {
        "key": key, "host": "127.0.0.1", "port": server.port, "user": USER, "password": lambda: PASSWORD,
        "database": DATABASE, "statement_timeout": 2.0,
    }  # fmt: skip
    return Connection(**{**settings, **changes})


@asynccontextmanager
async def opened(pair: Pair, **changes: Any) -> AsyncIterator[Readers]:
    primary = CountingDatabase(connection(pair.primary, KEY))
    copy = CountingDatabase(connection(pair.replica, f"{KEY}.replica", **changes))
    state = ReplicaState(MAX_LAG)
    reads = ReplicaReads(state, copy, primary)
    accounting = SlurmAcct(CLUSTER, primary, KEY, 600.0, scripts=reads)
    replica = SlurmReplica(accounting, f"{KEY}.replica", replica=copy, primary=primary, state=state)
    try:
        yield Readers(
            primary, copy, accounting, SlurmHistory(accounting, reads), SlurmDetails(accounting, reads),
            SlurmUsage(accounting, reads, KEY, "UTC"), replica,
        )  # fmt: skip
    finally:
        await primary.close()
        await copy.close()


@pytest.fixture
async def readers(pair: Pair) -> AsyncIterator[Readers]:
    async with opened(pair) as made:
        await made.accounting.fetch(NOW)
        yield made


async def test_history_is_read_from_the_replica_and_the_live_feed_from_the_primary(readers: Readers) -> None:
    assert (await readers.replica.fetch(NOW)).lag_seconds == 0.0
    assert readers.replica.notes() == []
    run = await readers.run()
    before, copied = readers.primary.statements, readers.copy.statements

    found = await readers.read_all()

    assert found["ended"][-1] == run.job_id
    assert (found["steps"], found["script"], found["usage"]) == (
        ["batch"], b"#!/bin/sh", {("cpu", HOUR - 3600.0): 7200.0},
    )  # fmt: skip
    assert readers.primary.statements - before == 1, "the run itself, by its id"
    assert readers.copy.statements > copied
    copied = readers.copy.statements
    await readers.accounting.fetch(NOW + 30)
    assert readers.copy.statements == copied


async def test_until_it_has_been_measured_the_primary_answers_and_it_is_said(readers: Readers) -> None:
    found = await readers.read_all()

    assert found["steps"] == ["batch"]
    assert readers.copy.statements == 0
    assert readers.replica.notes() == [
        "history is read from the primary, not from its replica: it has not been measured yet"
    ]


async def test_the_lag_is_the_time_for_which_the_replica_has_lacked_something(pair: Pair, readers: Readers) -> None:
    """It grows while replication is stopped, falls as it catches up, and is 0 again in the end."""
    pair.replica.execute("STOP SLAVE")
    assert (await readers.replica.fetch(NOW)).lag_seconds == 0.0, "nothing was written, so nothing is missing"
    pair.end_job(NOW + 10)
    lags = []
    for at in (NOW + 30, NOW + 60, NOW + 100):
        pair.end_job(at)
        lags.append((await readers.replica.fetch(at)).lag_seconds)

    assert lags == [20.0, 50.0, 90.0]
    assert readers.replica.notes() == ["history is read from a replica that is 90 s behind: what came later is missing"]
    pair.replica.execute("START SLAVE")
    pair.wait()
    assert (await readers.replica.fetch(NOW + 130)).lag_seconds == 0.0
    assert readers.replica.notes() == []


async def test_a_lag_within_the_limit_is_measured_and_not_warned_of(pair: Pair, readers: Readers) -> None:
    pair.replica.execute("STOP SLAVE")
    pair.end_job(NOW + 200)

    assert (await readers.replica.fetch(NOW + 200 + MAX_LAG)).lag_seconds == MAX_LAG
    assert readers.replica.notes() == []


async def test_a_row_that_is_written_late_does_not_make_the_replica_look_old(pair: Pair, readers: Readers) -> None:
    """slurmctld's messages queue while slurmdbd is down: what ended an hour ago was written now."""
    pair.end_job(NOW + 4000)
    pair.wait()
    assert (await readers.replica.fetch(NOW + 8000)).lag_seconds == 0.0
    pair.replica.execute("STOP SLAVE")
    pair.end_job(NOW + 4100, written=NOW + 8020)

    assert (await readers.replica.fetch(NOW + 8030)).lag_seconds == 10.0


async def test_what_leaves_an_old_mod_time_makes_it_no_older_than_it_was_seen_complete(
    pair: Pair, readers: Readers
) -> None:
    """A runaway fix writes an end and no mod_time."""
    assert (await readers.replica.fetch(NOW + 9000)).lag_seconds == 0.0
    pair.replica.execute("STOP SLAVE")
    pair.end_job(NOW + 8990, written=NOW - 9000)

    assert (await readers.replica.fetch(NOW + 9030)).lag_seconds == 30.0


async def test_a_service_that_starts_beside_a_replica_that_stopped_long_ago_knows_it(pair: Pair) -> None:
    pair.replica.execute("STOP SLAVE")
    pair.end_job(NOW + 10_000)
    pair.end_job(NOW + 13_500)
    async with opened(pair) as readers:
        assert (await readers.replica.fetch(NOW + 13_600)).lag_seconds == 3600.0


async def test_measuring_costs_both_servers_a_few_rows(pair: Pair, readers: Readers) -> None:
    schema, _ = await readers.accounting.known()
    for sql, parameters in (
        (statements.newest(schema), (NOW,)),
        (statements.written_after(schema), (1, NOW - 1000, NOW)),
    ):
        for row in pair.primary.execute("EXPLAIN " + sql, DATABASE, list(parameters)):
            is_read = row[2] is not None and not str(row[2]).startswith("<")
            assert not is_read or (row[3] == "range" and "filesort" not in str(row[9])), (sql, row)


async def test_a_replica_that_is_killed_loses_no_answer_and_it_is_said(pair: Pair, readers: Readers) -> None:
    await readers.replica.fetch(NOW)
    expected = await readers.read_all()
    pair.replica.kill()

    assert await readers.read_all() == expected
    (note,) = readers.replica.notes()
    assert note.startswith(f"history is read from the primary, not from its replica: {KEY}.replica: ")
    with pytest.raises(FetchError, match=rf"{KEY}\.replica: (cannot connect|the connection was lost)"):
        await readers.replica.fetch(NOW + 30)
    assert await readers.read_all() == expected
    pair.replica.start()
    pair.wait()
    assert (await readers.replica.fetch(NOW + 60)).lag_seconds == 0.0
    assert readers.replica.notes() == []


async def test_a_replica_that_is_killed_between_two_statements_of_a_snapshot(pair: Pair, readers: Readers) -> None:
    """The reading begins anew on the primary: half of it must not be of another moment."""
    await readers.replica.fetch(NOW)
    plans = 0

    def plan(rolled: Rolled) -> list[Segment]:
        nonlocal plans
        plans += 1
        if plans == 1:
            pair.replica.kill()
        return [Segment("hour", HOUR - 3600, HOUR)]

    rolled, sums = await readers.usage.series((1,), ["cpu"], plan)

    assert (rolled.hour, dict(sums), plans) == (HOUR, {("cpu", HOUR - 3600.0): 7200.0}, 2)


async def test_a_wrong_password_is_named_by_its_key_and_history_goes_on(pair: Pair) -> None:
    async with opened(pair, password=lambda: "wrong") as readers:
        await readers.accounting.fetch(NOW)
        with pytest.raises(FetchError) as caught:
            await readers.replica.fetch(NOW)
        assert str(caught.value).startswith(
            f"{KEY}.replica: wrong user or password for 'reader': check user and password_file"
        )
        assert (await readers.read_all())["steps"] == ["batch"]
        assert str(caught.value) in readers.replica.notes()[0]


async def test_tables_that_the_replica_does_not_grant_are_named(pair: Pair, readers: Readers) -> None:
    """Half a replica would give half an answer: all is read from the primary."""
    tables = (
        "cluster_table",
        "tres_table",
        "qos_table",
        "acct_table",
        f"{CLUSTER}_job_table",
        f"{CLUSTER}_assoc_table",
    )
    grants = [f"SELECT ON `{DATABASE}`.`{table}`" for table in tables]
    pair.replica.execute("SET GLOBAL gtid_strict_mode=0")
    pair.replica.create_user("half", PASSWORD, grants)
    async with opened(pair, user="half") as half:
        await half.accounting.fetch(NOW)
        with pytest.raises(FetchError, match=rf"{KEY}\.replica: not there or not granted.*{CLUSTER}_step_table"):
            await half.replica.fetch(NOW)
        assert (await half.read_all())["steps"] == ["batch"]


async def test_a_grant_that_is_taken_away_sends_the_reading_to_the_primary(pair: Pair) -> None:
    names = [name.replace("<cluster>", CLUSTER) for name in schemas()["26.05"]]
    pair.replica.create_user("revoked", PASSWORD, [f"SELECT ON `{DATABASE}`.`{name}`" for name in names])
    async with opened(pair, user="revoked") as readers:
        await readers.accounting.fetch(NOW)
        await readers.replica.fetch(NOW)
        pair.replica.execute(f"REVOKE SELECT ON `{DATABASE}`.`{CLUSTER}_step_table` FROM 'revoked'@'127.0.0.1'")
        assert (await readers.read_all())["steps"] == ["batch"]
        assert "denied to user 'revoked'" in readers.replica.notes()[0]
        with pytest.raises(FetchError, match=rf"replica: not there or not granted.*: {CLUSTER}_step_table$"):
            await readers.replica.fetch(NOW + 30)


async def test_while_the_primary_is_away_the_replica_answers_and_its_lag_is_unknown(pair: Pair) -> None:
    async with opened(pair) as readers:
        await readers.accounting.fetch(NOW)
        run = await readers.run()
        pair.primary.kill()
        try:
            assert (await readers.replica.fetch(NOW + 30)).lag_seconds is None
            recorded = await readers.details.recorded_of(run)
            notes = readers.replica.notes()
        finally:
            pair.primary.start()
    assert recorded is not None
    assert [step.id for step in recorded.steps] == ["batch"]
    assert notes == ["history is read from a replica, and the primary cannot tell how far it is behind"]


async def test_a_statement_that_is_too_slow_there_is_not_given_to_the_primary(pair: Pair, readers: Readers) -> None:
    """It would be as slow, and in slurmdbd's way."""
    await readers.replica.fetch(NOW)
    reads = ReplicaReads(ReplicaState(MAX_LAG), readers.copy, readers.primary)
    reads._state.measured(0.0)
    before = readers.primary.statements
    with pytest.raises(TooSlowError, match=r"replica: the statement ran longer than statement_timeout"):
        await reads.rows("SELECT SLEEP(30) FROM tres_table")
    assert readers.primary.statements == before
    assert reads._state.is_usable


def config_of(pair: Pair, *, password: str = PASSWORD) -> Config:
    replica = f"{{ host: 127.0.0.1, port: {pair.replica.port}, password: '{password}', max_lag: 1m }}"
    return parse(
        f"clusters: {{ {CLUSTER}: {{ prometheus: {{ url: 'http://127.0.0.1:9' }}, slurmacct: {{ host: 127.0.0.1,"
        f" port: {pair.primary.port}, user: {USER}, password: '{PASSWORD}', database: {DATABASE},"
        f" replica: {replica} }} }} }}"
    )


async def test_check_tries_the_replica_and_the_roll_ups(pair: Pair) -> None:
    outcomes = await _of_databases(config_of(pair))
    wrong = await _of_databases(config_of(pair, password="wrong"))

    assert [outcome.what for outcome in outcomes] == [KEY, f"{KEY} (usage)", f"{KEY}.replica"]
    assert [outcome.error for outcome in outcomes] == ["", "", ""]
    assert outcomes[-1].said.startswith("0 s behind, not encrypted")
    assert wrong[:2] == outcomes[:2]
    assert wrong[-1].error.startswith(f"{KEY}.replica: wrong user or password")


async def test_check_says_that_roll_ups_are_not_granted(pair: Pair) -> None:
    tables = (
        "cluster_table",
        "tres_table",
        "qos_table",
        "acct_table",
        f"{CLUSTER}_job_table",
        f"{CLUSTER}_assoc_table",
    )
    pair.primary.create_user("plain", PASSWORD, [f"SELECT ON `{DATABASE}`.`{table}`" for table in tables])
    config = config_of(pair)
    section = config.clusters[CLUSTER].slurmacct.model_copy(update={"user": "plain", "replica": None})
    cluster = config.clusters[CLUSTER].model_copy(update={"slurmacct": section})
    outcomes = await _of_databases(config.model_copy(update={"clusters": {CLUSTER: cluster}}))

    text = "the tables are not there, or not granted: no usage history"
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert outcomes[1] == Outcome(f"{KEY} (usage)", text)


async def _of_databases(config: Config) -> list[Outcome]:
    """Check without Prometheus, which is not there."""
    return [outcome for outcome in await connect(config) if not outcome.what.endswith(".prometheus")]


@asynccontextmanager
async def serving(pair: Pair, folder: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """Serve the whole of it: loops, page and API."""
    service = Service(StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"})))
    await service.state.open()
    settings = ApiSettings(
        external_url="", stale_after=300.0, version="0", open_areas=AREAS, upkeep=Upkeep(reload=_no_reload)
    )
    app = create_app(service.answer_sources, settings, lists=lists_of())
    config = config_of(pair)
    await service.start(lambda: open_site(config), Timing(interval=0.2))
    async with TestClient(TestServer(app)) as client:
        yield client
    await service.stop()
    await service.state.close()


async def _no_reload() -> str | None:
    return None


async def sources_of(client: TestClient[Any, Any]) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/clusters/{CLUSTER}")
    body = await answer.json()
    return {source["source"]: source for source in body["data"]["sources"]} if answer.status == 200 else {}


async def test_the_service_shows_the_lag_and_survives_the_replicas_death(pair: Pair, tmp_path: Path) -> None:
    path = f"/api/v1/clusters/{CLUSTER}/jobs/history?start={NOW - 3600}&end={NOW}"
    labels = f'{{cluster="{CLUSTER}",filesystem="",source="slurmacct_replica"}}'

    async def until(condition: Any) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while not condition(found := await sources_of(client)):
                await asyncio.sleep(0.05)
        return found

    async with serving(pair, tmp_path) as client:
        await until(lambda found: found.get("slurmacct", {}).get("up") and found["slurmacct_replica"]["up"])
        body = await (await client.get(path)).json()
        page = await (await client.get("/metrics")).text()
        assert ([job["job_id"] for job in body["data"]["jobs"]], body.get("warnings")) == ([1], None)
        assert f"hpc_aggregator_source_replica_lag_seconds{labels} 0.0" in page
        assert f"hpc_aggregator_source_up{labels} 1.0" in page

        pair.replica.kill()
        answer = await client.get(f"{path}&limit=2")
        body = await answer.json()
        assert (answer.status, [job["job_id"] for job in body["data"]["jobs"]]) == (200, [1])
        down = await until(lambda found: not found["slurmacct_replica"]["up"])
        assert down["slurmacct_replica"]["lag_seconds"] is None
        assert f"{KEY}.replica: " in down["slurmacct_replica"]["error"]
        assert down["slurmacct"]["up"], "the replica's death is not the primary's"
        (warning,) = (await (await client.get(path)).json())["warnings"]
        assert warning.startswith("history is read from the primary, not from its replica: ")
        page = await (await client.get("/metrics")).text()
        assert f"hpc_aggregator_source_up{labels} 0.0" in page
        assert f"hpc_aggregator_source_replica_lag_seconds{labels}" not in page
        live = await (await client.get(f"/api/v1/clusters/{CLUSTER}/jobs")).json()
        assert "warnings" not in live, "what is live does not come from there"
