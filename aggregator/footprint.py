"""What the process takes of the machine beside what it needs: threads, and memory that was freed.

glibc gives threads heaps of their own, up to eight for each CPU, and gives back only what is free at the end of a heap.
Answers of Prometheus and compressed pages are megabytes that come and go in many threads: at 20,000 running jobs 250 MB
stayed of them, where 45 MB were in use. So there is one heap, and what is free anywhere in it goes back once after each
refresh, which costs some 10 ms; to map all that is large, so that it goes back whenever it is freed, costs ten times
as much.
"""

import ctypes
import os
from contextlib import suppress
from typing import Final

from aggregator.cpus import limit_polars

# mallopt(3): the most heaps, and the variable with which an administrator sets them.
_ARENA_MAX: Final = -8
_HEAPS: Final = "MALLOC_ARENA_MAX"


def limit_footprint() -> None:
    """Take no more than is needed; called before there are threads and before Polars is imported, which reads it once.

    What the administrator has set stays. A C library other than glibc has no such parameter.
    """
    limit_polars()
    if _HEAPS not in os.environ:
        with suppress(AttributeError):
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give the memory that was freed back to the system, in some milliseconds; where the C library is not glibc, don't.

    Polars has an allocator of its own, which does so by itself within a second.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
