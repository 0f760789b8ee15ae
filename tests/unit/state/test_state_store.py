"""What holds on every database."""

import asyncio

import pytest

from aggregator.config import State
from aggregator.state import StateStore
from tests.unit.state.builders import USE, ended, known, make_job

HUGE_IDS = [2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
HOSTILE = ["'; DROP TABLE job_summary; --", "\"\\'%s%(x)s:x?", "é😀\u202e", "a\0b", "\ud800", "x" * 5000, "", " a "]


async def test_saved_summaries_are_read(store: StateStore) -> None:
    other = {"used_cpus": 1.0}
    await store.save_summaries("narval", ended(make_job(1), make_job(2, use=other)))

    assert known(await store.summaries("narval", [1, 2, 3])) == {1: USE, 2: other}


async def test_saving_again_replaces(store: StateStore) -> None:
    await store.save_summaries("narval", ended(make_job(1)))
    await store.save_summaries("narval", ended(make_job(1)))
    await store.save_summaries(
        "narval", ended(make_job(1, use={"used_cpus": 9.0}), make_job(1, use={"used_cpus": 8.0}))
    )

    assert known(await store.summaries("narval", {1})) == {1: {"used_cpus": 8.0}}
    assert await store.prune(100.0, 0.0, 0.0) == 1


async def test_saving_nothing_does_nothing(store: StateStore) -> None:
    await store.save_summaries("narval", ended())

    assert known(await store.summaries("narval", [])) == {}


async def test_run_ids_of_64_bits_are_exact(store: StateStore) -> None:
    uses = {run_id: {"used_cpus": float(number)} for number, run_id in enumerate(HUGE_IDS)}
    await store.save_summaries("narval", ended(*(make_job(run_id, use) for run_id, use in uses.items())))

    assert known(await store.summaries("narval", [*HUGE_IDS, 2**53, 2**64 - 3])) == uses


async def test_largest_job_id_is_stored(store: StateStore) -> None:
    await store.save_summaries("narval", ended(make_job(1, job_id=2**32 - 1)))

    assert set(known(await store.summaries("narval", [1]))) == {1}


async def test_clusters_are_apart(store: StateStore) -> None:
    await store.save_summaries("narval", ended(make_job(1)))
    await store.save_summaries("Narval", ended(make_job(1, use={"used_cpus": 5.0})))

    assert known(await store.summaries("narval", [1])) == {1: USE}
    assert known(await store.summaries("Narval", [1])) == {1: {"used_cpus": 5.0}}
    assert known(await store.summaries("beluga", [1])) == {}


async def test_prune_keeps_what_ended_at_the_boundary(store: StateStore) -> None:
    await store.save_summaries(
        "narval",
        ended(make_job(1, end=99.999), make_job(2, end=100.0), make_job(3, end=1.7e9 + 0.25)),
    )

    assert await store.prune(100.0, 0.0, 0.0) == 1
    assert set(known(await store.summaries("narval", [1, 2, 3]))) == {2, 3}
    assert await store.prune(1.7e9 + 0.25, 0.0, 0.0) == 1
    assert await store.prune(1.7e9 + 0.25, 0.0, 0.0) == 0


async def test_many_runs_are_saved_and_read_at_once(store: StateStore) -> None:
    await store.save_summaries("narval", ended(*(make_job(run_id) for run_id in range(3000))))

    assert len(await store.summaries("narval", range(5000))) == 3000


async def test_reopening_keeps_data(state: State) -> None:
    for run_id in (1, 2):
        store = StateStore(state)
        await store.open()
        await store.save_summaries("narval", ended(make_job(run_id)))
        await store.close()
        await store.close()

    assert set(known(await store.summaries("narval", [1, 2]))) == {1, 2}
    await store.close()


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_do_no_harm(store: StateStore, name: str) -> None:
    # A frame holds no lone surrogates.
    text = name.encode(errors="replace").decode()
    await store.save_summaries(name, ended(make_job(1, user=text, account=text), make_job(2)))

    assert set(known(await store.summaries(name, [1, 2, 3]))) == {1, 2}


async def test_two_stores_save_at_the_same_time(state: State) -> None:
    """Two replicas start and write the same runs."""
    stores = [StateStore(state), StateStore(state)]
    await asyncio.gather(*(store.open() for store in stores))
    jobs = [make_job(run_id) for run_id in range(200)]
    saves = [store.save_summaries("narval", ended(*jobs[:: 1 - 2 * (i % 2)])) for i in range(10) for store in stores]
    await asyncio.gather(*saves)

    assert len(await stores[0].summaries("narval", range(200))) == 200
    await asyncio.gather(*(store.close() for store in stores))
