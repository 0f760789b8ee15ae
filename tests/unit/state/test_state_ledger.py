"""The ledger's tables, on SQLite and on a real MariaDB: every window once, whoever adds it."""

import asyncio
from dataclasses import fields, replace
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import insert

from aggregator.config import State
from aggregator.ledger.totals import no_totals
from aggregator.model.ledger import NODE_TOTALS, RUN_COSTS, RUN_TOTALS, USER_COSTS, USER_TOTALS, LedgerTotals
from aggregator.model.readings import Frame
from aggregator.state import StateError, StateStore
from aggregator.state.tables import LEDGER_NODE, LEDGER_POSITION, LEDGER_RUN, LEDGER_USER

HOUR = 3600.0
# What the first edition wrote of a run, a user and a node.
RUN_TEXT = (
    '{"since":940.0,"until":1000.0,"power_seconds":60.0,"host_joules":{"two_part":1.5,"usage":0.1,"allocation":2.0},'
    '"gpu_joules":0.3,"gpu_seconds":120.0,"gpu_used_seconds":1e-9,"gpu_idle_seconds":60.0,'
    '"gpu_partly_idle_seconds":0.0,"gpu_unseen_seconds":0.0,"gpu_partly_unseen_seconds":0.0,'
    '"meters":{"redfish":60.0},"co2_grams":0.1,"cost":[["electricity","CAD",0.2],["hardware","CAD",1.0]]}'
)
USER_TEXT = '{"until":1000.0,"joules":2.5,"co2_grams":null,"cost":[["electricity","CAD",0.25]]}'
NODE_TEXT = (
    '{"until":1000.0,"joules":{"jobs":1.0,"idle":2.0,"unattributed":0.0},"power_seconds":60.0,'
    '"fallback_seconds":0.0,"meter":"rapl"}'
)


def make(kind: Frame, *rows: dict[str, Any]) -> pl.DataFrame:
    """Make a frame of totals; numbers that are never null are 0 unless they are said."""
    zeros = {column.name: 0.0 for column in kind.columns if column.dtype == pl.Float64 and not column.null}
    return pl.DataFrame([{**zeros, **row} for row in rows], schema=kind.schema)


def run(run_id: int, until: float = 1000.0) -> dict[str, Any]:
    return {
        "run_id": run_id, "since": 940.0, "until": until, "power_seconds": 60.0, "two_part_joules": 1.5,
        "usage_joules": 0.1, "allocation_joules": 2.0, "gpu_joules": 0.3, "gpu_seconds": 120.0,
        "gpu_used_seconds": 1e-9, "gpu_idle_seconds": 60.0, "redfish_seconds": 60.0, "co2_grams": 0.1,
    }  # fmt: skip


COST = {"currency": "CAD", "electricity_cost": 0.2, "hardware_cost": 1.0}
LEDGER = LedgerTotals(
    1000.0,
    make(RUN_TOTALS, run(7, until=990.0), run(2**64 - 1)),
    make(RUN_COSTS, {"run_id": 7, **COST}, {"run_id": 2**64 - 1, **COST}),
    make(
        USER_TOTALS,
        {"user": "alice", "account": "def-kim", "until": 1000.0, "joules": 2.5},
        {"user": "böb", "account": "def", "until": 1000.0},
    ),
    make(USER_COSTS, {"user": "alice", "account": "def-kim", "currency": "CAD", "electricity_cost": 0.25}),
    make(NODE_TOTALS, {"node": "n1", "until": 1000.0, "jobs_joules": 1.0, "idle_joules": 2.0, "power_seconds": 60.0,
                       "meter": "rapl"}),
)  # fmt: skip


def later(ledger: LedgerTotals, end: float) -> LedgerTotals:
    """Move a ledger on: its runs and users gain something in the new window."""
    runs, users = (frame.with_columns(until=pl.lit(end)) for frame in (ledger.runs, ledger.users))
    return replace(ledger, window_end=end, runs=runs, users=users.with_columns(pl.col("joules").fill_null(0.0) + 1))


def assert_same(found: LedgerTotals | None, expected: LedgerTotals) -> None:
    assert found is not None
    assert found.window_end == expected.window_end
    for each in fields(LedgerTotals)[1:]:
        assert_frame_equal(
            getattr(found, each.name), getattr(expected, each.name), check_row_order=False, abs_tol=0, rel_tol=0
        )


async def test_a_new_state_has_no_ledger(store: StateStore) -> None:
    assert await store.ledger.load("narval", HOUR) is None


async def test_what_is_saved_is_read_back_to_the_last_bit(store: StateStore) -> None:
    assert await store.ledger.save("narval", LEDGER, None)

    assert_same(await store.ledger.load("narval", HOUR), LEDGER)


async def test_names_that_no_database_can_hold_stop_nothing(store: StateStore) -> None:
    hostile = [
        {"user": "a\0%s'é😀", "account": "x" * 300, "until": 1000.0},
        {"user": ":user ?", "account": "$1", "until": 1000.0},
    ]
    assert await store.ledger.save("narval", replace(LEDGER, users=make(USER_TOTALS, *hostile)), None)

    loaded = await store.ledger.load("narval", HOUR)
    assert loaded is not None
    assert set(loaded.users.select("user", "account").rows()) == {("a?%s'é😀", "x" * 255), (":user ?", "$1")}


