"""Refresh one file system: fetch its sums and quotas, join, publish."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aggregator.join.quotas import add_group_counts, add_user_counts
from aggregator.join.storage import join_storage
from aggregator.model.storage import Allocations, FilesystemUsage, QuotaCounts, StorageQuota
from aggregator.model.view import FilesystemView
from aggregator.refresh.fetch import Feed, Fetches, fetch_optional
from aggregator.refresh.stages import Publish, Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The quotas of a file system from Prometheus: their source's name, and whether their owners are users."""

    counts: Feed[QuotaCounts]
    source: str
    of_users: bool = False

    @property
    def has_limits(self) -> bool:
        """Tell whether the limits come with them, not from the allocations file."""
        return self.source == "gpfs"


class FilesystemRefresher:
    """Keep one file system's view current: from Robinhood, from quota series, or from both."""

    def __init__(
        self,
        filesystem: str,
        *,
        usage: Feed[FilesystemUsage] | None,
        allocations: Fetches[Allocations] | None,
        hsm: bool,
        publish: Publish[FilesystemView],
        stages: Stages,
        quotas: Quotas | None = None,
    ) -> None:
        self.name = f"file system {filesystem}"
        self._filesystem = filesystem
        self._usage = usage
        self._allocations = allocations
        self._quotas = quotas
        self._hsm = hsm
        self._publish = publish
        self._stages = stages

    async def refresh(self, at: float) -> None:
        """Do one refresh at time `at`; without usage the file system's series disappear, they are not 0."""
        with self._stages.measure("fetch"):
            usage, counts, allocations = await asyncio.gather(
                fetch_optional(self._usage, at),
                fetch_optional(self._quotas.counts if self._quotas else None, at),
                fetch_optional(self._allocations, at),
            )
        with self._stages.measure("join"):
            view = self._join(at, usage, counts, allocations or Allocations(at))
        with self._stages.measure("publish"):
            await self._publish(view)

    async def withdraw(self, at: float) -> None:
        """Show nothing of this file system, and count the failure."""
        self._stages.failed()
        await self._publish(self._empty(at))

    def _join(
        self, at: float, usage: FilesystemUsage | None, counts: QuotaCounts | None, allocations: Allocations
    ) -> FilesystemView:
        own = self._quotas is not None and self._quotas.has_limits
        quotas = {} if own else allocations.quotas.get(self._filesystem, {})
        view = self._empty(at) if usage is None else join_storage(usage, self._hsm, quotas, "allocations")
        members = allocations.group_members.get(self._filesystem, {})
        return replace(self._with_counts(view, counts, quotas), members=members)

    def _empty(self, at: float) -> FilesystemView:
        return FilesystemView(filesystem=self._filesystem, time=at, hsm=self._hsm, scanned=self._usage is not None)

    def _with_counts(
        self, view: FilesystemView, counts: QuotaCounts | None, quotas: Mapping[str, StorageQuota]
    ) -> FilesystemView:
        if counts is None or self._quotas is None:
            return view
        if self._quotas.of_users:
            return add_user_counts(view, counts.counts, self._quotas.source)
        return add_group_counts(view, counts.counts, quotas, self._quotas.source)
