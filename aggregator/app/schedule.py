"""From a site's sources to the refreshers that bring its views up to date."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from aggregator import executors
from aggregator.app.exported import CloudSources
from aggregator.app.layouts import CLOUDS, FILESYSTEMS
from aggregator.app.site import STALE_INTERVALS, ClusterSources, FilesystemSources, Site
from aggregator.engine.exposition import Limits
from aggregator.engine.part import Layout
from aggregator.engine.view import View
from aggregator.exposition import Budget, Page, ServiceMetrics
from aggregator.footprint import give_back
from aggregator.model.decay import Decay
from aggregator.model.energy import Prices
from aggregator.model.storage import Allocations
from aggregator.model.view import ClusterView, SourceStatus
from aggregator.parts.cloud.inputs import Cloud
from aggregator.parts.jobs.efficiency import FairShare
from aggregator.parts.jobs.settings import JOB_NAME_BYTES, JobSettings
from aggregator.parts.nodes.settings import NodeSettings
from aggregator.parts.storage.inputs import Filesystem
from aggregator.parts.waste.rules import Compiled, compile_rules
from aggregator.refresh.alerts import AlertFeed
from aggregator.refresh.cluster import ClusterFeeds, ClusterRefresher
from aggregator.refresh.fetch import Believe, Feed, Fetches, believe_all
from aggregator.refresh.ledger import LedgerRefresher, LedgerSettings, PowerSource
from aggregator.refresh.loop import Scheduled
from aggregator.refresh.lustre import LustreRefresher
from aggregator.refresh.memory import Memory
from aggregator.refresh.parts import PartsRefresher
from aggregator.refresh.progress import STALLED_AFTER
from aggregator.refresh.replica import ReplicaRefresher
from aggregator.refresh.silence import doubt, vanished
from aggregator.refresh.stages import Publish, Stages
from aggregator.refresh.store import SnapshotStore
from aggregator.refresh.summaries import Retention
from aggregator.refresh.usage import STALE_SECONDS, UsageRefresher, UsageWindows
from aggregator.sources.base import EndedRuns, Source, UsageReader
from aggregator.state import StateStore

T = TypeVar("T")
# So long a source of another package's part may take.
OTHERS_TIMEOUT: Final = 10.0
# What is not believed at once of some inputs, by their source.
_BELIEVE: Final[Mapping[str, Believe]] = {"slurm_exporter": vanished}


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of the refresh and of the ledger in seconds, what counts as a normal share of a node, by which rules
    waste is judged, what things cost, the month and day on which the fiscal year begins, how long a job's name may be
    on the page, in which units a GPU of a type counts, and how many rows of each group of families may have series.

    A fetch may take `timeout`: as long as it likes within it, the last good data are served meanwhile.
    """

    interval: float = 30.0
    stale_after: float = 300.0
    stalled_after: float = STALLED_AFTER
    timeout: float = 60.0
    retention: Retention = field(default_factory=Retention)
    fair_share: FairShare = field(default_factory=FairShare)
    rules: Compiled = field(default_factory=lambda: compile_rules(()))
    prices: Prices = field(default_factory=Prices)
    backfill: float = 86_400.0
    fiscal_year: tuple[int, int] | None = None
    job_name_bytes: int = JOB_NAME_BYTES
    gpu_units: Mapping[str, float] = field(default_factory=dict)
    series: Limits = field(default_factory=dict)


