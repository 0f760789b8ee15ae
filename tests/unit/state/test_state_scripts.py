"""Job scripts in the state: each content once, idempotent, pruned."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from aggregator.config import State
from aggregator.model.script import ScriptRecord
from aggregator.state import StateError, StateStore
from aggregator.state.database import Database
from aggregator.state.tables import JOB_SCRIPT, SCRIPT
from tests.unit.state.builders import sqlite

NOW = 1.7e9
HOSTILE = b"#!/bin/sh\necho 'caf\xe9 \xf0\x9f\x90\x8d' \\ \x00 %s ` ;\n" + bytes(range(256))


def record(job_id: int = 7, written_at: float = NOW + 0.123456, sha256: str = "a" * 64) -> ScriptRecord:
    return ScriptRecord(job_id=job_id, written_at=written_at, sha256=sha256, size=900, truncated=True, redactions=2)


@pytest.fixture
async def database(state: State) -> AsyncIterator[Database]:
    database = Database(state)
    yield database
    await database.close()


async def count(database: Database) -> tuple[int, int]:
    """Count contents and jobs."""
    async with database.transaction() as connection:
        contents = await connection.scalar(select(func.count()).select_from(SCRIPT))
        jobs = await connection.scalar(select(func.count()).select_from(JOB_SCRIPT))
    return contents or 0, jobs or 0


async def test_a_script_comes_back_as_it_was(store: StateStore) -> None:
    assert await store.scripts.save("narval", [(record(), HOSTILE)], NOW) == {0}
    assert await store.scripts.of_job("narval", 7) == [record()]
    assert await store.scripts.content("a" * 64) == HOSTILE


async def test_what_is_not_there_is_not_found(store: StateStore) -> None:
    await store.scripts.save("narval", [(record(), b"x")], NOW)
    assert await store.scripts.of_job("beluga", 7) == []
    assert await store.scripts.of_job("narval", 8) == []
    assert await store.scripts.content("b" * 64) is None
    assert await store.scripts.save("narval", [], NOW) == frozenset()


async def test_hashes_are_told_of_several_jobs_at_once(store: StateStore) -> None:
    other = "b" * 64
    await store.scripts.save("narval", [(record(7), b"x"), (record(7, NOW + 9, other), b"y"), (record(8), b"x")], NOW)
    assert await store.scripts.hashes("narval", {7, 8, 9}) == {7: {"a" * 64, other}, 8: {"a" * 64}}
    assert await store.scripts.hashes("beluga", {7}) == {}


async def test_a_content_is_kept_once_however_many_jobs_have_it(store: StateStore, database: Database) -> None:
    await store.scripts.save("narval", [(record(job_id), b"x") for job_id in range(1, 1200)], NOW)
    assert await count(database) == (1, 1199)


async def test_the_same_again_changes_nothing_and_is_not_new(store: StateStore, database: Database) -> None:
    await store.scripts.save("narval", [(record(), b"x")], NOW)
    assert await store.scripts.save("narval", [(record(), b"x"), (record(8), b"x")], NOW + 5) == {1}
    assert await count(database) == (1, 2)


async def test_the_scripts_of_a_reused_id_are_listed_newest_first(store: StateStore) -> None:
    old, new = record(written_at=NOW), record(written_at=NOW + 9, sha256="b" * 64)
    await store.scripts.save("narval", [(old, b"old"), (new, b"new")], NOW)
    assert await store.scripts.of_job("narval", 7) == [new, old]


async def test_a_script_of_8_mib_that_does_not_compress_is_kept(store: StateStore) -> None:
    content = os.urandom(8 * 2**20)
    await store.scripts.save("narval", [(record(), content)], NOW)
    assert await store.scripts.content("a" * 64) == content


async def test_all_ids_of_slurm_fit(store: StateStore) -> None:
    await store.scripts.save("narval", [(record(2**32 - 1), b"x")], NOW)
    assert [kept.job_id for kept in await store.scripts.of_job("narval", 2**32 - 1)] == [2**32 - 1]


async def test_old_scripts_are_deleted_and_the_contents_that_nothing_refers_to(
    store: StateStore, database: Database
) -> None:
    shared, own = "a" * 64, "b" * 64
    await store.scripts.save("narval", [(record(1, sha256=shared), b"x"), (record(2, sha256=own), b"y")], NOW)
    await store.scripts.save("narval", [(record(3, sha256=shared), b"x")], NOW + 100)
    assert await store.prune(0.0, NOW + 50, 0.0) == 2
    assert await count(database) == (1, 1)
    assert await store.scripts.content(shared) == b"x"
    assert await store.scripts.content(own) is None
    assert await store.prune(0.0, NOW + 50, 0.0) == 0


async def test_a_script_that_is_delivered_again_is_kept_longer(store: StateStore, database: Database) -> None:
    await store.scripts.save("narval", [(record(), b"x")], NOW)
    await store.scripts.save("narval", [(record(), b"x")], NOW + 100)
    await store.prune(0.0, NOW + 50, 0.0)
    assert await count(database) == (1, 1)


async def test_writers_at_the_same_time_lose_nothing(store: StateStore, database: Database) -> None:
    batches = [[(record(job_id, sha256=f"{job_id % 3:064d}"), b"x") for job_id in range(1, 40)] for _ in range(6)]
    await asyncio.gather(*(store.scripts.save("narval", batch, NOW + n) for n, batch in enumerate(batches)))
    assert await count(database) == (3, 39)


async def test_a_batch_that_fails_in_the_middle_leaves_nothing(store: StateStore, database: Database) -> None:
    wrong = replace(record(9), size=None)  # type: ignore[arg-type]
    with pytest.raises(StateError):
        await store.scripts.save("narval", [(record(), b"x"), (wrong, b"x")], NOW)
    assert await count(database) == (0, 0)


async def test_a_state_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    store = StateStore(sqlite(tmp_path))
    with pytest.raises(StateError, match=r"^state\.url: "):
        await store.scripts.save("narval", [(record(), b"x")], NOW)
