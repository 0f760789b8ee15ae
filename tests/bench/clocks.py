"""The clocks of another process: its CPU time, how long its event loop's thread waited for a CPU, its memory."""

import time
from pathlib import Path

# clock_getcpuclockid(3): the clock of a process's CPU time, with the threads that have ended, is its id inverted.
_PROCESS_CLOCK = 2
_NANOSECONDS = 1e-9
MEGABYTE = 1e6


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process since its start, in seconds: all its threads, user and system time."""
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def waited_seconds(pid: int) -> float:
    """Give how long the main thread was ready to run and had no CPU, in seconds; 0 where the kernel does not say."""
    try:
        _, waited, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    except OSError:
        return 0.0
    return int(waited) * _NANOSECONDS


def memory_megabytes(pid: int) -> tuple[float, float]:
    """Give the resident memory of a process, and the most that it has had, in megabytes (10⁶ bytes)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {words[0]: int(words[1]) * 1024 / MEGABYTE for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return sizes["VmRSS:"], sizes["VmHWM:"]
