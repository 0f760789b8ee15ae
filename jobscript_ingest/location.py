"""Slurm's StateSaveLocation: where the job scripts are, and how one is read without trusting what lies there.

slurmctld writes hash.<id % 10>/job.<id>/script in place and ends it with one NUL; the directory goes when the job's
record does. An array has one directory under its own id, a heterogeneous job one under its leader's.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jobscript_ingest.script import RawScript, Version

# What slurmctld's own users may do with its folders is not known here: nothing is followed, nothing blocks.
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HASH: Final = re.compile(r"hash\.([0-9])")
_JOB: Final = re.compile(r"job\.([1-9][0-9]{0,9})")
_GONE: Final = frozenset({errno.ENOENT, errno.ESTALE})
_ODD: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR})


class Incomplete(Exception):
    """The script is not there yet, or still being written."""


class Unreadable(Exception):
    """There is something in the script's place that cannot be read; the text says why."""


class StateSaveLocation:
    """The scripts below one StateSaveLocation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folders(self) -> Mapping[Path, int]:
        """Give the hash folders that there are, with their inodes.

        Raises OSError when the location cannot be read.
        """
        with os.scandir(self.path) as entries:
            return {
                Path(entry.path): entry.inode()
                for entry in entries
                if _HASH.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            }

    def versions(self, folder: Path) -> Iterator[tuple[int, Version | None]]:
        """Give the jobs of a hash folder and the versions of their scripts, None where there is no script.

        Raises OSError when the folder cannot be read.
        """
        with os.scandir(folder) as entries:
            job_ids = [job_id for entry in entries if (job_id := job_id_of(Path(entry.path))) is not None]
        for job_id in job_ids:
            yield job_id, self._version(job_id)

    def _version(self, job_id: int) -> Version | None:
        try:
            return _version(os.lstat(self._folder(job_id) / "script"))
        except OSError:
            # Reading it tells why.
            return None

    def read(self, job_id: int, limit: int) -> RawScript | None:
        """Read the first `limit` bytes of a script that is complete; None when it is gone.

        Raises Incomplete and Unreadable.
        """
        try:
            with self._opened(job_id) as file:
                return _read(job_id, file, limit)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise Unreadable(_reason(error)) from error

    def _folder(self, job_id: int) -> Path:
        return self.path / f"hash.{job_id % 10}" / f"job.{job_id}"

    @contextmanager
    def _opened(self, job_id: int) -> Iterator[int]:
        """Open the script's file step by step, so that no link on the way is followed."""
        names = (str(self.path / f"hash.{job_id % 10}"), f"job.{job_id}", "script")
        folder: int | None = None
        try:
            for name in names:
                opened = _open(name, folder)
                if folder is not None:
                    os.close(folder)
                folder = opened
            assert folder is not None
            yield folder
        finally:
            if folder is not None:
                os.close(folder)


def _open(name: str, folder: int | None) -> int:
    if name != "script":
        return os.open(name, _FOLDER, dir_fd=folder)
    try:
        return os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        # slurmctld makes the folder and the environment first.
        raise Incomplete from None


def job_id_of(folder: Path) -> int | None:
    """Read the job id from a job's folder; None for other names and for a job in another's hash folder."""
    job, parent = _JOB.fullmatch(folder.name), _HASH.fullmatch(folder.parent.name)
    if job is None or parent is None or int(job[1]) % 10 != int(parent[1]):
        return None
    return int(job[1])


def _version(status: os.stat_result) -> Version:
    return Version(status.st_ino, status.st_mtime_ns, status.st_size)


def _read(job_id: int, file: int, limit: int) -> RawScript:
    # Before the content: what is written from now on makes another version.
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("not a regular file")
    if not status.st_size or os.pread(file, 1, status.st_size - 1) != b"\0":
        raise Incomplete
    wanted = min(limit, status.st_size)
    head = _read_head(file, wanted)
    if len(head) < wanted:
        # Written anew at this moment.
        raise Incomplete
    text, nul, _ = head.partition(b"\0")
    # A NUL before the end ends the script; one that is not in the head is taken to be the last byte.
    return RawScript(job_id, _version(status), text, len(text) if nul else status.st_size - 1)


def _read_head(file: int, length: int) -> bytes:
    head = bytearray()
    while len(head) < length and (part := os.pread(file, length - len(head), len(head))):
        head += part
    return bytes(head)


def _reason(error: OSError) -> str:
    if error.errno in _ODD:
        return "a link or another odd file is in its place, and is not followed"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied: run as SlurmUser (User= in the systemd unit)"
    return error.strerror or "cannot be read"
