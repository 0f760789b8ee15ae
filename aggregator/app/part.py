"""One part of what the service runs: it is opened, refreshed and closed on its own."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace

from aggregator.app.schedule import Timing
from aggregator.app.site import Key, Site
from aggregator.refresh.memory import Memory

SiteOpener = Callable[[], AbstractAsyncContextManager[Site]]


@dataclass(frozen=True, slots=True)
class Part:
    """A cluster, a file system, a cloud or the allocations, and how they are refreshed.

    Parts with equal `reads` have the same sources; with equal `judges` too, the one is as good as the other.
    """

    open_site: SiteOpener = field(compare=False)
    timing: Timing = field(compare=False)
    reads: object
    judges: object


@dataclass(slots=True, eq=False)
class Running:
    """A part that is open: its sources, what closes them, what is known of them, and the loops that read them."""

    part: Part
    site: Site
    stack: AsyncExitStack
    memory: Memory = field(default_factory=Memory)
    loops: asyncio.Task[None] | None = None

    def with_part(self, part: Part) -> "Running":
        """Give the same sources, to be refreshed in another way."""
        return replace(self, part=part, loops=None)


async def open_parts(parts: Mapping[Key, Part], running: Mapping[Key, Running]) -> dict[Key, Running]:
    """Open the parts whose sources do not run yet.

    Raises ConfigError for one that cannot be opened, and leaves none open then.
    """
    async with AsyncExitStack() as opened:
        found: dict[Key, Running] = {}
        for key, part in parts.items():
            known = running.get(key)
            if known is None or known.part.reads != part.reads:
                stack = AsyncExitStack()
                opened.push_async_callback(stack.aclose)
                found[key] = Running(part, await stack.enter_async_context(part.open_site()), stack)
        opened.pop_all()
        return found
