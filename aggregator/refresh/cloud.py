"""Refresh one cloud: fetch what runs in it, join, publish."""

import asyncio

from aggregator.join.cloud import join_cloud
from aggregator.model.cloud import CloudUse, CloudView, IdleRule
from aggregator.model.storage import Allocations
from aggregator.refresh.fetch import Feed, Fetches, fetch_optional
from aggregator.refresh.stages import Publish, Stages


class CloudRefresher:
    """Keep one cloud's view current."""

    def __init__(
        self,
        cloud: str,
        *,
        use: Feed[CloudUse],
        allocations: Fetches[Allocations] | None,
        rule: IdleRule,
        publish: Publish[CloudView],
        stages: Stages,
    ) -> None:
        self.name = f"cloud {cloud}"
        self._cloud = cloud
        self._use = use
        self._allocations = allocations
        self._rule = rule
        self._publish = publish
        self._stages = stages

    async def refresh(self, at: float) -> None:
        """Do one refresh at time `at`; without use the cloud's series disappear, they are not 0."""
        with self._stages.measure("fetch"):
            use, allocations = await asyncio.gather(self._use.fetch(at), fetch_optional(self._allocations, at))
        with self._stages.measure("join"):
            members = allocations.project_members.get(self._cloud, {}) if allocations else {}
            view = self._empty(at) if use is None else join_cloud(self._cloud, use, self._rule, members)
        with self._stages.measure("publish"):
            await self._publish(view)

    async def withdraw(self, at: float) -> None:
        """Show nothing of this cloud, and count the failure."""
        self._stages.failed()
        await self._publish(self._empty(at))

    def _empty(self, at: float) -> CloudView:
        return CloudView(cloud=self._cloud, time=at, rule=self._rule)
