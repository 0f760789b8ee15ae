"""The spool: scripts that wait to be sent, and what was read already, in one SQLite file.

A script and the note that its file was read are written in one transaction: what is killed in between reads it again.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from jobscript_ingest.reserve import Reserve
from jobscript_ingest.script import Key, Script, Version
from jobscript_ingest.settings import BatchLimits, FlagError, SpoolSettings

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS spool (cluster TEXT NOT NULL, content_bytes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS seen (
    job_id INTEGER PRIMARY KEY, inode INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS script (
    number INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, sha256 TEXT NOT NULL, written_at REAL NOT NULL,
    size INTEGER NOT NULL, truncated INTEGER NOT NULL, redactions INTEGER NOT NULL, spooled_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, refused_at REAL, reason TEXT, bytes INTEGER NOT NULL, content BLOB NOT NULL,
    UNIQUE (job_id, sha256)
);
CREATE INDEX IF NOT EXISTS unsent ON script (attempts, number, spooled_at) WHERE refused_at IS NULL;
CREATE INDEX IF NOT EXISTS refused ON script (refused_at) WHERE refused_at IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON script
    BEGIN UPDATE spool SET content_bytes = content_bytes + NEW.bytes; END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON script
    BEGIN UPDATE spool SET content_bytes = content_bytes - OLD.bytes; END;
"""
_ADD: Final = """
INSERT INTO script (job_id, sha256, written_at, size, truncated, redactions, spooled_at, bytes, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BATCH: Final = """
SELECT job_id, written_at, content, sha256, size, truncated, redactions FROM script
WHERE refused_at IS NULL ORDER BY attempts, number LIMIT ?
"""
_STATUS: Final = """
SELECT (SELECT count(*) FROM script WHERE refused_at IS NULL),
    (SELECT count(*) FROM script WHERE refused_at IS NOT NULL), content_bytes,
    (SELECT min(spooled_at) FROM script WHERE refused_at IS NULL) FROM spool
