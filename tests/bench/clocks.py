"""The clocks of another process: its CPU time, how long its event loop's thread waited for a CPU, its memory."""

import os
import time
from pathlib import Path

# clock_getcpuclockid(3): the clock of a process's CPU time, with the threads that have ended, is its id inverted.
_PROCESS_CLOCK = 2
_NANOSECONDS = 1e-9
_LONGEST = 128
MEGABYTE = 1e6


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process since its start, in seconds: all its threads, user and system time."""
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


class WaitingClock:
    """How long the main thread of a process was ready to run and had no CPU.

    Its file stays open: it is looked at 200 times a second by the process that is measured.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._file: int | None = os.open(f"/proc/{pid}/task/{pid}/schedstat", os.O_RDONLY)
        except OSError:
            self._file = None

    def seconds(self) -> float:
        """Give the seconds since its start; 0 where the kernel does not say."""
        if self._file is None:
            return 0.0
        _, waited, _ = os.pread(self._file, _LONGEST, 0).split()
        return int(waited) * _NANOSECONDS


def memory_megabytes(pid: int) -> tuple[float, float]:
    """Give the resident memory of a process, and the most that it has had, in megabytes (10⁶ bytes)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {words[0]: int(words[1]) * 1024 / MEGABYTE for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return sizes["VmRSS:"], sizes["VmHWM:"]
