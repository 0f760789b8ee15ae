"""The ledger's tables, on SQLite and on a real MariaDB: every window once, whoever adds it."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import insert

from aggregator.config import State
from aggregator.model.energy import Ledger, NodeTotals, RunLedger, Totals
from aggregator.state import StateError, StateStore
from aggregator.state.tables import LEDGER_RUN

HOUR = 3600.0
RUN = RunLedger(
    since=940.0, until=1000.0, power_seconds=60.0, host_joules={"two_part": 1.5, "usage": 0.1}, gpu_joules=0.3,
    gpu_seconds=120.0, gpu_used_seconds=1e-9, gpu_idle_seconds=60.0, co2_grams=0.1,
    cost={("electricity", "CAD"): 0.2, ("hardware", "CAD"): 1.0},
)  # fmt: skip
LEDGER = Ledger(
    1000.0,
    {2**64 - 1: RUN, 7: replace(RUN, until=990.0)},
    {("alice", "def-kim"): Totals(1000.0, 2.5, None, {("electricity", "CAD"): 0.25}), ("böb", "def"): Totals(1000.0)},
    {"n1": NodeTotals(1000.0, {"jobs": 1.0, "idle": 2.0, "unattributed": 0.0}, 60.0)},
)


def later(ledger: Ledger, end: float) -> Ledger:
    """Move a ledger on: its run, user and node gain something in the new window."""
    users = {key: replace(totals, until=end, joules=(totals.joules or 0) + 1) for key, totals in ledger.users.items()}
    return Ledger(end, {run_id: replace(run, until=end) for run_id, run in ledger.runs.items()}, users, ledger.nodes)


async def test_a_new_state_has_no_ledger(store: StateStore) -> None:
    assert await store.ledger.load("narval", HOUR) is None


async def test_what_is_saved_is_read_back_to_the_last_bit(store: StateStore) -> None:
    assert await store.ledger.save("narval", LEDGER, None)

    assert await store.ledger.load("narval", HOUR) == LEDGER


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
    assert await store.ledger.load("narval", HOUR) == after


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
    assert loaded in (LEDGER, later(LEDGER, 1060.0))


async def test_only_runs_of_late_are_loaded_and_all_are_found_by_id(store: StateStore) -> None:
    await store.ledger.save("narval", LEDGER, None)
    await store.ledger.save("narval", replace(LEDGER, window_end=5000.0, runs={1: replace(RUN, until=5000.0)}), 1000.0)
    loaded = await store.ledger.load("narval", HOUR)

    assert loaded is not None
    assert set(loaded.runs) == {1}
    assert await store.ledger.runs("narval", [2**64 - 1, 404]) == {2**64 - 1: RUN}


async def test_no_runs_are_asked_for_without_ids(store: StateStore) -> None:
    assert await store.ledger.runs("narval", []) == {}


async def test_pruning_takes_old_runs_and_leaves_the_counters(store: StateStore) -> None:
    await store.ledger.save("narval", LEDGER, None)
    await store.prune(995.0, 0.0)
    loaded = await store.ledger.load("narval", HOUR)

    assert loaded is not None
    assert (set(loaded.runs), loaded.users) == ({2**64 - 1}, LEDGER.users)


async def test_totals_of_another_version_are_read_as_far_as_they_are_known(sqlite_store: StateStore) -> None:
    await sqlite_store.ledger.save("narval", replace(LEDGER, runs={}), None)
    row = {"cluster": "narval", "run_id": 3, "until": 1000.0}
    async with sqlite_store.ledger._database.transaction() as connection:
        await connection.execute(insert(LEDGER_RUN).values(totals='{"since":1,"until":2,"moons":3}', **row))

    assert await sqlite_store.ledger.runs("narval", [3]) == {3: RunLedger(1, 2)}


@pytest.mark.parametrize("text", ["", "[]", '{"since":1}', '{"since":1,"until":2,"cost":3}'])
async def test_totals_that_cannot_be_read_are_an_error_that_names_the_run(sqlite_store: StateStore, text: str) -> None:
    """A ledger that silently began anew would make counters go back."""
    await sqlite_store.ledger.save("narval", replace(LEDGER, runs={}), None)
    async with sqlite_store.ledger._database.transaction() as connection:
        await connection.execute(insert(LEDGER_RUN).values(cluster="narval", run_id=3, until=1000.0, totals=text))

    with pytest.raises(StateError, match="ledger of narval: run 3: "):
        await sqlite_store.ledger.load("narval", HOUR)
