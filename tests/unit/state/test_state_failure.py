"""The database goes away in the middle and comes back."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from aggregator.config import Secret, State
from aggregator.state import StateError, StateStore, database
from tests.lab.mariadb import MariaDB
from tests.unit.state.builders import USE, ended, known, make_job, sqlite
from tests.unit.state.conftest import PASSWORD


async def _fails(store: StateStore, match: str) -> None:
    with pytest.raises(StateError, match=match):
        await store.save_summaries("narval", ended(make_job(1)))


async def _works(store: StateStore) -> None:
    await store.save_summaries("narval", ended(make_job(1)))
    assert known(await store.summaries("narval", [1])) == {1: USE}


async def test_deleted_file_is_an_error_once(file: Path, sqlite_store: StateStore) -> None:
    await _works(sqlite_store)
    file.unlink()

    await _fails(sqlite_store, f"^state.url: {file}: unable to open database file: check that the file is there")
    assert known(await sqlite_store.summaries("narval", [1])) == {}
    await _works(sqlite_store)


async def test_emptied_file_gets_its_tables_again(file: Path, sqlite_store: StateStore) -> None:
    file.write_bytes(b"")

    await _fails(sqlite_store, "no such table: job_summary: the file was replaced")
    await _works(sqlite_store)


async def test_locked_file_is_an_error_until_it_is_free(file: Path, sqlite_store: StateStore) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            await _fails(sqlite_store, f"^state.url: {file}: database is locked: another process keeps it locked$")
        assert known(await sqlite_store.summaries("narval", [1])) == {}

    await _works(sqlite_store)


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_no_thread_outlives_closing_whenever_a_query_was_cancelled(file: Path, turns: int) -> None:
    """It would answer to an event loop that has ended."""
    store = StateStore(sqlite(file))
    await store.open()
    saving = asyncio.create_task(_works(store))
    for _ in range(turns):
        await asyncio.sleep(0)
    for _ in range(2):
        saving.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([saving])
    await store.close()
    assert [each.name for each in threading.enumerate() if "_connection_worker_thread" in each.name] == []


async def test_closing_waits_for_the_query_of_a_task_that_was_cancelled(file: Path) -> None:
    state = database.Database(sqlite(file))
    runs, goes_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def query() -> None:
        loop.call_soon_threadsafe(runs.set)
        goes_on.wait()
        ended.set()

    async def ask() -> None:
        async with state.transaction() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver._execute(query)

    asking = asyncio.create_task(ask())
    await runs.wait()
    for _ in range(2):
        asking.cancel()
        await asyncio.sleep(0)
    loop.call_later(0.05, goes_on.set)
    await state.close()
    has_ended = ended.is_set()
    goes_on.set()
    await asyncio.wait([asking])
    assert has_ended


async def test_read_only_file_can_still_be_read(plain_user_folder: Path) -> None:
    file = plain_user_folder / "state.db"
    store = StateStore(sqlite(file))
    await _works(store)
    file.chmod(0o400)

    await _fails(store, "attempt to write a readonly database: let this user write to the file, to those beside it")
    assert set(known(await store.summaries("narval", [1]))) == {1}
    # SQLite gave the modes of the file to the -wal and -shm files of that read.
    for path in plain_user_folder.iterdir():
        path.chmod(0o600)
    await _works(store)
    await store.close()


async def test_failed_save_keeps_nothing(file: Path, sqlite_store: StateStore) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(
            "CREATE TRIGGER t BEFORE INSERT ON job_summary WHEN NEW.job_id = 7 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    with pytest.raises(StateError, match=r"state\.url: .*: no$"):
        await sqlite_store.save_summaries("narval", ended(make_job(1), make_job(2, job_id=7)))

    assert known(await sqlite_store.summaries("narval", [1, 2])) == {}


async def test_unreadable_summary_is_left_out(
    file: Path, sqlite_store: StateStore, caplog: pytest.LogCaptureFixture
) -> None:
    await sqlite_store.save_summaries("narval", ended(make_job(1), make_job(2**64 - 1)))
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE job_summary SET summary = 'torn' WHERE run_id LIKE '%615'")

    assert set(known(await sqlite_store.summaries("narval", [1, 2**64 - 1]))) == {1}
    assert "summary is not readable: cluster=narval run_id=18446744073709551615" in caplog.text


async def test_slow_database_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = StateStore(sqlite(file), busy_seconds=1.0)
    await store.open()
    monkeypatch.setattr(database, "TRANSACTION_SECONDS", 0.05)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        await _fails(store, f"^state.url: {file}: no answer in time$")
    monkeypatch.undo()

    await _works(store)
    await store.close()


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.01, 0.02, 0.04])
async def test_cancelled_save_lets_the_lock_go(sqlite_store: StateStore, seconds: float) -> None:
    """A reload cancels the refresh at any moment; the wait for the lock (busy_seconds) is 0.05 s here."""
    for _ in range(5):
        task = asyncio.create_task(sqlite_store.save_summaries("narval", ended(*(make_job(i) for i in range(5000)))))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        await _works(sqlite_store)


@pytest.mark.mariadb
async def test_server_that_restarts_is_found_again(mariadb: MariaDB, mariadb_state: State) -> None:
    store = StateStore(mariadb_state)
    await _works(store)
    mariadb.stop()
    try:
        for _ in range(2):
            await _fails(store, r"^state\.url: mariadb://127\.0\.0\.1:\d+/state\d+: ")
    finally:
        mariadb.start()

    await _works(store)
    await store.close()


@pytest.mark.mariadb
async def test_wrong_password_is_named_and_not_shown(mariadb_state: State) -> None:
    wrong = mariadb_state.model_copy(update={"password": Secret("wr0ng")})
    with pytest.raises(
        StateError, match=r"Access denied for user .*: check the user, its GRANT and state\.password_file$"
    ) as caught:
        await StateStore(wrong).open()

    assert "wr0ng" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
