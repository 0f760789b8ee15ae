"""How the server carries out each statement that is sent to slurmacct, for each set of indexes that a release has."""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from aggregator.model.calendar import RESOLUTIONS
from aggregator.sources.slurmacct import (
    associations,
    details,
    events,
    history,
    statements,
    steps,
    usage_statements,
    users,
)
from aggregator.sources.slurmacct.schema import Schema
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import columns_of, create_tables, schemas

pytestmark = pytest.mark.mariadb

DATABASE, CLUSTER, NOW = "plans_db", "narval-2", 1_700_000_000
JOBS, NODES = 50_000, 500
MODULES = (statements, associations, details, steps, events, history, usage_statements, users)
# Tables of some thousand rows at most, which are read whole every few minutes.
SMALL = ("assoc_table", "qos_table", "tres_table", "acct_table", "acct_coord_table", "last_ran_table", "resv_table")
# What one job, array or submission may have is sorted; nothing else is.
MOST_SORTED = 1000
RUN, WINDOW = JOBS, (NOW - 7200, NOW + 1)
Plan = list[tuple[Any, ...]]


def indexes_of(release: str) -> str:
    """Describe all that a plan can depend on: the keys of the tables that are read."""
    read = columns_of(release, CLUSTER).columns.keys() - {"job_env", "txn", "wckey", "clus_res", "res"}
    tables = ((name, schemas()[release].get(f"<cluster>_{name}_table")) for name in sorted(read))
    return repr([(name, table["primary"], table["unique"], table["indexes"]) for name, table in tables if table])


def distinct() -> dict[str, list[str]]:
    """First release → the releases that have the same indexes."""
    groups: dict[str, list[str]] = {}
    for release in sorted(schemas()):
        groups.setdefault(indexes_of(release), []).append(release)
    return {releases[0]: releases for releases in groups.values()}


def table(name: str) -> str:
    return f"`{CLUSTER}_{name}_table`"


def fill(mariadb: MariaDB, release: str) -> None:
    """Fill the large tables; a purge has marked nothing, so that an index on `deleted` tells nothing apart."""
    create_tables(mariadb, DATABASE, release, CLUSTER)
    for sql in (
        f"""INSERT INTO {table("job")} (job_db_inx, account, job_name, id_assoc, id_job, id_user, id_resv, state,
          het_job_offset, nodelist, `partition`, timelimit, time_submit, time_eligible, time_start, time_end,
          tres_alloc, tres_req, id_array_job, het_job_id) SELECT seq, 'def', 'x', 1 + seq % 50, seq, 1000 + seq % 50,
          seq % 100, 3, 4294967294, 'n0001', 'cpu', 60, {NOW} - 40*({JOBS} - seq) - 900,
          {NOW} - 40*({JOBS} - seq) - 800, {NOW} - 40*({JOBS} - seq) - 700, IF(seq % 100, {NOW} - 40*({JOBS} - seq), 0),
          '1=4', '1=4', IF(seq % 10, 0, seq), IF(seq % 10 = 1, seq, 0) FROM seq_1_to_{JOBS}""",
        f"""INSERT INTO {table("step")} (job_db_inx, id_step, step_name, state, time_start, time_end, nodelist)
        SELECT seq DIV 2, IF(seq % 2, -5, -4), 'x', 3, 1, 2, 'n0001' FROM seq_1_to_{JOBS}""",
        f"""INSERT INTO {table("event")} (node_name, time_start, time_end, state, reason, cluster_nodes, tres)
        SELECT CONCAT('n', LPAD(seq % {NODES}, 4, '0')), {NOW} - 400*({JOBS} - seq) - 300, {NOW} - 400*({JOBS} - seq),
          1, 'disk', '', '' FROM seq_1_to_{JOBS}""",
        f"""INSERT INTO {table("resv")} (id_resv, resv_name, time_start, time_end, assoclist, nodelist, node_inx, tres)
        SELECT 10 + seq DIV 2, 'old', 1000*seq, 1000*seq + 500, '', '', '', '' FROM seq_1_to_{JOBS // 5}""",
        *usage_rows(release),
    ):
        mariadb.execute(sql, DATABASE)
    for name in ("job", "step", "event", "resv", "assoc_usage_hour", "usage_hour"):
        mariadb.execute(f"ANALYZE TABLE {table(name)}", DATABASE)


