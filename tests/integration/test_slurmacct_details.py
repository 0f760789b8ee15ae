"""The details of one run, against a real MariaDB with slurmdbd's own tables: plans, and each release's answers."""

from collections.abc import AsyncIterator

import pytest

from aggregator.model.accounting import JobState, Run
from aggregator.model.dependency import Dependency
from aggregator.model.jobid import JobId
from aggregator.model.run_details import NodeEvent, Reservation
from aggregator.model.steps import Exit
from aggregator.queries.jobs import JobQueries
from aggregator.queries.run_details import DetailQueries
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct, SlurmDetails, details, events, steps
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables, schemas

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW, PASSWORD = "details_db", "narval-2", 1_700_000_000, "only for tests"
ROWS, NODES, USERS = 50_000, 1000, 500
START, END = NOW - 7200, NOW - 3600
RUN_ID = 18_446_744_073_709_000_001
KEY = "clusters.narval-2.slurmacct"


def table(name: str) -> str:
    return f"`{CLUSTER}_{name}_table`"


FILL = (
    f"""INSERT INTO {table("job")} (job_db_inx, account, job_name, id_assoc, id_job, id_user, id_resv, het_job_offset,
      nodelist, `partition`, state, timelimit, time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req)
    SELECT seq, 'def-kim', 'ended', 1, seq, 1000 + seq % {USERS}, seq % 100, 4294967294, 'n0001', 'cpu', 3, 60,
      {NOW} - 40*({ROWS} - seq) - 900, {NOW} - 40*({ROWS} - seq) - 800, {NOW} - 40*({ROWS} - seq) - 700,
      {NOW} - 40*({ROWS} - seq), '1=4', '1=4' FROM seq_1_to_{ROWS}""",
    f"""INSERT INTO {table("step")} (job_db_inx, id_step, step_name, state, time_start, time_end, nodelist)
    SELECT seq DIV 2, IF(seq % 2, -5, -4), 'x', 3, 1, 2, 'n0001' FROM seq_1_to_{ROWS}""",
    f"""INSERT INTO {table("event")} (node_name, time_start, time_end, state, reason, cluster_nodes, tres)
    SELECT CONCAT('n', LPAD(seq % {NODES}, 4, '0')), {NOW} - 400*({ROWS} - seq) - 300, {NOW} - 400*({ROWS} - seq),
      0x201, 'disk', '', '' FROM seq_1_to_{ROWS}""",
    f"""INSERT INTO {table("resv")} (id_resv, resv_name, time_start, time_end, assoclist, nodelist, node_inx, tres)
    SELECT 10 + seq DIV 2, 'old', 1000*seq, 1000*seq + 500, '', '', '', '' FROM seq_1_to_{ROWS}""",
)


def insert(mariadb: MariaDB, name: str, **values: object) -> None:
    columns = ", ".join(f"`{column}`=%s" for column in values)
    mariadb.execute(f"INSERT INTO {table(name)} SET {columns}", DATABASE, list(values.values()))


def insert_job(mariadb: MariaDB, run_id: int, **values: object) -> None:
    insert(mariadb, "job", **{
        "job_db_inx": run_id, "id_job": run_id % 10_000_000, "id_assoc": 1, "id_user": 4711, "account": "def-kim",
        "job_name": "train", "partition": "cpu", "het_job_offset": 4294967294, "nodelist": "n0001,x[1-2]",
        "timelimit": 120, "time_submit": START - 600, "time_eligible": START - 600, "time_start": START,
        "time_end": END, "state": 5, "tres_alloc": "1=4,2=8000,3=5000,4=3", "tres_req": "1=4", **values,
    })  # fmt: skip


WAITING = {"state": 0, "time_start": 0}
# Runs of one user, in the order of their ids; the second of them that wait is asked for.
SINGLETONS: dict[int, dict[str, object]] = {
    9_600_001: {"state": 1}, 9_600_002: WAITING, 9_600_003: WAITING, 9_600_004: WAITING,
    9_600_005: {"state": 1}, 9_600_006: {"state": 1, "job_name": "another"},
    9_600_007: {"state": 3, "time_end": END}, 9_600_008: {**WAITING, "deleted": 1},
}  # fmt: skip


def has(release: str, name: str, column: str) -> bool:
    return column in schemas()[release][f"<cluster>_{name}_table"]["columns"]


