"""Disk space that is kept back, so that scripts can be removed from a spool whose disk is full."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

# SQLite's log of changes, which it writes back at 4 MiB, and the largest script twice.
RESERVE_BYTES: Final = 16 * 2**20


class Reserve:
    """Own a file without content beside the spool's; every method may be called again."""

    def __init__(self, spool: Path) -> None:
        self._path = spool.with_name(f"{spool.name}.reserve")
        self._is_held = False

    def hold(self) -> bool:
        """Take the space, unless it is held; False when the disk has not got it."""
        if not self._is_held:
            self._is_held = self._take()
        return self._is_held

    def release(self) -> bool:
        """Give the space back; False when there was none."""
        was_held = self._is_held
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._is_held = False
        return was_held

    def _take(self) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, RESERVE_BYTES)
        except OSError:
            self._path.unlink()
            return False
        finally:
            os.close(file)
        return True
