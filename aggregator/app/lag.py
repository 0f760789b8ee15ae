"""How late the event loop is: whatever blocks it delays every answer."""

import asyncio
from collections import deque

# What blocks the loop between two looks is not seen.
_EVERY_SECONDS = 0.05
_REMEMBERED = 1200


class Lag:
    """The event loop's delay: how much later than asked for it came back, over the last minute."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def longest(self) -> float:
        """Give the longest delay in seconds."""
        return max(self._seconds, default=0.0)

    async def measure(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            self._seconds.append(max(0.0, loop.time() - due))