def fill(mariadb: MariaDB, release: str) -> None:
    create_tables(mariadb, DATABASE, release, CLUSTER)
    for sql in FILL:
        mariadb.execute(sql, DATABASE)
    mariadb.execute(
        "INSERT INTO tres_table (creation_time, deleted, id, type, name) VALUES (1,0,1,'cpu',''), (1,0,2,'mem',''),"
        " (1,0,3,'energy',''), (1,0,4,'node',''), (1,0,1001,'gres','gpu'), (1,0,1002,'gres','gpuutil'),"
        " (1,0,1003,'gres','gpumem')",
        DATABASE,
    )
    insert(mariadb, "assoc", id_assoc=1, user="alice", acct="def-kim", parent_acct="")
    line = {"submit_line": "sbatch -d afterok:77,singleton job.sh"} if has(release, "job", "submit_line") else {}
    insert_job(mariadb, RUN_ID, exit_code=3 << 8, id_resv=9, kill_requid=0, **line)
    for number, (state, kept) in enumerate((("after:{0}+5", True), ("afterok:12", False), ("afterany:{0}", True))):
        text = {"submit_line": f"sbatch --dependency={state.format(RUN_ID % 10_000_000)} x"} if line else {}
        insert_job(mariadb, 9_500_001 + number, state=0, time_start=0, time_end=0, job_name=f"waits {kept}", **text)
    alone = {"submit_line": "sbatch -d singleton,afterok:77 x"} if line else {}
    for run_id, values in SINGLETONS.items():
        open_one = {"id_user": 4712, "time_end": 0, "job_name": "nightly ' \N{ROCKET}", **alone}
        insert_job(mariadb, run_id, **{**open_one, **values})
    fill_details(mariadb)
    for name in ("job", "step", "event", "resv"):
        mariadb.execute(f"ANALYZE TABLE {table(name)}", DATABASE)
    mariadb.create_user("aggregator", PASSWORD, [r"SELECT ON `details\_db`.*"])


def fill_details(mariadb: MariaDB) -> None:
    step = {"job_db_inx": RUN_ID, "time_start": START, "nodelist": "n0001", "nodes_alloc": 1, "task_cnt": 2}
    usage = {"tres_usage_in_tot": "1=900,2=3000,1002=150,1003=4096", "tres_usage_in_max": "2=2000"}
    insert(mariadb, "step", **step, id_step=-5, step_name="batch", state=5, time_end=END, exit_code=3 << 8, user_sec=10,
           user_usec=500_000, sys_sec=1, consumed_energy=100, tres_usage_in_ave="1002=75", **usage)  # fmt: skip
    insert(mariadb, "step", **step, id_step=-4, step_name="extern", state=3, time_end=END, consumed_energy=700)
    # Its slurmstepd died: it was never completed, a resume left flags in its state.
    insert(mariadb, "step", **step, id_step=0, step_name="srun ' \N{ROCKET}", state=0x8001 & 0xFFFF, time_end=0,
           consumed_energy=18446744073709551614)  # fmt: skip
    for node, start, end, state, reason in (
        ("x1", START - 100, START + 50, 0x201, "bad disk"),
        ("x1", START + 50, END + 50, 0x201, "bad disk"),  # the cluster changed: closed and opened again
        ("x1", START + 60, START + 60, 0x201, "node-update"),
        ("x2", START + 10, END - 10, 0x80000201, "bits of the future"),
        ("x2", END, 0, 0x801, "it took the run with it"),
        ("x2", END + 1, END + 1, 0x1, "after the run"),
        ("x2", START - 500, START, 0x1, "ended as the run began"),
        ("x3", START + 10, 0, 0x1, "another node"),
    ):
        values = {"node_name": node, "time_start": start, "time_end": end, "state": state, "reason": reason}
        insert(mariadb, "event", **values, cluster_nodes="", tres="")
    for start, end, name in ((START - 9000, START - 100, "before"), (START - 100, END, "course"), (END, 0, "after")):
        insert(mariadb, "resv", id_resv=9, resv_name=name, time_start=start, time_end=end, assoclist="", nodelist="",
               node_inx="", tres="")  # fmt: skip


@pytest.fixture(scope="module", params=["20.11", "22.05", "26.05"])
def release(request: pytest.FixtureRequest, mariadb: MariaDB) -> str:
    fill(mariadb, request.param)
    return str(request.param)


def connect(mariadb: MariaDB, user: str = "aggregator") -> Database:
    return Database(
        Connection(
            key=KEY, host="127.0.0.1", port=mariadb.port, user=user, password=lambda: PASSWORD, database=DATABASE
        )
    )


@pytest.fixture
async def database(mariadb: MariaDB, release: str) -> AsyncIterator[Database]:
    opened = connect(mariadb)
    yield opened
    await opened.close()


