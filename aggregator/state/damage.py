"""A SQLite file that is damaged is set aside, never deleted and never written to again."""

import mmap
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from aggregator.state.schema import VERSION_TABLE

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HEAD = b"SQLite format 3\0"
# What SQLite keeps beside a file; without it what was written last cannot be recovered.
_BESIDE = ("", "-wal", "-shm", "-journal")


def is_damage(error: BaseException) -> bool:
    """Tell whether an error says that the file itself is broken."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    # The low byte is the primary code.
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def is_ours(file: Path) -> bool:
    """Tell whether a damaged file was the state once, and is not another file that state.url names by mistake."""
    with file.open("rb") as content:
        head = content.read(len(_HEAD))
        if head in (b"", _HEAD, bytes(len(_HEAD))):
            return True
        with mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return whole.find(VERSION_TABLE.encode()) >= 0


def set_aside(file: Path, now: datetime | None = None) -> Path:
    """Rename a file, with what belongs to it, to one that has the time in its name.

    Raises OSError.
    """
    kept = file.with_name(f"{file.name}.corrupt-{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for suffix in _BESIDE:
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(kept.with_name(kept.name + suffix))
    return kept


def count_set_aside(file: Path) -> int:
    """Count the files that were set aside and are still there."""
    return sum(1 for kept in file.parent.glob(f"{file.name}.corrupt-*") if kept.name.endswith("Z"))
