"""Reads that are cached for a moment, one at a time per key, and few at once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Shared(Generic[V]):
    """A read that is under way, and how many wait for it."""

    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiting = 0


class CachedReads(Generic[K, V]):
    """Share one read among those who ask for the same at the same time, and its result while `cache` has it.

    `gate` bounds the reads that are under way at once; several of these may share one. A read ends when the last of
    those who wait for it has left.
    """

    def __init__(self, cache: MutableMapping[K, V], gate: asyncio.Semaphore | None = None) -> None:
        self._cache = cache
        self._gate: AbstractAsyncContextManager[object] = gate or nullcontext()
        self._under_way: dict[K, _Shared[V]] = {}

    async def get(self, key: K, read: Callable[[], Awaitable[V]], keep: Callable[[V], bool] = lambda _: True) -> V:
        """Give what `read` gives; an error is not cached, nor is a result that `keep` refuses."""
        if key in self._cache:
            return self._cache[key]
        shared = self._under_way.get(key) or self._begin(key, read)
        shared.waiting += 1
        try:
            # Shielded: one impatient client must not cancel the read that others wait for.
            value = await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                shared.task.cancel()
                self._end(key, shared)
        if keep(value):
            self._cache[key] = value
        return value

    def _begin(self, key: K, read: Callable[[], Awaitable[V]]) -> _Shared[V]:
        shared = self._under_way[key] = _Shared(asyncio.ensure_future(self._run(read)))
        shared.task.add_done_callback(lambda _: self._end(key, shared))
        return shared

    def _end(self, key: K, shared: _Shared[V]) -> None:
        """Let nobody join it any more; a newer read of the same key stays."""
        if self._under_way.get(key) is shared:
            del self._under_way[key]

    async def _run(self, read: Callable[[], Awaitable[V]]) -> V:
        async with self._gate:
            return await read()
