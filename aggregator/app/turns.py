"""Something that many ask for and that is done once at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Do something when asked; those who ask while it is done share the next time, which is `seconds` later or more."""

    def __init__(self, do: Callable[[], Awaitable[T]], seconds: float) -> None:
        self.lock = asyncio.Lock()
        self._do = do
        self._seconds = seconds
        self._done = -seconds
        self._next: asyncio.Task[T] | None = None
        self._tasks: set[asyncio.Task[T]] = set()

    def ask(self) -> asyncio.Task[T]:
        """Give the next time that it is done."""
        if self._next is None:
            self._next = task = asyncio.create_task(self._in_turn())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._next

    async def stop(self) -> None:
        """End what is done, and what would be."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_turn(self) -> T:
        async with self.lock:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._done + self._seconds - loop.time())
            # Who asks from here on asks for what may not be seen any more this time.
            self._next, self._done = None, loop.time()
            return await self._do()
