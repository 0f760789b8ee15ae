"""What several test runs on one machine must not do at the same time, or must not both have."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO


@contextmanager
def alone(task: str) -> Iterator[None]:
    """Wait until no other process is at this task."""
    with _lock_file(task).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claim_port(port: int) -> bool:
    """
    Take a port for the rest of this process's life; False when another test run has it.

    A port is chosen long before its server listens, and stays its server's own while that is stopped.
    """
    try:
        # The byte of this number; the kernel gives it back when the process ends, however that happens.
        fcntl.lockf(_ports(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _ports() -> IO[bytes]:
    # Opened once: closing any handle of the file would give up all locks of the process.
    return _lock_file("ports").open("ab")


def _lock_file(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"hpc-aggregator-{name}-{os.geteuid()}.lock"
