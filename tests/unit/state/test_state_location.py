import logging
import sqlite3
import traceback
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import DatabaseUrl, SecretFile, State
from aggregator.state import StateError, StateStore, engine
from aggregator.state.location import engine_url
from tests.unit.state.builders import ended, make_job, server, sqlite


async def _failure(state: State) -> str:
    with pytest.raises(StateError) as caught:
        await StateStore(state).open()
    return str(caught.value)


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "%41?mode=memory.db", "a#b.db", "é.db"])
async def test_file_has_the_name_that_is_configured(tmp_path: Path, name: str) -> None:
    file = tmp_path / "new" / "folder" / name
    state = sqlite(file)
    if "?" in name:
        assert "must name a file and nothing else" in await _failure(state)
        return
    store = StateStore(state)
    await store.save_summaries("narval", ended(make_job(1)))
    await store.close()

    assert [path.name for path in file.parent.iterdir()] == [name]
    assert file.stat().st_mode & 0o777 == 0o600


async def test_file_is_in_wal_mode(file: Path, sqlite_store: StateStore) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite://var/state.db", "sqlite:////tmp/x?a=b"])
async def test_url_that_names_no_file_is_refused(url: str) -> None:
    assert (await _failure(server(url))).startswith(f"state.url: {url} must name a file and nothing else: sqlite:///")


@pytest.mark.parametrize("url", ["redis://h/0", "mysqlx://h/d"])
async def test_other_schemes_are_refused(url: str) -> None:
    wanted = f"state.url: {url} must begin with one of sqlite://, mysql://, mariadb://, postgresql://"
    assert await _failure(server(url)) == wanted


@pytest.mark.parametrize("url", ["nothing", "mysql://h:port/d"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    assert await _failure(server(url)) == f"state.url: {url} is not a database's URL"


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [("mysql", "mysql+aiomysql"), ("mariadb", "mysql+aiomysql"), ("postgresql", "postgresql+asyncpg")],
)
def test_servers_are_reached_by_the_asynchronous_driver(scheme: str, driver: str) -> None:
    url = engine_url(server(f"{scheme}://u@h:1/d", "p@/:"))

    assert (url.drivername, url.password, url.host, url.port, url.database) == (driver, "p@/:", "h", 1, "d")
    assert engine_url(server(f"{scheme}://u:old@h/d")).password == "old"


async def test_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        import_module("asyncpg_is_not_installed")

    monkeypatch.setattr(engine, "create_async_engine", missing)

    wanted = (
        "state.url: postgresql:// needs the Python package asyncpg_is_not_installed, which is not installed: "
        "pip install asyncpg_is_not_installed"
    )
    assert await _failure(server("postgresql://h/d")) == wanted


async def test_unwritable_folder_is_named(plain_user_folder: Path) -> None:
    plain_user_folder.chmod(0o500)
    for file in (plain_user_folder / "state.db", plain_user_folder / "new" / "state.db"):
        hint = "let this user write to its folder, or name another one"
        assert await _failure(sqlite(file)) == f"state.url: cannot create {file}: Permission denied: {hint}"


async def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    for file in (tmp_path, tmp_path / "plain" / "state.db"):
        assert await _failure(sqlite(file)) == (
            f"state.url: {file} is not a file, or a folder above it is one: name another path"
        )
    assert "Not a directory" in await _failure(sqlite(tmp_path / "plain" / "new" / "state.db"))


async def test_what_is_not_a_database_is_refused(file: Path) -> None:
    file.write_text("nothing of SQLite's " * 100)

    assert await _failure(sqlite(file)) == (
        f"state.url: {file}: file is not a database: move the file away, or name another one"
    )


async def test_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    state = State.model_construct(url=DatabaseUrl("mysql://u@h/d"), password_file=SecretFile(tmp_path / "no"))
    assert await _failure(state) == f"state.password_file: cannot read {tmp_path}/no: No such file or directory"

    (tmp_path / "no").write_bytes(b"\xff")
    assert await _failure(state) == f"state.password_file: {tmp_path}/no is not UTF-8 text"


@pytest.mark.parametrize(
    "state",
    [
        server("mysql://u:hunter2@127.0.0.1:1/d"),
        server("mariadb://u@127.0.0.1:1/d", "hunter2"),
        server("mysql://u@127.0.0.1:1/d?password=hunter2"),
        server("mysql://u:hunter2@127.0.0.1:port/d"),
        server("redis://u:hunter2@127.0.0.1:1/d"),
        server("sqlite://u:hunter2@h/d"),
    ],
    ids=repr,
)
async def test_password_is_never_shown(state: State, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = StateStore(state)
    with pytest.raises(StateError) as caught:
        await store.open()

    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(store) + repr(vars(store))
    assert "hunter2" not in shown
    assert str(caught.value).startswith("state.url: ")
