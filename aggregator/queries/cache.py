"""Reads that are cached for a moment, one at a time per key, and few at once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CachedReads(Generic[K, V]):
    """Share one read among those who ask for the same at the same time, and its result while `cache` has it.

    `gate` bounds the reads that are under way at once; several of these may share one.
    """

    def __init__(self, cache: MutableMapping[K, V], gate: asyncio.Semaphore | None = None) -> None:
        self._cache = cache
        self._gate: AbstractAsyncContextManager[object] = gate or nullcontext()
        self._under_way: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, read: Callable[[], Awaitable[V]], keep: Callable[[V], bool] = lambda _: True) -> V:
        """Give what `read` gives; an error is not cached, nor is a result that `keep` refuses."""
        if key in self._cache:
            return self._cache[key]
        if key not in self._under_way:
            task = asyncio.ensure_future(self._run(read))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Shielded: one impatient client must not cancel the read that others wait for.
        value = await asyncio.shield(self._under_way[key])
        if keep(value):
            self._cache[key] = value
        return value

    async def _run(self, read: Callable[[], Awaitable[V]]) -> V:
        async with self._gate:
            return await read()
