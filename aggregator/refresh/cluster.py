"""Refresh one cluster: fetch its sources at one evaluation time, join, publish, keep what has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aggregator import executors
from aggregator.join.cluster import join_cluster
from aggregator.join.efficiency import FairShare
from aggregator.join.energy import LedgerView
from aggregator.join.waste import Judge
from aggregator.model.accounting import Accounting
from aggregator.model.lustre import LustreUse
from aggregator.model.node import Hosts, Kind, Scheduler
from aggregator.model.nodename import NodeRule
from aggregator.model.storage import Allocations
from aggregator.model.usage import UsageView
from aggregator.model.use import Base, Use
from aggregator.model.view import ClusterView, JobUse
from aggregator.refresh.bases import BaseReader, Bases
from aggregator.refresh.fetch import Feed, Fetches, fetch_optional
from aggregator.refresh.lustre import LustreRefresher
from aggregator.refresh.stages import Publish, Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFeeds:
    """What is read of nodes besides the jobs on them; kinds has the hosts that are no compute nodes, names the rule."""

    scheduler: Feed[Scheduler] | None = None
    hosts: Feed[Hosts] | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    names: NodeRule = field(default_factory=NodeRule)

    async def fetch(self, at: float) -> tuple[Scheduler | None, Hosts | None]:
        """Fetch both, as far as they are configured."""
        return await asyncio.gather(fetch_optional(self.scheduler, at), fetch_optional(self.hosts, at))


class ClusterRefresher:
    """Keep one cluster's view current."""

    def __init__(
        self,
        cluster: str,
        *,
        accounting: Feed[Accounting],
        use: Feed[Use] | None,
        bases: BaseReader | None = None,
        allocations: Fetches[Allocations] | None,
        ledger: Callable[[float], Awaitable[LedgerView | None]] | None = None,
        usage: Callable[[], UsageView | None] = lambda: None,
        levels: Feed[Mapping[str, float]] | None = None,
        lustre: LustreRefresher | None = None,
        nodes: NodeFeeds | None = None,
        fair_share: FairShare,
        judge: Judge,
        previous: Mapping[int, JobUse],
        publish: Publish[ClusterView],
        keep: Publish[ClusterView],
        stages: Stages,
    ) -> None:
        self.name = f"cluster {cluster}"
        self._cluster = cluster
        self._accounting = accounting
        self._use = use
        self._bases = Bases(bases)
        self._allocations = allocations
        self._ledger = ledger
        self._usage = usage
        self._levels = levels
        self._lustre = lustre
        self._nodes = nodes or NodeFeeds()
        self._fair_share = fair_share
        self._judge = judge
        self._publish = publish
        self._keep = keep
        self._stages = stages
        self._previous = previous

    def take_over(self, before: "ClusterRefresher") -> None:
        """Go on from what another refresher of the same cluster had found out."""
        self._bases.take_over(before._bases)
        if self._lustre and before._lustre:
            self._lustre.take_over(before._lustre)

    async def refresh(self, at: float) -> None:
        """Do one refresh at evaluation time `at`."""
        with self._stages.measure("fetch"):
            accounting, use, allocations, levels, lustre, (scheduler, hosts) = await asyncio.gather(
                self._accounting.fetch(at),
                fetch_optional(self._use, at),
                fetch_optional(self._allocations, at),
                fetch_optional(self._levels, at),
                fetch_optional(self._lustre, at),
                self._nodes.fetch(at),
            )
            if self._lustre:
                await self._lustre.learn(lustre, accounting, at)
            ledger = await self._ledger(at) if self._ledger else None
            bases = await self._bases.of(accounting.runs if accounting else (), at)
        with self._stages.measure("join"):
            view = await executors.run(
                executors.REFRESH,
                self._join,
                at,
                accounting,
                use,
                bases,
                allocations,
                ledger,
                levels,
                lustre,
                scheduler,
                hosts,
            )
        self._accounting.learn("gpus_agree", view.gpus_agree)
        self._previous = {job.run.run_id: job.use for job in view.jobs}
        with self._stages.measure("publish"):
            await self._publish(view)
        with self._stages.measure("keep"):
            await self._keep(view)

    async def withdraw(self, at: float) -> None:
        """Show no job of this cluster, and count the failure."""
        self._stages.failed()
        await self._publish(ClusterView(self._cluster, at))

    def _join(
        self,
        at: float,
        accounting: Accounting | None,
        use: Use | None,
        bases: Mapping[int, Base],
        allocations: Allocations | None,
        ledger: LedgerView | None,
        levels: Mapping[str, float] | None,
        lustre: LustreUse | None,
        scheduler: Scheduler | None,
        hosts: Hosts | None,
    ) -> ClusterView:
        return join_cluster(
            self._cluster,
            at,
            accounting,
            use,
            previous=self._previous,
            bases=bases,
            fair_share=self._fair_share,
            awards=allocations.awards if allocations else {},
            ledger=ledger,
            judge=self._judge,
            usage=self._usage(),
            levels=levels,
            lustre=self._lustre.view(lustre, accounting) if self._lustre else None,
            scheduler=scheduler,
            hosts=hosts,
            kinds=self._nodes.kinds,
            names=self._nodes.names,
        )