@pytest.fixture
def accounting(database: Database) -> SlurmAcct:
    return SlurmAcct(CLUSTER, database, KEY, 600.0)


@pytest.fixture
def reader(accounting: SlurmAcct, database: Database) -> SlurmDetails:
    return SlurmDetails(accounting, database)


@pytest.fixture
async def run(accounting: SlurmAcct) -> Run:
    (found,) = await accounting.runs_of(JobId(RUN_ID % 10_000_000))
    return found


async def test_every_statement_is_served_by_an_index(accounting: SlurmAcct, mariadb: MariaDB, release: str) -> None:
    """No full scan, no sorting of a table's rows, and no more rows than one run or its nodes and user have."""
    schema, _ = await accounting.known()
    window = (END, START, 100)
    cases = [
        (steps.steps(schema), (RUN_ID, 1000), {"PRIMARY", "no_step_comp"}, 10),
        (steps.facts(schema), (RUN_ID,), {"PRIMARY"}, 1),
        (events.events(schema, 2), ("n0001", *window, "x1", *window), {"PRIMARY", "rollup", "archive_purge"}, 600),
        (events.reservation(schema), (RUN_ID,), {"PRIMARY"}, 10),
        (events.registered_nodes(schema), (), {"PRIMARY", "rollup"}, 10),
        (details.array_tasks(schema), (4711, 10_000), {"array_job"}, 10),
    ]
    if has(release, "job", "submit_line"):
        near = (4096, 1005, 1000, 1005, START, END + details.NEAR_SECONDS, 1000)
        cases += [
            (details.own_line(schema), (4096, RUN_ID), {"PRIMARY"}, 1),
            (details.user_lines(schema), near, {"PRIMARY", "sacct_def2", "sacct_def"}, 3000),
        ]
    for sql, parameters, keys, most in cases:
        for row in mariadb.execute("EXPLAIN " + sql, DATABASE, list(parameters)):
            name, access, key, rows, extra = str(row[2]), row[3], row[5], row[8], str(row[9])
            if name == "None" or name.startswith("<"):
                continue
            assert access in ("ref", "range", "const", "eq_ref"), (sql, row)
            assert key in keys, (sql, row)
            assert int(str(rows)) <= most, (sql, row)
            if "step" in sql or "event" in sql:
                assert "filesort" not in extra, (sql, row)


async def test_the_steps_of_a_run(reader: SlurmDetails, run: Run) -> None:
    recorded = await reader.recorded_of(run)
    assert recorded is not None
    batch, extern, srun = recorded.steps
    assert (batch.id, extern.id, srun.id) == ("batch", "extern", "0")
    assert (batch.cpu_seconds, batch.memory_bytes, batch.memory_task_bytes) == (11.5, 3000, 2000)
    assert (batch.gpu_utilization, batch.gpu_memory_bytes) == (0.75, 4096)
    assert (batch.exit, batch.state) == (Exit(3, 0), JobState.FAILED)
    assert (srun.cpu_seconds, srun.memory_bytes, srun.energy_joules, srun.end) == (None, None, None, None)
    assert (srun.state, srun.exit) == (JobState.RUNNING, None), "the flags are masked, and it has not ended"
    assert (recorded.exit, recorded.energy_joules, recorded.cancelled_by) == (Exit(3, 0), 5000, 0)


async def test_who_cancelled_is_unset_in_the_way_of_each_release(
    reader: SlurmDetails, run: Run, mariadb: MariaDB, release: str
) -> None:
    unset = -1 if release == "20.11" else None
    mariadb.execute(f"UPDATE {table('job')} SET kill_requid=%s WHERE job_db_inx=%s", DATABASE, [unset, RUN_ID])
    recorded = await reader.recorded_of(run)
    mariadb.execute(f"UPDATE {table('job')} SET kill_requid=0 WHERE job_db_inx=%s", DATABASE, [RUN_ID])
    assert recorded is not None
    assert recorded.cancelled_by is None


async def test_node_events_that_overlap_the_run_are_merged(reader: SlurmDetails, run: Run) -> None:
    found = await reader.events_of(run, NOW)
    assert found is not None
    assert [event for event in found.events if event.node != "n0001"] == [
        NodeEvent("x1", START - 100, END + 50, ("down", "drain"), "bad disk"),
        NodeEvent("x2", START + 10, END - 10, ("down", "drain"), "bits of the future"),
        NodeEvent("x2", END, None, ("down", "not_responding"), "it took the run with it"),
    ]
    assert not found.cut


