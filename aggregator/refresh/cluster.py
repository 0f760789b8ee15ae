"""Refresh one cluster: fetch its sources at one evaluation time, join, publish, keep what has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aggregator import executors
from aggregator.engine.part import Before, Inputs, Layout
from aggregator.join.cluster import join_cluster
from aggregator.model.accounting import Accounting
from aggregator.model.job_inputs import Runs, runs_of
from aggregator.model.ledger import LedgerView
from aggregator.model.lustre import LustreUse, UidNames
from aggregator.model.node_inputs import ListedNodes
from aggregator.model.nodename import NodeRule
from aggregator.model.storage import Allocations
from aggregator.model.usage import UsageView
from aggregator.model.use import Base, Use
from aggregator.model.view import ClusterView
from aggregator.parts.waste.observation import observation
from aggregator.parts.waste.rules import Compiled
from aggregator.refresh import columns
from aggregator.refresh.bases import BaseReader, Bases
from aggregator.refresh.fetch import Feed, Fetches, fetch_optional
from aggregator.refresh.lustre import LustreRefresher
from aggregator.refresh.parts import Failing
from aggregator.refresh.stages import Publish, Stages

_RULE = NodeRule()


class ClusterRefresher:
    """Keep one cluster's view current; what `feeds` bring goes to the parts as it is."""

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
        feeds: Sequence[Fetches[Any] | None] = (),
        names: NodeRule = _RULE,
        publish: Publish[ClusterView],
        keep: Publish[ClusterView],
        stages: Stages,
        layout: Layout,
        facts: Sequence[object] = (),
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
        self._feeds = feeds
        self._names = names
        self._publish = publish
        self._keep = keep
        self._stages = stages
        self._layout = layout
        self._facts = facts
        self._before: Before | None = None
        self._failing = Failing(self.name, stages.failed)

    def take_over(self, before: "ClusterRefresher") -> None:
        """Go on from what another refresher of the same cluster had found out."""
        self._bases.take_over(before._bases)
        self._before = before._before
        if self._lustre and before._lustre:
            self._lustre.take_over(before._lustre)

    async def refresh(self, at: float) -> None:
        """Do one refresh at evaluation time `at`."""
        with self._stages.measure("fetch"):
            accounting, use, allocations, levels, lustre, found = await asyncio.gather(
                self._accounting.fetch(at),
                fetch_optional(self._use, at),
                fetch_optional(self._allocations, at),
                fetch_optional(self._levels, at),
                fetch_optional(self._lustre, at),
                asyncio.gather(*(fetch_optional(feed, at) for feed in self._feeds)),
            )
            runs = await executors.run(executors.REFRESH, runs_of, accounting.runs) if accounting else None
            uid_names = await self._lustre.learn(lustre, runs, at) if self._lustre else None
            ledger = await self._ledger(at) if self._ledger else None
            bases = await self._bases.of(accounting.runs if accounting else (), at)
        with self._stages.measure("join"):
            view, failed = await executors.run(
                executors.REFRESH,
                self._join,
                at,
                accounting,
                runs,
                use,
                bases,
                allocations,
                ledger,
                levels,
                lustre,
                uid_names,
                found,
            )
        self._failing.tell(failed)
        if accounting:
            self._before = Before(view.frames)
        self._accounting.learn("gpus_agree", next(iter(view.frames["gpu_agreement"]["agrees"]), None))
        with self._stages.measure("publish"):
            await self._publish(view)
        with self._stages.measure("keep"):
            await self._keep(view)

    async def withdraw(self, at: float) -> None:
        """Show no job of this cluster, and count the failure."""
        self._stages.failed()
        await self._publish(ClusterView(self._cluster, at, frames=self._layout.empty()))

    def _join(
        self,
        at: float,
        accounting: Accounting | None,
        runs: Runs | None,
        use: Use | None,
        bases: Mapping[int, Base],
        allocations: Allocations | None,
        ledger: LedgerView | None,
        levels: Mapping[str, float] | None,
        lustre: LustreUse | None,
        uid_names: UidNames | None,
        found: Sequence[object],
    ) -> tuple[ClusterView, Mapping[str, Exception]]:
        view = join_cluster(
            self._cluster,
            at,
            accounting,
            use,
            awards=allocations.awards if allocations else {},
            usage=self._usage(),
            levels=levels,
            names=self._names,
        )
        used = columns.use_of(use) if use else None
        inputs = Inputs(
            *self._facts,
            self._before,
            runs,
            used,
            ListedNodes(accounting.nodes) if accounting else None,
            *found,
            columns.bases_of(bases),
            ledger,
            lustre,
            uid_names,
        )
        joined = self._layout.join(inputs, at)
        context = Inputs(inputs.get(Compiled), observation(used))
        warnings = (*view.warnings, *joined.frames["gpu_agreement"]["warning"].drop_nulls())
        view = replace(
            view,
            frames=joined.frames,
            context=context,
            warnings=warnings,
            has_jobs=accounting is not None and "jobs" not in joined.failed,
            ledger_end=ledger.totals.window_end if ledger else None,
            prices=ledger.prices if ledger else None,
        )
        return view, joined.failed
