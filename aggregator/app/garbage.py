"""When Python looks for garbage: never through everything by itself.

An object goes when its last reference does; Python's collector is for cycles, which nothing else would end. It looks
through young objects often, which is short, and through all of them whenever their number has grown by a quarter. That
holds up every thread: 0.4 s with the million objects of a snapshot, which are new at each refresh. Cycles are made by
requests and errors, and nearly all of them die young.

So the collector leaves alone what is there once the first snapshot is: modules, configuration, sources (`gc.freeze`).
It does not look through everything by itself any more. Cycles that grew old are looked for when the memory of the
process has grown by a quarter, and at a moment when no refresh is at work.
"""

import asyncio
import gc
import math
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aggregator import executors

# More collections of the middle generation than a process will ever see.
NEVER: Final = 2**31 - 1
GROWTH: Final = 1.25
# What a small process needs now and then is no sign of garbage.
LEAST_GROWTH_BYTES: Final = 64 * 2**20
LOOK_SECONDS: Final = 1.0
_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Give the memory of the process that is in RAM."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def tend_garbage(
    has_published: Callable[[], bool], resident: Callable[[], int] = resident_bytes, every: float = LOOK_SECONDS
) -> None:
    """Keep collections short until cancelled, looking at memory every so many seconds.

    What is frozen stays so: the end of the process is quicker by the time that its last collection would take.
    """
    limit = math.inf
    gc.set_threshold(*gc.get_threshold()[:2], NEVER)
    while True:
        if limit == math.inf:
            if has_published():
                gc.freeze()
                limit = _limit(resident())
        elif resident() >= limit and not executors.REFRESH.busy:
            gc.collect()
            limit = _limit(resident())
        await asyncio.sleep(every)


def _limit(resident: int) -> float:
    return max(resident * GROWTH, resident + LEAST_GROWTH_BYTES)