class SharedAllocations:
    """The allocations as they are configured now: one feed for all, which changes beneath those who read it."""

    def __init__(self) -> None:
        self.feed: Feed[Allocations] | None = None

    async def fetch(self, at: float) -> Allocations | None:
        """Give what is known at `at`; None when nothing is, or none are configured."""
        return await self.feed.fetch(at) if self.feed else None


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the results of a refresh go, and what is known from before; clusters is the layout of their frames."""

    store: SnapshotStore
    page: Page
    metrics: ServiceMetrics
    keep: Publish[ClusterView]
    state: StateStore
    allocations: SharedAllocations
    memory: Memory
    clusters: Layout

    def publish_source(self, status: SourceStatus) -> None:
        """Tell the health of a source of this part."""
        self.memory.note(status)
        self.store.publish_source(status)

    def stages(self, cluster: str, filesystem: str) -> Stages:
        """Make what a refresher tells its times and failures."""
        metrics = self.metrics
        return Stages(
            partial(metrics.observe_stage, cluster, filesystem), partial(metrics.count_failure, cluster, filesystem)
        )

    def publisher(self, name: str, timing: Timing) -> Publish[ClusterView]:
        """Make the function that renders a cluster's view off the event loop and then publishes view and page together.

        Both are shown for `stale_after` seconds, should no other follow.
        """
        budget = self._budget(self.clusters, name, timing)

        async def publish(view: ClusterView) -> None:
            members = await executors.run(executors.REFRESH, budget.render, view.cluster, view.frames)
            # No await between the two: page and API show the same snapshot.
            self.store.publish_cluster(view, timing.stale_after)
            self.page.publish(("cluster", name), members)
            await executors.run(executors.REFRESH, give_back)

        return publish

    def parts_publisher(
        self, layout: Layout, name: str, show: Callable[[View, float], None], timing: Timing
    ) -> Publish[View]:
        """Make the same for what is made of parts, which `show` shows in the API."""
        budget = self._budget(layout, name, timing)

        async def publish(view: View) -> None:
            members = await executors.run(executors.REFRESH, budget.render, view.name, view.frames)
            show(view, timing.stale_after)
            self.page.publish((layout.kind, view.name), members)

        return publish

    def _budget(self, layout: Layout, name: str, timing: Timing) -> Budget:
        return self.memory.keep(f"series of a {layout.kind}", name, Budget(layout, timing.series))


def schedule(site: Site, timing: Timing, outlets: Outlets) -> list[Scheduled]:
    """Make a refresher for each cluster, file system and cloud."""
    allocations = outlets.allocations
    if site.allocations:
        allocations.feed = _feed(site.allocations, "", timing, outlets)
    ledgers = {
        name: _ledger(name, sources.on_demand.jobs, sources.power, timing, outlets)
        for name, sources in site.clusters.items()
        if sources.power
    }
    usages = {
        name: _usage(name, sources.on_demand.jobs, sources.on_demand.usage, sources.decay, timing, outlets)
        for name, sources in site.clusters.items()
        if sources.on_demand.usage
    }
    clusters = [
        Scheduled(
            _cluster(name, sources, allocations, ledgers.get(name), usages.get(name), timing, outlets), timing.interval
        )
        for name, sources in site.clusters.items()
    ]
    filesystems = [
        Scheduled(_filesystem(name, sources, allocations, timing, outlets), sources.interval)
        for name, sources in site.filesystems.items()
    ]
    clouds = [
        Scheduled(_cloud(name, sources, allocations, timing, outlets), sources.interval)
        for name, sources in site.clouds.items()
    ]
    slow = [Scheduled(ledger, timing.interval) for ledger in ledgers.values()]
    slow += [Scheduled(usage, timing.interval) for usage in usages.values()]
    slow += [
        Scheduled(ReplicaRefresher(name, _feed(sources.replica, name, timing, outlets)), timing.interval)
        for name, sources in site.clusters.items()
        if sources.replica
    ]
    return clusters + slow + filesystems + clouds


def _usage(
    name: str, accounting: EndedRuns, reader: UsageReader, decay: Decay | None, timing: Timing, outlets: Outlets
) -> UsageRefresher:
    # Read far more rarely than the runs: it is not stale after their time.
    patient = replace(timing, stale_after=max(timing.stale_after, STALE_SECONDS))
    windows = UsageWindows(reader, accounting, timing.fiscal_year, decay)
    accounted = partial(_accounted, outlets.store, name)
    usage = UsageRefresher(name, _feed(windows, name, patient, outlets), accounted)
    return outlets.memory.keep("refresher of usage", name, usage)


def _accounted(store: SnapshotStore, name: str) -> ClusterView | None:
    """Give the cluster's view once its runs are known."""
    snapshot = store.latest
    status, view = snapshot.sources.get(("slurmacct", name)), snapshot.clusters.get(name)
    return view if view and view.time and status and status.up else None


def _ledger(name: str, accounting: EndedRuns, power: PowerSource, timing: Timing, outlets: Outlets) -> LedgerRefresher:
    ledger = LedgerRefresher(
        name,
        power=power,
        ended=accounting,
        keeper=outlets.state.ledger,
        settings=LedgerSettings(prices=timing.prices, backfill_seconds=timing.backfill, stale_after=timing.stale_after),
        snapshot=lambda: outlets.store.latest,
        publish=outlets.publish_source,
        failed=partial(outlets.metrics.count_failure, name, ""),
    )
    return outlets.memory.keep("ledger", name, ledger)


