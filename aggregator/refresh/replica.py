"""Measure a replica again and again: the outcome is the source's health."""

from aggregator.model.replication import Replication
from aggregator.refresh.fetch import Feed


class ReplicaRefresher:
    """Keep what is known of one cluster's replica current; apart from the cluster's refresh, which must not wait."""

    def __init__(self, cluster: str, feed: Feed[Replication]) -> None:
        self.name = f"replica of cluster {cluster}"
        self._feed = feed

    async def refresh(self, at: float) -> None:
        """Measure it."""
        await self._feed.fetch(at)

    async def withdraw(self, at: float) -> None:
        """Show nothing: there is nothing to be shown of it."""