def usage_rows(release: str) -> Iterator[str]:
    """Write some weeks by the hour, of 50 associations and two TRES."""
    hours = f"{NOW} - {NOW} % 3600 - 3600*(seq DIV 100)"
    kinds = ["assoc_usage", *(["qos_usage"] if columns_of(release, CLUSTER).columns.get("qos_usage_hour") else [])]
    for kind in kinds:
        for resolution in RESOLUTIONS:
            yield (
                f"INSERT INTO {table(f'{kind}_{resolution}')} (creation_time, id, id_tres, time_start, alloc_secs)"
                f" SELECT 1, 1 + seq % 50, 1 + seq DIV 50 % 2, {hours}, 1 FROM seq_1_to_{JOBS}"
            )
    for resolution in RESOLUTIONS:
        yield (
            f"INSERT INTO {table(f'usage_{resolution}')} (creation_time, id_tres, time_start, count, alloc_secs)"
            f" SELECT 1, 1 + seq % 2, {NOW} - {NOW} % 3600 - 3600*(seq DIV 2), 1, 1 FROM seq_1_to_{JOBS // 5}"
        )


# Function → [(further arguments, parameters of the statement)].
CASES: dict[Callable[..., str | None], list[tuple[tuple[Any, ...], tuple[object, ...]]]] = {
    statements.open_blocks: [((), ())],
    statements.open_keys: [((), ()), ((1,), (7,)),
                           ((statements.MAX_BLOCKS,), (*range(statements.MAX_BLOCKS),))],
    statements.ended_keys: [((), statements.after(NOW - 720, 0, 0, NOW + 86_400))],
    statements.ended_runs: [((), statements.after(NOW - 720, 0, 0, NOW + 86_400)),
                            ((), statements.after(1, 0, 0, NOW + 86_400))],
    statements.newest: [((), (NOW,))],
    statements.written_after: [((), (JOBS - 10, NOW - 400, NOW))],
    statements.runs_of_keys: [((count,), (*range(1000, 1000 + count),)) for count in (1, 100, statements.CHUNK_RUNS)],
    statements.runs_since: [((count,), (*range(1000, 1000 + count), NOW - 40 * JOBS)) for count in (1, 100, 500)],
    statements.runs_of_id: [((), (4711, 4711, 4711))],
    statements.runs_of_array_task: [((), (4710, 1))],
    statements.runs_of_component: [((), (4711, 0))],
    statements.script: [((), (100, RUN))],
    details.own_line: [((), (100, RUN))],
    details.user_lines: [((), (100, 1005, 1000, 1005, NOW - 7200, NOW, 1000))],
    details.array_tasks: [((), (4710, 10_000))],
    steps.steps: [((), (RUN // 4, 1000))],
    steps.facts: [((), (RUN,))],
    events.events: [((2,), ("n0001", NOW, NOW - 7200, 100, "n0002", NOW, NOW - 7200, 100))],
    events.registered_nodes: [((), ())],
    events.reservation: [((), (RUN - 1,))],
    history.array_runs: [((), (4710, *WINDOW, 10_000))],
    history.uids_of_associations: [((2,), (7, 8, 7, 8))],
    users.newest_associations: [((3,), (1005, 1005, 1006, 1006, 999_999, 999_999))],
    usage_statements.boundaries: [((), ())],
    usage_statements.first: [((resolution,), ()) for resolution in RESOLUTIONS],
    usage_statements.series: [(("hour", 3, 2), (1, 2, 3, 1, 2, *WINDOW)), (("day", 3, 2), (1, 2, 3, 1, 2, *WINDOW))],
    usage_statements.totals: [(("month", 3, 2), (1, 2, 3, 1, 2, *WINDOW))],
    usage_statements.decayed: [
        ((resolution, 3, 2), (NOW, 1e-6, 1, 2, 3, 1, 2, *WINDOW)) for resolution in ("hour", "day")
    ],
    usage_statements.cluster_series: [(("hour", 2), (1, 2, *WINDOW))],
}  # fmt: skip
# Read whole: they are of small tables (a reservation has a row for each time it was changed).
WHOLE = (associations.associations, associations.qos, usage_statements.last_ran, events.reservations)
# Plans of its own, by user and place: tests/integration/test_slurmacct_history.py.
ELSEWHERE = (history.ended_chunk, history.runs_of_name)


def makers(module: ModuleType) -> Iterator[Callable[..., str | None]]:
    """List the public functions of a module that write a statement for a schema."""
    for name, member in inspect.getmembers(module, inspect.isfunction):
        is_own = member.__module__ == module.__name__ and not name.startswith("_")
        if is_own and next(iter(inspect.signature(member).parameters), "") == "schema":
            yield member


def test_the_releases_that_are_looked_at_have_every_set_of_indexes() -> None:
    assert list(distinct()) == ["20.11", "22.05", "23.02", "23.11", "24.11", "25.05", "26.05"]
    assert sorted(release for releases in distinct().values() for release in releases) == sorted(schemas())


def test_every_statement_is_looked_at() -> None:
    found = {maker for module in MODULES for maker in makers(module)}
    assert found - {statements.run_columns, statements.packed_columns} == {*CASES, *WHOLE, *ELSEWHERE}


@pytest.fixture(scope="module", params=list(distinct()))
def schema(request: pytest.FixtureRequest, mariadb: MariaDB) -> Iterator[Schema]:
    fill(mariadb, request.param)
    yield columns_of(request.param, CLUSTER)
    mariadb.execute(f"DROP DATABASE `{DATABASE}`")


def plans(mariadb: MariaDB, schema: Schema, make: Callable[..., str | None]) -> Iterator[tuple[str, Plan]]:
    """Explain each case of a statement that the release has."""
    for arguments, parameters in CASES[make]:
        sql = make(schema, *arguments)
        if sql is not None:
            yield sql, mariadb.execute(f"EXPLAIN {sql}", DATABASE, list(parameters))


def is_offered(schema: Schema, make: Callable[..., str | None]) -> bool:
    """Tell whether the reader sends it to this release."""
    return make not in (details.own_line, details.user_lines) or schema.has("job", "submit_line")


@pytest.mark.parametrize("make", CASES, ids=lambda make: f"{make.__module__.rpartition('.')[2]}.{make.__name__}")
def test_no_statement_scans_a_table_sorts_one_or_merges_indexes(
    mariadb: MariaDB, schema: Schema, make: Callable[..., str | None]
) -> None:
    for sql, plan in plans(mariadb, schema, make) if is_offered(schema, make) else ():
        for _, _, name, access, _, key, _, _, rows, extra in plan:
            # What is derived has been read by the rows below; a place in an index needs no table.
            if name is None or str(name).startswith("<"):
                continue
            assert access in ("ref", "range", "const", "eq_ref"), (sql, plan)
            assert key is not None, (sql, plan)
            assert key != "archive_delete", (sql, plan)
            assert "filesort" not in str(extra) or int(rows) <= MOST_SORTED, (sql, plan)


def test_no_row_is_read_of_a_block_that_does_not_differ(mariadb: MariaDB, schema: Schema) -> None:
    """The index has key and time_end; only rows of the blocks are looked at, and examined, beyond it."""
    for count in (1, statements.MAX_BLOCKS):
        ((*_, extra),) = mariadb.execute(f"EXPLAIN {statements.open_keys(schema, count)}", DATABASE, list(range(count)))
        assert "Using index condition" in extra


def test_no_statement_names_the_table_of_secrets(schema: Schema) -> None:
    for make, cases in CASES.items():
        for arguments, _ in cases:
            assert "_env" not in (make(schema, *arguments) or "")
    for make in WHOLE:
        assert any(name in make(schema) for name in SMALL)