def _cluster(
    name: str,
    sources: ClusterSources,
    allocations: Fetches[Allocations],
    ledger: LedgerRefresher | None,
    usage: UsageRefresher | None,
    timing: Timing,
    outlets: Outlets,
) -> ClusterRefresher:
    if name not in outlets.store.current.clusters:
        # A cluster that is configured is known, though nothing is known of it yet.
        outlets.store.publish_cluster(ClusterView(name, 0.0, frames=outlets.clusters.empty()))
    # Others' sources are waited for, too: one that hangs must not hold the cluster up for long.
    brief = replace(timing, timeout=min(timing.timeout, OTHERS_TIMEOUT))
    lustre = None
    if sources.lustre:
        lustre = LustreRefresher(_feed(sources.lustre.use, name, timing, outlets), sources.lustre.users)
        lustre = outlets.memory.keep("names of uids", name, lustre)
    feeds = ClusterFeeds(
        _feed(sources.accounting, name, timing, outlets),
        _feed(sources.use, name, timing, outlets, doubt(lambda: outlets.store.latest.clusters[name].frames["jobs"]))
        if sources.use
        else None,
        bases=sources.bases,
        others=(
            allocations,
            ledger,
            usage,
            lustre,
            AlertFeed(name, outlets.state.alerts),
            *(_feed(each, name, timing, outlets, _BELIEVE.get(each.name, believe_all)) for each in sources.inputs),
            *(_feed(each, name, brief, outlets) for of in sources.parts.values() for each in of),
        ),
        learners=(lustre,) if lustre else (),
        facts=(
            JobSettings(timing.fair_share, timing.job_name_bytes, timing.gpu_units),
            timing.rules,
            NodeSettings(sources.kinds),
        ),
    )
    cluster = ClusterRefresher(
        name,
        feeds,
        layout=outlets.clusters,
        names=sources.names,
        publish=outlets.publisher(name, timing),
        keep=outlets.keep,
        stages=outlets.stages(name, ""),
    )
    return outlets.memory.keep("cluster", name, cluster)


def _filesystem(
    name: str, sources: FilesystemSources, allocations: Fetches[Allocations], timing: Timing, outlets: Outlets
) -> PartsRefresher:
    if name not in outlets.store.current.filesystems:
        outlets.store.publish_filesystem(View(name, 0.0, FILESYSTEMS.empty()))
    patient, quotas = _patient(timing, sources.interval), sources.quotas
    publish = outlets.parts_publisher(FILESYSTEMS, name, outlets.store.publish_filesystem, patient)
    return PartsRefresher(
        "file system",
        name,
        layout=FILESYSTEMS,
        facts=Filesystem(
            name, hsm=sources.hsm, scanned=sources.usage is not None, has_own_limits=bool(quotas and quotas.has_limits)
        ),
        feeds=(
            _feed(sources.usage, name, patient, outlets) if sources.usage else None,
            _feed(quotas.counts, name, patient, outlets) if quotas else None,
            allocations if sources.has_quotas else None,
        ),
        publish=publish,
        stages=outlets.stages("", name),
    )


def _cloud(
    name: str, sources: CloudSources, allocations: Fetches[Allocations], timing: Timing, outlets: Outlets
) -> PartsRefresher:
    if name not in outlets.store.current.clouds:
        outlets.store.publish_cloud(View(name, 0.0, CLOUDS.empty()))
    patient = _patient(timing, sources.interval)
    return PartsRefresher(
        "cloud",
        name,
        layout=CLOUDS,
        facts=Cloud(name, sources.rule),
        feeds=(_feed(sources.use, name, patient, outlets), allocations),
        publish=outlets.parts_publisher(CLOUDS, name, outlets.store.publish_cloud, patient),
        stages=outlets.stages(name, ""),
    )


def _patient(timing: Timing, interval: float) -> Timing:
    """Give the times of what has an interval of its own: what is read every 5 minutes is not stale after 5."""
    return replace(timing, interval=interval, stale_after=max(timing.stale_after, STALE_INTERVALS * interval))


def _feed(
    source: Source[T],
    scope: str,
    timing: Timing,
    outlets: Outlets,
    believe: Believe = believe_all,
) -> Feed[T]:
    feed = Feed(
        source,
        scope,
        timeout=timing.timeout,
        stale_after=timing.stale_after,
        publish=outlets.publish_source,
        observe=outlets.metrics.observe_fetch,
        believe=believe,
        interval=timing.interval,
    )
    return outlets.memory.keep(source.name, scope, feed)