async def test_the_reservation_is_that_which_covered_the_start(reader: SlurmDetails, run: Run) -> None:
    assert await reader.reservation_of(run) == Reservation("course", START - 100, END)


async def test_dependencies_both_ways_come_from_submit_lines(reader: SlurmDetails, run: Run, release: str) -> None:
    found = await reader.dependencies_of(run)
    if release == "20.11":
        assert found is None, "no submit lines before 21.08"
        return
    assert found is not None
    assert found.depends_on == (Dependency("afterok", JobId(77)), Dependency("singleton"))
    assert [each.run.name for each in found.dependents] == ["waits True", "waits True"]
    assert [each.depends_on[0].minutes for each in found.dependents] == [5, 0]


async def test_a_singleton_waits_for_those_of_its_name_that_came_before_and_those_that_run(
    accounting: SlurmAcct, reader: SlurmDetails, release: str
) -> None:
    if not has(release, "job", "submit_line"):
        return
    (asked,) = await accounting.runs_of(JobId(9_600_003))
    found = await reader.dependencies_of(asked)
    assert found is not None
    assert found.depends_on == (
        Dependency("afterok", JobId(77)),
        *(Dependency("singleton", JobId(number)) for number in (9_600_001, 9_600_002, 9_600_005)),
    )
    assert [(each.run.job_id, each.depends_on) for each in found.dependents] == [
        (9_600_004, (Dependency("singleton"),))
    ]


async def test_all_of_it_at_once(accounting: SlurmAcct, reader: SlurmDetails, run: Run) -> None:
    class Nothing:
        async def summaries(self, *_: object) -> dict[int, object]:
            return {}

        runs = summaries

    jobs = JobQueries({CLUSTER: accounting}, Nothing(), Nothing())  # type: ignore[arg-type, dict-item]
    found = await DetailQueries(jobs, {CLUSTER: reader}).details(run, NOW)
    assert found.warnings == ()
    assert found.recorded is not None
    assert [step.end for step in found.recorded.steps] == [END, END, END], "an open step ends with its run"
    assert found.recorded.steps[-1].state is JobState.FAILED
    assert found.reservation is not None


async def test_tables_that_are_not_granted_are_not_offered(mariadb: MariaDB, release: str) -> None:
    grants = [f"SELECT ON `details_db`.{name}" for name in ("cluster_table", "tres_table", "qos_table", "acct_table")]
    grants += [f"SELECT ON `details_db`.{table(name)}" for name in ("job", "assoc")]
    mariadb.create_user("few_grants", PASSWORD, grants)
    database = connect(mariadb, "few_grants")
    accounting = SlurmAcct(CLUSTER, database, KEY, 600.0)
    reader = SlurmDetails(accounting, database)
    (found,) = await accounting.runs_of(JobId(RUN_ID % 10_000_000))
    assert await reader.recorded_of(found) is None
    assert await reader.events_of(found, NOW) is None
    assert await reader.reservation_of(found) is None
    features = {name: accounting.features[name] for name in ("steps", "node_events", "reservations")}
    await database.close()
    assert features == {"steps": False, "node_events": False, "reservations": False}


async def test_what_a_release_offers_is_said(
    accounting: SlurmAcct, reader: SlurmDetails, run: Run, release: str
) -> None:
    assert accounting.features["submit_line"] is (release != "20.11")
    assert accounting.features["steps"]


async def test_an_array_is_counted_by_task(
    accounting: SlurmAcct, reader: SlurmDetails, run: Run, mariadb: MariaDB
) -> None:
    """A requeued task counts once, as its newest run; the rest that is not split yet as its tasks."""
    array = 8_000_000
    shared = {"id_array_job": array, "array_max_tasks": 0, "id_user": 4712}
    for number, (task, submit, state) in enumerate(((0, 10, 1024), (0, 20, 1), (1, 10, 3), (2, 10, 3))):
        insert_job(mariadb, array + 1 + number, id_array_task=task, time_submit=submit, state=state, **shared)
    insert_job(
        mariadb, array, id_array_task=4294967294, array_task_pending=7, state=0, time_start=0, time_end=0, **shared
    )
    (task,) = await accounting.runs_of(JobId(array, array_task=1))
    counted = await reader.tasks_of(task)
    mariadb.execute(f"DELETE FROM {table('job')} WHERE id_array_job=%s", DATABASE, [array])
    assert counted is not None
    assert counted.states == {"running": 1, "completed": 2, "pending": 7}
    assert not counted.cut
    assert await reader.tasks_of(run) is None
