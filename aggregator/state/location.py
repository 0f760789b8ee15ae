"""Where the state is: state.url and the password, for SQLAlchemy."""

import os
import ssl
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from aggregator.config import State
from aggregator.state.errors import StateError

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    # As mysql: SQLAlchemy tells the two apart by the server's answer, and tables then need one set of options.
    "mariadb": "mysql+aiomysql",
    "postgresql": "postgresql+asyncpg",
}
_OWNER_ONLY = 0o600


def engine_url(state: State) -> URL:
    """Translate state.url for SQLAlchemy and put the password in, which is read anew.

    Raises StateError.
    """
    url = _parse(state)
    file = sqlite_file(state)
    if file is not None:
        # mode=rw: a file that was deleted is an error, and not silently an empty database.
        return URL.create(_DRIVERS["sqlite"], database=file.as_uri(), query={"mode": "rw", "uri": "true"})
    url = url.set(drivername=_DRIVERS[url.get_backend_name()])
    password = _password(state)
    return url if password is None else url.set(password=password)


def client_tls(state: State) -> ssl.SSLContext | None:
    """Make the client's side of TLS; None without.

    Raises StateError.
    """
    if state.tls is None:
        return None
    try:
        return state.tls.context()
    except OSError as error:
        raise StateError(f"state.tls: cannot use {state.tls.files}: {error}") from error


def sqlite_file(state: State) -> Path | None:
    """Give the absolute path of the SQLite file, None on a server.

    Raises StateError.
    """
    url = _parse(state)
    if url.get_backend_name() != "sqlite":
        return None
    if url.host or url.query or not url.database or url.database == ":memory:":
        raise StateError(
            f"state.url: {state.url!r} must name a file and nothing else: sqlite:/// and a path, "
            "as in sqlite:////var/lib/hpc-aggregator/state.db"
        )
    return Path(url.database).absolute()


def place(state: State) -> str:
    """Name the database in error texts: the file, or server and database, without user and password.

    Raises StateError.
    """
    url = _parse(state)
    port = f":{url.port}" if url.port else ""
    return str(sqlite_file(state) or f"{url.get_backend_name()}://{url.host}{port}/{url.database or ''}")


def create_file(file: Path) -> None:
    """Create the SQLite file, readable by its owner only, and the folders above it, unless they are there.

    Raises StateError.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # An existing file is left alone: closing it here would drop the locks that SQLite holds in this process.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
    except FileExistsError:
        if file.is_file():
            return
        raise StateError(f"state.url: {file} is not a file, or a folder above it is one: name another path") from None
    except OSError as error:
        raise StateError(
            f"state.url: cannot create {file}: {error.strerror}: let this user write to its folder, or name another one"
        ) from error


def _parse(state: State) -> URL:
    try:
        url = make_url(state.url.get())
    except (ArgumentError, ValueError):
        raise StateError(f"state.url: {state.url!r} is not a database's URL") from None
    if url.get_backend_name() not in _DRIVERS:
        schemes = ", ".join(f"{name}://" for name in _DRIVERS)
        raise StateError(f"state.url: {state.url!r} must begin with one of {schemes}")
    return url


def _password(state: State) -> str | None:
    if state.secret is None:
        return None
    try:
        return state.secret.get()
    except OSError as error:
        raise StateError(f"state.password_file: cannot read {state.secret!r}: {error.strerror}") from error
    except ValueError:
        raise StateError(f"state.password_file: {state.secret!r} is not UTF-8 text") from None