async def test_what_the_first_edition_wrote_is_read_and_goes_on(store: StateStore) -> None:
    key = {"cluster": "narval", "until": 1000.0}
    async with store.ledger._database.transaction() as connection:
        await connection.execute(insert(LEDGER_POSITION).values(cluster="narval", window_end=1000.0))
        await connection.execute(insert(LEDGER_RUN).values(run_id=2**64 - 1, totals=RUN_TEXT, **key))
        await connection.execute(insert(LEDGER_USER).values(user="alice", account="def-kim", totals=USER_TEXT, **key))
        await connection.execute(insert(LEDGER_NODE).values(node="n1", totals=NODE_TEXT, **key))
    written = replace(LEDGER, runs=LEDGER.runs[1:], run_costs=LEDGER.run_costs[1:], users=LEDGER.users[:1])

    assert_same(await store.ledger.load("narval", HOUR), written)
    assert await store.ledger.save("narval", later(written, 1060.0), 1000.0)
    assert_same(await store.ledger.load("narval", HOUR), later(written, 1060.0))


async def test_clusters_have_ledgers_of_their_own(store: StateStore) -> None:
    await store.ledger.save("narval", LEDGER, None)

    assert await store.ledger.load("Narval", HOUR) is None


async def test_the_same_window_is_added_once(store: StateStore) -> None:
    """Two replicas compute the same; the second finds the ledger moved and must load it."""
    after = later(LEDGER, 1060.0)
    await store.ledger.save("narval", LEDGER, None)

    assert await store.ledger.save("narval", after, 1000.0)
    assert not await store.ledger.save("narval", later(LEDGER, 1060.0), 1000.0)
    assert not await store.ledger.save("narval", LEDGER, None)
    assert_same(await store.ledger.load("narval", HOUR), after)


async def test_of_two_replicas_at_the_same_moment_one_wins(state: State) -> None:
    one, other = StateStore(state), StateStore(state)
    await one.open()
    results = await asyncio.gather(
        one.ledger.save("narval", LEDGER, None), other.ledger.save("narval", later(LEDGER, 1060.0), None)
    )
    loaded = await one.ledger.load("narval", HOUR)
    await one.close()
    await other.close()

    assert sorted(results) == [False, True]
    assert loaded is not None
    assert_same(loaded, LEDGER if loaded.window_end == 1000.0 else later(LEDGER, 1060.0))


async def test_only_runs_of_late_are_loaded_and_all_are_found_by_id(store: StateStore) -> None:
    await store.ledger.save("narval", LEDGER, None)
    newer = replace(no_totals(5000.0), runs=make(RUN_TOTALS, run(1, until=5000.0)))
    await store.ledger.save("narval", newer, 1000.0)
    loaded = await store.ledger.load("narval", HOUR)

    assert loaded is not None
    assert set(loaded.runs["run_id"]) == {1}
    found = await store.ledger.runs("narval", [2**64 - 1, 404])
    assert_frame_equal(found.runs, LEDGER.runs[1:])
    assert_frame_equal(found.run_costs, LEDGER.run_costs[1:])


async def test_no_runs_are_asked_for_without_ids(store: StateStore) -> None:
    assert (await store.ledger.runs("narval", [])).runs.is_empty()


async def test_pruning_takes_old_runs_and_leaves_the_counters(store: StateStore) -> None:
    await store.ledger.save("narval", LEDGER, None)
    await store.prune(995.0, 0.0, 0.0)
    loaded = await store.ledger.load("narval", HOUR)

    assert loaded is not None
    assert set(loaded.runs["run_id"]) == {2**64 - 1}
    assert_same(replace(loaded, runs=LEDGER.runs, run_costs=LEDGER.run_costs), LEDGER)


async def test_totals_of_another_version_are_read_as_far_as_they_are_known(sqlite_store: StateStore) -> None:
    await sqlite_store.ledger.save("narval", no_totals(1000.0), None)
    row = {"cluster": "narval", "run_id": 3, "until": 1000.0}
    async with sqlite_store.ledger._database.transaction() as connection:
        await connection.execute(insert(LEDGER_RUN).values(totals='{"since":1,"until":2,"moons":3}', **row))

    found = (await sqlite_store.ledger.runs("narval", [3])).runs
    assert_frame_equal(found, make(RUN_TOTALS, {"run_id": 3, "since": 1.0, "until": 2.0}))


@pytest.mark.parametrize("text", ["", "[]", '{"since":1}', '{"since":1,"until":2,"cost":3}'])
async def test_totals_that_cannot_be_read_are_an_error_that_names_the_run(sqlite_store: StateStore, text: str) -> None:
    """A ledger that silently began anew would make counters go back."""
    await sqlite_store.ledger.save("narval", no_totals(1000.0), None)
    async with sqlite_store.ledger._database.transaction() as connection:
        await connection.execute(insert(LEDGER_RUN).values(cluster="narval", run_id=3, until=1000.0, totals=text))

    with pytest.raises(StateError, match="ledger of narval: run 3: "):
        await sqlite_store.ledger.load("narval", HOUR)
