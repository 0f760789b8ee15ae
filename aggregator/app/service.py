"""The service: sources → refresh loops → snapshot and page; can be given another site while it runs."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

from aggregator.api.keys import ReplicaNotes
from aggregator.app.lag import Lag
from aggregator.app.schedule import Outlets, Timing, schedule
from aggregator.app.site import AccountingSource, Site
from aggregator.exposition import Page, ServiceMetrics, Vitals, VitalsCollector
from aggregator.queries.around import AroundQueries, AroundReader
from aggregator.queries.history import HistoryQueries, HistoryReader
from aggregator.queries.jobs import JobQueries
from aggregator.queries.scripts import ScriptQueries
from aggregator.queries.series import SeriesQueries, SeriesReader, cloud_key, quota_key
from aggregator.queries.usage import UsageQueries
from aggregator.refresh.loop import run_loops
from aggregator.refresh.progress import Progress
from aggregator.refresh.store import SnapshotStore
from aggregator.refresh.summaries import SummaryKeeper
from aggregator.sources import mysql
from aggregator.sources.base import UsageReader
from aggregator.state import StateStore

T = TypeVar("T")
SiteOpener = Callable[[], AbstractAsyncContextManager[Site]]


class Service:
    """Own the snapshot, the page and the loops that renew them."""

    def __init__(self, state: StateStore, clock: Callable[[], float] = time.time) -> None:
        self.state = state
        self.store = SnapshotStore()
        self.metrics = ServiceMetrics(lambda: self.store.current, now=clock())
        self.page = Page(self.metrics.registry, self.store.is_late)
        self.metrics.series = self.page.series
        self._readers: dict[str, AccountingSource] = {}
        self.jobs = JobQueries(self._readers, state, state.ledger)
        self._histories: dict[str, HistoryReader] = {}
        self.history = HistoryQueries(self._histories)
        self._arounds: dict[str, AroundReader] = {}
        self.around = AroundQueries(self.jobs, self._arounds)
        self.scripts = ScriptQueries(self.jobs, self._readers, state.scripts)
        self._usages: dict[str, UsageReader] = {}
        self.usage = UsageQueries(self._usages, self._readers)
        self._series: dict[str, SeriesReader] = {}
        self.series = SeriesQueries(self._series)
        self.replicas: dict[str, ReplicaNotes] = {}
        self.progress = Progress()
        self.lag = Lag()
        VitalsCollector(self._vitals()).register(self.metrics.registry)
        self._clock = clock
        self._stack = AsyncExitStack()
        self._loops: asyncio.Task[None] | None = None

    async def start(self, open_site: SiteOpener, timing: Timing) -> None:
        """Open the site's sources and refresh from them; what is of another site is dropped, the rest stays."""
        await self.stop()
        site = await self._stack.enter_async_context(open_site())
        self._connect(site)
        for kept in (self.store, self.page):
            kept.keep_only(site.clusters.keys(), site.filesystems.keys(), site.clouds.keys())
        keeper = SummaryKeeper(self.state, timing.retention, self.store.publish_source)
        refreshers = schedule(site, timing, Outlets(self.store, self.page, self.metrics, keeper.keep, self.state))
        loops = run_loops(refreshers, self._clock, self.progress, timing.stalled_after)
        self._loops = asyncio.create_task(loops, name="refresh")

    def _connect(self, site: Site) -> None:
        """Let what is read on demand be read from this site's sources."""
        clusters = site.clusters.items()
        _replace(self._readers, ((name, each.accounting) for name, each in clusters))
        _replace(self._histories, ((name, each.history) for name, each in clusters))
        _replace(self._arounds, ((name, each.around) for name, each in clusters))
        _replace(self._usages, ((name, each.usage) for name, each in clusters))
        _replace(self.replicas, ((name, each.replica) for name, each in clusters))
        _replace(
            self._series,
            (
                *((name, each.series) for name, each in clusters),
                *((cloud_key(name), each.series) for name, each in site.clouds.items()),
                *((quota_key(name), each.series) for name, each in site.filesystems.items()),
            ),
        )

    def _vitals(self) -> Vitals:
        return Vitals(
            loops=self.progress.ages,
            stalled=self.progress.stalled,
            connections=lambda: {**mysql.connections(), "state": self.state.connections()},
            lag=self.lag.longest,
            set_aside=lambda: self.state.set_aside,
        )

    async def stop(self) -> None:
        """End the loops and close every source."""
        loops, self._loops = self._loops, None
        if loops is not None:
            loops.cancel()
            await asyncio.gather(loops, return_exceptions=True)
        await self._stack.aclose()


def _replace(known: dict[str, T], found: Iterable[tuple[str, T | None]]) -> None:
    """Put what there is now in place of what there was."""
    known.clear()
    known.update({name: each for name, each in found if each is not None})
