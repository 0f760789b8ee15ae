"""Refresh what is made of parts: fetch their inputs, join, publish."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aggregator import executors
from aggregator.engine.part import Inputs, Layout
from aggregator.engine.view import View
from aggregator.refresh.fetch import Fetches, fetch_optional
from aggregator.refresh.stages import Publish, Stages

_log = logging.getLogger(__name__)


class Failing:
    """The parts of one thing that fail: the log has each one's first error with its trace, and its end."""

    def __init__(self, of: str, count: Callable[[], None]) -> None:
        self._of = of
        self._count = count
        self._failing: frozenset[str] = frozenset()

    def tell(self, failed: Mapping[str, Exception]) -> None:
        """Tell the errors of a refresh by part; one in which a part failed is counted."""
        if failed:
            self._count()
        for part in sorted(failed.keys() - self._failing):
            _log.error("part failed, what it shows is withdrawn: of=%s part=%s", self._of, part, exc_info=failed[part])
        for part in sorted(self._failing - failed.keys()):
            _log.info("part succeeded: of=%s part=%s", self._of, part)
        self._failing = frozenset(failed)


class PartsRefresher:
    """Keep the view of one file system or cloud current; what its configuration says is an input like others."""

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        layout: Layout,
        facts: object,
        feeds: Sequence[Fetches[Any] | None],
        publish: Publish[View],
        stages: Stages,
    ) -> None:
        self.name = f"{kind} {name}"
        self._of = name
        self._layout = layout
        self._facts = facts
        self._feeds = feeds
        self._publish = publish
        self._stages = stages
        self._failing = Failing(self.name, stages.failed)

    async def refresh(self, at: float) -> None:
        """Do one refresh at time `at`; what could not be read disappears from the page, it is not 0."""
        with self._stages.measure("fetch"):
            found = await asyncio.gather(*(fetch_optional(feed, at) for feed in self._feeds))
        with self._stages.measure("join"):
            joined = await executors.run(executors.REFRESH, self._layout.join, Inputs(self._facts, *found), at)
        self._failing.tell(joined.failed)
        with self._stages.measure("publish"):
            await self._publish(View(self._of, at, joined.frames))

    async def withdraw(self, at: float) -> None:
        """Show nothing of it, and count the failure."""
        self._stages.failed()
        await self._publish(View(self._of, at, self._layout.empty()))
