"""The service: sources → refresh loops → snapshot and page; parts of its site can be replaced while it runs."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack

from aggregator.api.keys import AnswerSources
from aggregator.app.lag import Lag
from aggregator.app.layouts import CLUSTERS, families_with
from aggregator.app.part import Part, Running, SiteOpener, open_parts
from aggregator.app.schedule import Outlets, SharedAllocations, Timing, schedule
from aggregator.app.site import Key, Site
from aggregator.engine.part import Layout
from aggregator.exposition import Page, ServiceMetrics, Vitals, vitals_families
from aggregator.queries.readers import Queries
from aggregator.queries.series import cloud_key, quota_key
from aggregator.refresh.loop import run_loops
from aggregator.refresh.memory import Memory
from aggregator.refresh.progress import Progress
from aggregator.refresh.store import SnapshotStore
from aggregator.refresh.summaries import Retention, SummaryKeeper
from aggregator.sources import mysql
from aggregator.sources.prometheus import Presence
from aggregator.state import StateStore

# Requests that read from a source when it is replaced may come to their end.
DRAIN_SECONDS = 10.0


class Service:
    """Own the snapshot, the page and the loops that renew them."""

    def __init__(self, state: StateStore, clock: Callable[[], float] = time.time, clusters: Layout = CLUSTERS) -> None:
        self.state = state
        self.clusters = clusters
        self.store = SnapshotStore()
        self.metrics = ServiceMetrics(lambda: self.store.current, now=clock())
        own = (self.metrics.families(), vitals_families(self._vitals, self.metrics.registry))
        self.page = Page(own, families_with(clusters), self.store.is_late)
        self.metrics.series, self.metrics.folded = self.page.series, self.page.folded
        self.queries = Queries(state, state.ledger, state.scripts)
        self.presences: dict[str, Presence] = {}
        self.progress = Progress()
        self.lag = Lag()
        self._clock = clock
        self._keeper = SummaryKeeper(state, Retention(), self.store.publish_source)
        self._allocations = SharedAllocations()
        self._running: dict[Key, Running] = {}
        self._replaced: set[Running] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def answer_sources(self) -> AnswerSources:
        """Give what answers are made of."""
        return AnswerSources(
            store=self.store, page=self.page, queries=self.queries, scripts=self.state.scripts, alerts=self.state.alerts
        )

    async def start(self, open_site: SiteOpener, timing: Timing) -> None:
        """Open a whole site's sources and refresh from them."""
        await self.run({("site", ""): Part(open_site, timing, reads=open_site, judges=timing)}, timing.retention)

    async def run(self, parts: Mapping[Key, Part], retention: Retention) -> None:
        """Run these parts: one that runs already goes on undisturbed, another takes over what its like knew.

        Raises ConfigError for a part that cannot be opened; nothing has changed then.
        """
        opened = await open_parts(parts, self._running)
        before = self._running
        kept = {key: each for key, each in before.items() if parts.get(key) == each.part}
        changed = {key: each for key, each in before.items() if key not in kept}
        await _end_loops(changed.values())
        self._running = {key: kept.get(key) or opened.get(key) or before[key].with_part(parts[key]) for key in parts}
        self._keeper.retention = retention
        sites = [each.site for each in self._running.values()]
        self._connect(sites)
        self._forget(sites)
        for key, each in self._running.items():
            if key not in kept:
                self._refresh(key, each, changed.get(key))
        self._forget_sources(changed.values())
        self._close_soon([each for key, each in changed.items() if key not in parts or key in opened])

    def _refresh(self, key: Key, running: Running, before: Running | None) -> None:
        """Begin to refresh a part."""
        running.memory = Memory(before.memory if before else None)
        outlets = Outlets(
            self.store, self.page, self.metrics, self._keeper.keep, self.state, self._allocations, running.memory,
            self.clusters,
        )  # fmt: skip
        refreshers = schedule(running.site, running.part.timing, outlets)
        loops = run_loops(refreshers, self._clock, self.progress, running.part.timing.stalled_after)
        running.loops = asyncio.create_task(loops, name=f"refresh {' '.join(key)}")

    def _forget(self, sites: Collection[Site]) -> None:
        """Forget what is not configured any more."""
        for kept in (self.store, self.page):
            kept.keep_only(
                {name for site in sites for name in site.clusters},
                {name for site in sites for name in site.filesystems},
                {name for site in sites for name in site.clouds},
            )
        if not any(site.allocations for site in sites):
            self._allocations.feed = None

    def _forget_sources(self, changed: Iterable[Running]) -> None:
        told = {key for each in self._running.values() for key in each.memory.sources}
        self.store.forget_sources({key for each in changed for key in each.memory.sources} - told)

    def _connect(self, sites: Iterable[Site]) -> None:
        """Let what is read on demand be read from these sources."""
        clusters = {name: each for site in sites for name, each in site.clusters.items()}
        self.presences = {name: each.presence for name, each in clusters.items() if each.presence}
        self.queries.connect({name: each.on_demand for name, each in clusters.items()}, (
            *((cloud_key(name), each.series) for site in sites for name, each in site.clouds.items()),
            *((quota_key(name), each.series) for site in sites for name, each in site.filesystems.items()),
        ))  # fmt: skip

    def _vitals(self) -> Vitals:
        return Vitals(
            loops=self.progress.ages(),
            stalled=self.progress.stalled(),
            connections={**mysql.connections(), "state": self.state.connections()},
            lag=self.lag.longest(),
            set_aside=self.state.set_aside,
        )

    async def stop(self) -> None:
        """End the loops and close every source."""
        running = [*self._running.values(), *self._replaced]
        self._running.clear()
        self._replaced.clear()
        await _end_loops(running)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await _close(running)

    def _close_soon(self, parts: Collection[Running]) -> None:
        """Close what nothing begins to read from any more."""
        if parts:
            self._replaced.update(parts)
            task = asyncio.create_task(self._close_later(parts), name="close what was replaced")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close_later(self, parts: Collection[Running]) -> None:
        await asyncio.sleep(DRAIN_SECONDS)
        self._replaced.difference_update(parts)
        await _close(parts)


async def _end_loops(parts: Iterable[Running]) -> None:
    loops = [each.loops for each in parts if each.loops is not None]
    for task in loops:
        task.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def _close(parts: Iterable[Running]) -> None:
    async with AsyncExitStack() as stack:
        # All of them, whatever one raises.
        for each in parts:
            stack.push_async_callback(each.stack.aclose)
