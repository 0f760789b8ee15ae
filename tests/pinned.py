"""Run a module by a clock that stands still until somebody else moves it: `pinned.py CLOCK PACE MODULE ARGUMENT…`.

CLOCK is a file with the epoch time as a little-endian double. The loop's own time runs PACE times as fast: what has an
interval of its own need not be waited for. It runs in both editions' environments, so it imports nothing of either.
`datetime.now` is not pinned: neither edition asks it for what a page shows.
"""

import asyncio
import mmap
import runpy
import selectors
import struct
import sys
import time


def pin(path: str) -> None:
    """Let `time.time` and `time.time_ns` give what the file says."""
    read = struct.Struct("<d").unpack_from
    with open(path, "rb") as file:
        clock = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def now() -> float:
        return float(read(clock)[0])

    time.time = now
    time.time_ns = lambda: int(now()) * 10**9 + round(now() % 1 * 1e9)


def hasten(pace: float) -> None:
    """Let event loops' time run *pace* times as fast."""

    class Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout and timeout / pace)
            return found

    class Loop(asyncio.SelectorEventLoop):
        def __init__(self) -> None:
            super().__init__(Selector())

        def time(self) -> float:
            return super().time() * pace

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = Loop

    asyncio.set_event_loop_policy(Policy())


def main() -> None:
    """Do what this module's text says."""
    _, clock, pace, module, *arguments = sys.argv
    pin(clock)
    hasten(float(pace))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
