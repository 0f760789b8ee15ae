"""Full collections: none by themselves, one when memory has grown, and not while a refresh is at work."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aggregator import executors
from aggregator.app.garbage import GROWTH, LEAST_GROWTH_BYTES, tend_garbage

MIB = 2**20


class Cycle:
    """Something that only the collector can end."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as it was to the other tests."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def make_old_cycle() -> "weakref.ref[Cycle]":
    """Make a cycle that grows old while it is used, and then is garbage."""
    cycle = Cycle()
    gc.collect(1)
    return weakref.ref(cycle)


class Process:
    """What the process seems to need, and whether it has published anything."""

    def __init__(self) -> None:
        self.resident = 400 * MIB
        self.published = False
        self.looks = 0

    def look(self) -> int:
        self.looks += 1
        return self.resident

    async def looked(self) -> None:
        """Wait until it was looked at again, and what came of that."""
        wanted = self.looks + 3
        while self.looks < wanted:
            await asyncio.sleep(0)


@asynccontextmanager
async def tended(process: Process) -> AsyncIterator[None]:
    task = asyncio.create_task(tend_garbage(lambda: process.published, process.look, every=0))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_no_full_collection_comes_by_itself() -> None:
    async with tended(Process()):
        full = gc.get_stats()[2]["collections"]
        kept = [[[] for _ in range(100_000)] for _ in range(3)]
        gc.collect(1)
        assert gc.get_stats()[2]["collections"] == full
        assert len(kept) == 3


async def test_what_is_there_at_the_first_publish_is_frozen_and_not_before() -> None:
    process = Process()
    async with tended(process):
        assert gc.get_freeze_count() == 0
        process.published = True
        await process.looked()
        assert gc.get_freeze_count() > 1000


async def test_old_garbage_stays_while_memory_is_as_it_was() -> None:
    process = Process()
    process.published = True
    async with tended(process):
        await process.looked()
        garbage = make_old_cycle()
        process.resident = int(400 * MIB * GROWTH) - MIB
        await process.looked()
        assert garbage() is not None


async def test_old_garbage_goes_when_memory_has_grown() -> None:
    process = Process()
    process.published = True
    async with tended(process):
        await process.looked()
        garbage = make_old_cycle()
        process.resident = int(400 * MIB * GROWTH) + MIB
        await until(lambda: garbage() is None)
        # What it needs now is what further growth is measured from.
        again = make_old_cycle()
        await process.looked()
        assert again() is not None


async def test_a_small_process_may_grow_more() -> None:
    process = Process()
    process.published, process.resident = True, 60 * MIB
    async with tended(process):
        await process.looked()
        garbage = make_old_cycle()
        process.resident = 60 * MIB + LEAST_GROWTH_BYTES - MIB
        await process.looked()
        assert garbage() is not None
        process.resident += 2 * MIB
        await until(lambda: garbage() is None)


async def test_a_collection_waits_for_the_end_of_a_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process()
    process.published = True
    async with tended(process):
        await process.looked()
        garbage = make_old_cycle()
        monkeypatch.setattr(executors.REFRESH, "busy", 1)
        process.resident = 1000 * MIB
        await process.looked()
        assert garbage() is not None
        executors.REFRESH.busy = 0
        await until(lambda: garbage() is None)


async def test_what_is_frozen_stays_so_when_the_service_ends() -> None:
    process = Process()
    process.published = True
    async with tended(process):
        await process.looked()
    assert gc.get_freeze_count() > 1000
