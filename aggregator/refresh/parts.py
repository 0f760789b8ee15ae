"""Refresh what is made of parts: fetch their inputs, join, publish."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aggregator import executors
from aggregator.engine.part import Inputs, Layout
from aggregator.engine.view import View
from aggregator.refresh.fetch import Fetches, fetch_optional
from aggregator.refresh.stages import Publish, Stages

_log = logging.getLogger(__name__)


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
        self._failing: frozenset[str] = frozenset()

    async def refresh(self, at: float) -> None:
        """Do one refresh at time `at`; what could not be read disappears from the page, it is not 0."""
        with self._stages.measure("fetch"):
            found = await asyncio.gather(*(fetch_optional(feed, at) for feed in self._feeds))
        with self._stages.measure("join"):
            joined = await executors.run(executors.REFRESH, self._layout.join, Inputs(self._facts, *found), at)
        self._tell(joined.failed)
        with self._stages.measure("publish"):
            await self._publish(View(self._of, at, joined.frames))

    async def withdraw(self, at: float) -> None:
        """Show nothing of it, and count the failure."""
        self._stages.failed()
        await self._publish(View(self._of, at, self._layout.empty()))

    def _tell(self, failed: Mapping[str, Exception]) -> None:
        """Count a refresh in which a part failed; the log has each part's first error with its trace, and its end."""
        if failed:
            self._stages.failed()
        for part in sorted(failed.keys() - self._failing):
            _log.error("part failed, what it shows is withdrawn: of=%s part=%s", self.name, part, exc_info=failed[part])
        for part in sorted(self._failing - failed.keys()):
            _log.info("part succeeded: of=%s part=%s", self.name, part)
        self._failing = frozenset(failed)
