"""The end of the process: by SIGTERM, and in time, whatever hangs."""

import asyncio
import faulthandler
import signal
from collections.abc import Coroutine
from types import FrameType

END_SECONDS = 8


def end_in_time() -> None:
    """From SIGTERM or SIGINT on, give the process END_SECONDS; then it says where each thread hangs, and exits with 1.

    To be called after the event loop's own handlers are set, which go on to be called.
    """
    # systemd's watchdog sends SIGABRT.
    faulthandler.enable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _begin)


def _begin(number: int, frame: FrameType | None) -> None:
    # Its thread needs no lock of Python's. Should there be no thread to be had, the kernel ends us a second later.
    signal.alarm(END_SECONDS + 1)
    faulthandler.dump_traceback_later(END_SECONDS, exit=True)


async def unless_ended(ended: asyncio.Event, start: Coroutine[None, None, None]) -> None:
    """Run a start; when the process is to end before it is done, leave it. Raises what it raises."""
    starting, ending = asyncio.ensure_future(start), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
    finally:
        for task in (starting, ending):
            task.cancel()
        await asyncio.gather(starting, ending, return_exceptions=True)