"""

_JOURNAL_BYTES: Final = 64 * 2**20


class SpoolError(Exception):
    """The spool cannot be read or written; the text names its file."""


class SpoolFull(Exception):
    """There is no room for another script until some are sent; the text says what is full."""


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """What is in the spool; times are epoch seconds."""

    unsent: int
    refused: int
    content_bytes: int
    oldest_unsent: float | None


class Spool:
    """Own the file; every method may be called from any thread."""

    def __init__(self, settings: SpoolSettings, cluster: str) -> None:
        self._settings = settings
        self._cluster = cluster
        self._lock = threading.Lock()
        self._reserve = Reserve(settings.path)
        self._seen: dict[int, tuple[Version, str]] = {}

    def open(self) -> None:
        """Open the file, or make it.

        Raises FlagError when it cannot be used.
        """
        try:
            self._create()
            self._connection = sqlite3.connect(
                self._settings.path, timeout=1, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise FlagError(f"--spool.path: cannot use {self._settings.path}: {_reason(error)}") from error

    def _prepare(self) -> None:
        # Nobody else may use it: the lock keeps a second agent away.
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last transactions whole: their scripts are read, or sent, once more.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(f"PRAGMA journal_size_limit={_JOURNAL_BYTES}")
        self._reserve.hold()
        self._connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        self._check_cluster()
        self._load()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Spool":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what was read

    def has_seen(self, job_id: int, version: Version) -> bool:
        """Tell whether this version of a job's script was read."""
        seen = self._seen.get(job_id)
        return seen is not None and seen[0] == version

    @property
    def seen(self) -> Mapping[int, tuple[Version, str]]:
        """Give what was read of each job: the file's version and the hash of what was sent."""
        return self._seen

    def forget(self, job_ids: Collection[int]) -> None:
        """Forget jobs whose folders are gone."""
        keys = [(job_id,) for job_id in job_ids]
        self._make_space(lambda connection: connection.executemany("DELETE FROM seen WHERE job_id = ?", keys))
        for job_id in job_ids:
            self._seen.pop(job_id, None)

    def add(self, script: Script, version: Version) -> bool:
        """Keep a script to be sent, and the note that this version was read; False when it was kept before.

        One that was written anew is another even when it reads the same: Slurm may use a job id again.

        Raises SpoolFull and SpoolError.
        """
        known = self._seen.get(script.job_id)
        is_new = known is None or (known[0].mtime_ns, known[1]) != (version.mtime_ns, script.sha256)
        if not self._reserve.hold():
            raise SpoolFull(f"the disk of {self._settings.path} is full")
        with self._transaction() as connection:
            if is_new:
                self._make_room(connection, len(script.content))
                connection.execute("DELETE FROM script WHERE job_id = ? AND sha256 = ?", script.key)
                connection.execute(_ADD, _row(script))
            connection.execute(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
                (script.job_id, version.inode, version.mtime_ns, version.size, script.sha256),
            )
        self._seen[script.job_id] = (version, script.sha256)
        return is_new

    # -- what is to be sent

    def batch(self, limits: BatchLimits) -> list[Script]:
        """Give the scripts to send next: the first always, more of them within the limits."""
        scripts: list[Script] = []
        content_bytes = 0
        with self._transaction() as connection:
            for row in connection.execute(_BATCH, (limits.scripts,)):
                script = _script(row)
                content_bytes += len(script.content)
                if scripts and content_bytes > limits.content_bytes:
                    break
                scripts.append(script)
        return scripts

    def remove(self, keys: Iterable[Key]) -> None:
        """Remove scripts that the service has stored, also when the disk is full."""
        stored = list(keys)
        self._make_space(
            lambda connection: connection.executemany("DELETE FROM script WHERE job_id = ? AND sha256 = ?", stored)
        )

    def postpone(self, keys: Iterable[Key]) -> None:
        """Let others go first next time."""
        later = list(keys)
        self._make_space(
            lambda connection: connection.executemany(
                "UPDATE script SET attempts = attempts + 1 WHERE job_id = ? AND sha256 = ?", later
            )
        )

    def refuse(self, refusals: Mapping[Key, str]) -> None:
        """Set scripts aside that the service will never take, with the reasons."""
        now = time.time()
        rows = [(now, reason, *key) for key, reason in refusals.items()]
        self._make_space(
            lambda connection: connection.executemany(
                "UPDATE script SET refused_at = ?, reason = ? WHERE job_id = ? AND sha256 = ?", rows
            )
        )

    def drop_refused(self) -> int:
        """Drop refused scripts that are older than the retention; give how many."""
        before = time.time() - self._settings.refused_retention
        return self._make_space(
            lambda connection: connection.execute("DELETE FROM script WHERE refused_at < ?", (before,))
        ).rowcount

    def status(self) -> SpoolStatus:
        """Say what is in the spool."""
        with self._transaction() as connection:
            return SpoolStatus(*connection.execute(_STATUS).fetchone())

    # -- inside

    def _make_space(self, change: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> sqlite3.Cursor:
        """Make a change that must not fail for want of space: on a full disk, on the space that is held for it."""
        try:
            with self._transaction() as connection:
                return change(connection)
        except SpoolFull as error:
            if not self._reserve.release():
                raise SpoolError(str(error)) from error
        with self._lock:
            # What the log of changes holds is written back first, so that it begins anew.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            with self._transaction() as connection:
                return change(connection)
        except SpoolFull as error:
            raise SpoolError(str(error)) from error
        finally:
            self._reserve.hold()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                self._connection.execute("BEGIN")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back itself after some errors.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise SpoolFull(f"the disk of {self._settings.path} is full") from error
            raise SpoolError(f"--spool.path: {self._settings.path}: {_reason(error)}") from error

    def _make_room(self, connection: sqlite3.Connection, wanted: int) -> None:
        """Let refused scripts go, the oldest first, when there is no other room.

        Raises SpoolFull.
        """
        used = connection.execute("SELECT content_bytes FROM spool").fetchone()[0]
        free = self._settings.max_bytes - used - wanted
        if free >= 0:
            return
        refused = connection.execute(
            "SELECT number, bytes FROM script WHERE refused_at IS NOT NULL ORDER BY refused_at"
        )
        for number, content_bytes in refused.fetchall():
            connection.execute("DELETE FROM script WHERE number = ?", (number,))
            free += content_bytes
            if free >= 0:
                return
        raise SpoolFull("--spool.max-bytes: the spool is full")

    def _create(self) -> None:
        self._settings.path.parent.mkdir(parents=True, exist_ok=True)
        # Scripts are their owners' business: before SQLite makes the file readable for others.
        os.close(os.open(self._settings.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _check_cluster(self) -> None:
        row = self._connection.execute("SELECT cluster FROM spool").fetchone()
        if row is None:
            self._connection.execute("INSERT INTO spool (cluster) VALUES (?)", (self._cluster,))
        elif row[0] != self._cluster:
            raise FlagError(
                f"--spool.path: {self._settings.path} holds the scripts of cluster {row[0]}, not of {self._cluster}: "
                "name another file"
            )

    def _load(self) -> None:
        rows = self._connection.execute("SELECT job_id, inode, mtime_ns, size, sha256 FROM seen")
        self._seen = {job_id: (Version(*version), sha256) for job_id, *version, sha256 in rows}


def _row(script: Script) -> tuple[object, ...]:
    return (
        script.job_id, script.sha256, script.written_at, script.size, script.truncated, script.redactions, time.time(),
        len(script.content), script.content,
    )  # fmt: skip


def _script(row: tuple[Any, ...]) -> Script:
    job_id, written_at, content, sha256, size, truncated, redactions = row
    return Script(job_id, written_at, content, sha256, size, bool(truncated), redactions)


def _reason(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return error.strerror or "cannot be opened"
    if "locked" in str(error):
        return "another hpc-jobscript-ingest uses it"
    return str(error)
