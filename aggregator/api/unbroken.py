"""What must not be left half done when a client leaves, or its time is up."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

T = TypeVar("T")
# The event loop itself holds tasks only weakly.
_UNDER_WAY: Final = set[asyncio.Future[Any]]()


async def to_the_end(work: Awaitable[T]) -> T:
    """Wait for work that goes on when the waiting is cancelled."""
    task = asyncio.ensure_future(work)
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    return await asyncio.shield(task)
