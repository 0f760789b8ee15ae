"""A bound on what is done at once, fair between those who ask: nobody's second request goes before another's first."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aggregator.api.errors import Busy

# As many may wait, for each that may be under way.
_WAITING_PER_SLOT: Final = 8


class FairGate:
    """Let in so many at once, and only so many of one identity; the next of those who wait by turns."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        # The first is the next to have a turn.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._each = self._total = 0

    @asynccontextmanager
    async def slot(self, who: str, *, each: int, total: int, patience: float) -> AsyncIterator[None]:
        """Hold a slot while the body runs.

        Raises Busy when too many of the same identity wait already, or after `patience` seconds.
        """
        self._each, self._total = each, total
        if self._may_enter(who) and who not in self._waiting:
            self._under_way[who] += 1
        else:
            await self._wait(who, patience)
        try:
            yield
        finally:
            self._leave(who)

    def _may_enter(self, who: str) -> bool:
        return self._under_way[who] < self._each and self._under_way.total() < self._total

    async def _wait(self, who: str, patience: float) -> None:
        queue = self._waiting.setdefault(who, deque())
        if len(queue) >= self._each * _WAITING_PER_SLOT:
            raise Busy(f"{len(queue)} requests of yours wait already for {self._each} that are under way")
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException as error:
            self._give_up(who, turn)
            if isinstance(error, TimeoutError):
                raise Busy(f"no turn within {patience:g} s: too much is asked at once") from None
            raise

    def _give_up(self, who: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            # Its turn had just come.
            self._leave(who)
        elif turn in self._waiting.get(who, ()):
            self._waiting[who].remove(turn)
            self._forget_empty(who)

    def _leave(self, who: str) -> None:
        self._under_way[who] -= 1
        if not self._under_way[who]:
            del self._under_way[who]
        while (following := next((other for other in self._waiting if self._may_enter(other)), None)) is not None:
            self._let_in(following)

    def _let_in(self, who: str) -> None:
        turn = self._waiting[who].popleft()
        self._waiting.move_to_end(who)
        self._forget_empty(who)
        # One that was cancelled a moment ago has not left the queue yet.
        if not turn.done():
            turn.set_result(None)
            self._under_way[who] += 1

    def _forget_empty(self, who: str) -> None:
        if not self._waiting[who]:
            del self._waiting[who]
