"""Refresh one file system: fetch its sums and quotas, join, publish."""

import asyncio

from aggregator.join.storage import join_storage
from aggregator.model.storage import Allocations, FilesystemUsage
from aggregator.model.view import FilesystemView
from aggregator.refresh.fetch import Feed, fetch_optional
from aggregator.refresh.stages import Publish, Stages


class FilesystemRefresher:
    """Keep one file system's view current."""

    def __init__(
        self,
        filesystem: str,
        *,
        usage: Feed[FilesystemUsage],
        allocations: Feed[Allocations] | None,
        hsm: bool,
        publish: Publish[FilesystemView],
        stages: Stages,
    ) -> None:
        self.name = f"file system {filesystem}"
        self._filesystem = filesystem
        self._usage = usage
        self._allocations = allocations
        self._hsm = hsm
        self._publish = publish
        self._stages = stages

    async def refresh(self, at: float) -> None:
        """Do one refresh at time `at`; without usage the file system's series disappear, they are not 0."""
        with self._stages.measure("fetch"):
            usage, allocations = await asyncio.gather(self._usage.fetch(at), fetch_optional(self._allocations, at))
        with self._stages.measure("join"):
            quotas = allocations.quotas.get(self._filesystem, {}) if allocations else {}
            view = (
                FilesystemView(filesystem=self._filesystem, time=at, hsm=self._hsm)
                if usage is None
                else join_storage(usage, self._hsm, quotas, "allocations")
            )
        with self._stages.measure("publish"):
            await self._publish(view)

    async def withdraw(self, at: float) -> None:
        """Show nothing of this file system, and count the failure."""
        self._stages.failed()
        await self._publish(FilesystemView(filesystem=self._filesystem, time=at, hsm=self._hsm))
