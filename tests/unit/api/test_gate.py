"""The gate: so many at once, so many of one, by turns; who leaves gives its place on."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from aggregator.api.errors import Busy
from aggregator.api.gate import FairGate


class Crowd:
    """Ask for slots, and remember the order in which they were given."""

    def __init__(self, each: int = 1, total: int = 2, patience: float = 60.0) -> None:
        self.gate = FairGate()
        self.order: list[str] = []
        self._limits = {"each": each, "total": total, "patience": patience}
        self.go_on = asyncio.Event()

    async def ask(self, who: str) -> None:
        async with self.gate.slot(who, **self._limits):  # type: ignore[arg-type]
            self.order.append(who)
            await self.go_on.wait()

    async def all_ask(self, *names: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.ask(name)) for name in names]
        await turns()
        return tasks


async def turns() -> None:
    """Let everything happen that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_identities_have_their_turns_one_after_another() -> None:
    crowd = Crowd(each=1, total=1)
    tasks = await crowd.all_ask("a", "a", "a", "b", "c", "b")
    assert crowd.order == ["a"]
    crowd.go_on.set()
    await asyncio.gather(*tasks)
    assert crowd.order == ["a", "a", "b", "c", "a", "b"]


async def test_one_identity_leaves_room_for_others() -> None:
    crowd = Crowd(each=1, total=2)
    tasks = await crowd.all_ask("a", "a", "b")
    assert crowd.order == ["a", "b"]
    crowd.go_on.set()
    await asyncio.gather(*tasks)


async def test_who_leaves_while_it_waits_takes_no_place() -> None:
    crowd = Crowd(each=1, total=1)
    first, *others = await crowd.all_ask("a", "b", "b", "c")
    # Both at once: the turn goes to one who has been told to leave, and from it to the next.
    first.cancel()
    others[0].cancel()
    others[1].cancel()
    await turns()
    assert crowd.order == ["a", "c"]
    crowd.go_on.set()
    await asyncio.gather(first, *others, return_exceptions=True)
    await crowd.ask("d")
    assert crowd.order[-1] == "d"


async def test_it_is_busy_when_too_many_wait_or_for_too_long() -> None:
    crowd = Crowd(each=1, total=1)
    async with AsyncExitStack() as stack:
        tasks = await crowd.all_ask(*["a"] * 9)
        with pytest.raises(Busy, match="8 requests of yours wait already"):
            await stack.enter_async_context(crowd.gate.slot("a", each=1, total=1, patience=60))
        with pytest.raises(Busy, match="no turn within"):
            await stack.enter_async_context(crowd.gate.slot("b", each=1, total=1, patience=0.01))
    crowd.go_on.set()
    await asyncio.gather(*tasks)
    assert crowd.order == ["a"] * 9
