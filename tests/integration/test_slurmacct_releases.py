"""The same history in the tables of every release gives the same answers, through the source itself."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import pytest

from aggregator.model.accounting import JobState, Run
from aggregator.model.jobid import JobId
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from aggregator.sources.slurmacct.features import FEATURES, features_of
from aggregator.sources.slurmacct.schema import discover
from tests.accounts import join_part
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import features_by_release, schemas
from tests.slurmacct_history import (
    CLUSTER,
    FEDERATED,
    JOBS,
    NOBODY,
    NOW,
    SCRIPT,
    SLUID_CLUSTERS,
    job_id,
    load_history,
    run_id,
)

pytestmark = pytest.mark.mariadb

RELEASES = sorted(schemas())
OLDEST, USER, PASSWORD = RELEASES[0], "compatibility", "only for tests"
# Never shown: the origin's sibling in a federation, and what a purge is about to remove.
HIDDEN = {"revoked", "purged"}
ASKED = (
    *(JobId(job_id(name)) for name in JOBS),
    JobId(100, array_task=0), JobId(200, het_offset=1), JobId(FEDERATED, array_task=7), JobId(900), JobId(999_999),
)  # fmt: skip


def database_of(release: str) -> str:
    return "history_" + release.replace(".", "_")


@pytest.fixture(scope="module")
def histories(mariadb: MariaDB) -> MariaDB:
    for release in RELEASES:
        load_history(mariadb, database_of(release), release)
    mariadb.create_user(USER, PASSWORD, [f"SELECT ON `{database_of(release)}`.*" for release in RELEASES])
    return mariadb


@pytest.fixture
async def open_source(histories: MariaDB) -> AsyncIterator[Any]:
    opened: list[Database] = []

    def open_one(release: str) -> SlurmAcct:
        database = Database(connection(histories, release))
        opened.append(database)
        return SlurmAcct(CLUSTER, database, "key", 3600.0)

    yield open_one
    for database in opened:
        await database.close()


def connection(mariadb: MariaDB, release: str) -> Connection:
    return Connection(key="key", host="127.0.0.1", port=mariadb.port, user=USER, password=lambda: PASSWORD,
                      database=database_of(release))  # fmt: skip


def by_name(release: str, runs: Iterable[Run]) -> dict[str, Run]:
    """Name the runs, and leave out the one value in which releases differ: the run's id."""
    names = {run_id(release, name): name for name in JOBS}
    return {names[run.run_id]: replace(run, run_id=0) for run in runs}


async def answers(source: SlurmAcct, release: str) -> dict[str, Any]:
    accounting = await source.fetch(NOW)
    tables = join_part(accounting.associations)
    return {
        "runs": by_name(release, accounting.runs),
        "accounts": set(tables["account_tree"].select("account", "parent", "organization").iter_rows()),
        "members": set(tables["user_associations"].select("user", "account").iter_rows()),
        "ended": by_name(release, await source.ended_since(NOW - 86_400)),
        "asked": {asked: by_name(release, await source.runs_of(asked)) for asked in ASKED},
        "order": {asked: [run.submit for run in await source.runs_of(asked)] for asked in ASKED},
    }


@pytest.mark.parametrize("release", RELEASES[1:])
async def test_every_release_answers_as_the_oldest_does(open_source: Any, release: str) -> None:
    expected = await answers(open_source(OLDEST), OLDEST)
    found = await answers(open_source(release), release)
    for question, answer in expected.items():
        assert found[question] == answer, question


every_release = pytest.mark.parametrize("release", RELEASES)


@every_release
async def test_the_whole_history_is_shown_and_nothing_else(open_source: Any, release: str) -> None:
    runs = by_name(release, (await open_source(release).fetch(NOW)).runs)
    assert set(runs) == set(JOBS) - HIDDEN - {"ended_long_ago", "runaway_fixed"}


@every_release
async def test_a_run_id_is_slurmdbds_to_the_last_bit(open_source: Any, release: str) -> None:
    found = {run.run_id for run in (await open_source(release).fetch(NOW)).runs}
    assert run_id(release, "running") in found
    if release in SLUID_CLUSTERS:
        assert all(found_id > 2**52 for found_id in found)
        assert max(found) >> 52 == SLUID_CLUSTERS[release]
        assert (max(found) >= 2**63) == (release >= "25.11")


@every_release
async def test_states_are_read_by_slurms_numbers(open_source: Any, release: str) -> None:
    runs = by_name(release, (await open_source(release).fetch(NOW)).runs)
    for state in JobState:
        name = state.name.lower()
        if name in runs:
            assert runs[name].state is state, name
    assert runs["requeued"].state is JobState.REQUEUED
    assert runs["resized"].state is JobState.RESIZING


@every_release
async def test_what_is_not_known_is_none(open_source: Any, release: str) -> None:
    runs = by_name(release, (await open_source(release).fetch(NOW)).runs)
    assert (runs["pending"].nodes, runs["held"].nodes) == ((), ())
    assert (runs["pending"].start, runs["running"].end) == (None, None)
    assert (runs["held"].eligible, runs["array_rest"].eligible) == (None, None)
    assert (runs["pending"].time_limit_seconds, runs["held"].time_limit_seconds) == (None, None)
    assert (runs["cancelled_pending"].start, runs["cancelled_pending"].end) == (None, NOW - 60)


@every_release
async def test_owners_come_from_whatever_association_there_is(open_source: Any, release: str) -> None:
    runs = by_name(release, (await open_source(release).fetch(NOW)).runs)
    owners = {name: (runs[name].user, runs[name].account) for name in runs}
    assert owners["running"] == owners["partition_association"] == ("alice", "def-kim")
    assert owners["no_association"] == (str(NOBODY), "def-kim")
    assert owners["vanished_association"] == (str(NOBODY), "def-was")
    assert owners["deleted_association"] == ("erin", "def-gone")
    assert owners["account_of_the_association"] == ("bob", "def-kim-sub")


@every_release
async def test_the_account_tree_needs_neither_lft_nor_lineage(open_source: Any, release: str) -> None:
    accounting = await open_source(release).fetch(NOW)
    frames = join_part(accounting.associations)
    assert set(frames["account_tree"].select("account", "parent", "organization").iter_rows()) == {
        ("root", "", "root"),
        ("def-kim", "root", "physics"),
        ("def-kim-sub", "def-kim", "physics"),
        ("def_kim", "root", ""),
    }
    assert set(frames["user_associations"].select("user", "account").iter_rows()) == {
        ("root", "root"), ("alice", "def-kim"), ("bob", "def-kim-sub"),
    }  # fmt: skip


@every_release
async def test_allocations_times_and_names_are_read(open_source: Any, release: str) -> None:
    runs = by_name(release, (await open_source(release).fetch(NOW)).runs)
    assert (runs["running"].allocated.cpus, runs["running"].allocated.memory_bytes) == (4, 8000 * 2**20)
    assert runs["running"].nodes == ("node01", "node02")
    assert runs["partition_association"].allocated.gpus == {"a100": 3, "": 1}
    assert runs["partition_association"].nodes == ("gpu1", "gpu010", "gpu011")
    assert (runs["suspended"].elapsed(NOW), runs["resumed"].elapsed(NOW)) == (3000 - 500, 3000 - 700)
    assert (runs["latin1_name"].name, runs["hostile_name"].name) == ("café", 'a "b" \\ {c}\n\U0001f680')
    assert runs["array_rest"].pending_tasks == 3


@every_release
async def test_ids_are_shown_as_sacct_shows_them(open_source: Any, release: str) -> None:
    """In a federation the top six bits say the origin; Slurm's commands print and take the whole number."""
    runs = by_name(release, (await open_source(release).fetch(NOW)).runs)
    shown = {name: runs[name].display_id for name in runs}
    assert (shown["array_rest"], shown["array_task"], shown["old_array_task"]) == ("100_[…]", "100_0", "102")
    assert (shown["het_leader"], shown["het_component"]) == ("200+0", "200+1")
    assert (shown["federated"], shown["federated_task"]) == ("201327092", "201327092_7")


@every_release
async def test_a_job_id_finds_its_runs(open_source: Any, release: str) -> None:
    source = open_source(release)
    await source.fetch(NOW)

    async def named(asked: JobId) -> list[str]:
        return list(by_name(release, await source.runs_of(asked)))

    assert await named(JobId(300)) == ["requeued", "requeued_again"]
    assert await named(JobId(310)) == ["resized", "resized_to"]
    assert set(await named(JobId(100))) == {"array_rest", "array_task"}
    assert set(await named(JobId(200))) == {"het_leader", "het_component"}
    assert await named(JobId(FEDERATED, array_task=7)) == ["federated_task"]
    assert await named(JobId(job_id("runaway_fixed"))) == ["runaway_fixed"]
    assert await named(JobId(job_id("ended_long_ago"))) == ["ended_long_ago"]
    assert await named(JobId(job_id("revoked"))) == []
    assert await named(JobId(900)) == [], "a purge removes it"


@every_release
async def test_scripts_are_given_by_the_releases_that_keep_them(open_source: Any, release: str) -> None:
    """21.08 has them in the job's row, later releases in a table; 20.11 and the settings' default have none."""
    source = open_source(release)
    runs = {run.job_id: run for run in (await source.fetch(NOW)).runs}
    scripts = {name: await source.script_of(runs[job_id(name)])
               for name in ("with_script", "script_not_yet", "without_script", "script_purged")}  # fmt: skip
    assert scripts["with_script"].content == (None if release == OLDEST else SCRIPT)
    for name in ("script_not_yet", "without_script", "script_purged"):
        assert scripts[name].content is None
        assert scripts[name].missing, "and it says why"


@every_release
async def test_features_are_those_that_the_release_has(open_source: Any, release: str) -> None:
    source = open_source(release)
    assert source.features == {}, "nothing is known before the schema was read"
    await source.fetch(NOW)
    assert source.features == {**features_by_release()[release], "gpus": True}


async def test_a_table_that_is_not_granted_is_a_feature_that_is_absent(histories: MariaDB) -> None:
    name = database_of("26.05")
    optional = {"job_script", "step", "event", "qos_usage_hour", "job_env"}
    granted = [table.replace("<cluster>", CLUSTER) for table in schemas()["26.05"]
               if table.removeprefix("<cluster>_").removesuffix("_table") not in optional]  # fmt: skip
    histories.create_user("few_grants", PASSWORD, [f"SELECT ON `{name}`.`{table}`" for table in granted])
    database = Database(replace(connection(histories, "26.05"), user="few_grants"))
    source = SlurmAcct(CLUSTER, database, "key", 3600.0)
    runs = by_name("26.05", (await source.fetch(NOW)).runs)
    script = await source.script_of(next(iter((await source.fetch(NOW)).runs)))
    features = source.features
    await database.close()
    assert len(runs) == len(JOBS) - 3
    assert script.content is None
    absent = {feature for feature in FEATURES if not features[feature]}
    assert absent == {"scripts", "steps", "node_events", "qos_usage"}


async def test_the_table_of_secrets_is_not_looked_at(histories: MariaDB) -> None:
    database = Database(connection(histories, "26.05"))
    schema = await discover(database, CLUSTER, "key")
    await database.close()
    assert "job_env" not in schema.columns
    assert features_of(schema)["scripts"]
