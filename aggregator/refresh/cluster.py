"""Refresh one cluster: fetch its sources at one evaluation time, join, publish, keep what has ended."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aggregator import executors
from aggregator.engine.part import Before, Inputs, Joined, Layout
from aggregator.model.job_gauges import JobGauges
from aggregator.model.job_inputs import NO_RUNS, Accounting, Use
from aggregator.model.ledger import LedgerView
from aggregator.model.lustre import LustreUse
from aggregator.model.node_inputs import ListedNodes
from aggregator.model.nodename import NodeRule
from aggregator.model.question import Question, Questions
from aggregator.model.view import ClusterView
from aggregator.parts.waste.observation import observation
from aggregator.parts.waste.rules import Compiled
from aggregator.refresh.bases import BaseReader, KnownBases
from aggregator.refresh.fetch import Feed, Fetches, fetch_optional
from aggregator.refresh.parts import Failing
from aggregator.refresh.stages import Publish, Stages

_RULE = NodeRule()


class Learner(Protocol):
    """What makes another input of those that a refresh has fetched, and remembers what it found out."""

    async def learn(self, inputs: Inputs, at: float) -> object:
        """Give the input."""
        ...


class ClusterFeeds:
    """What a refresh of one cluster fetches.

    What `others` bring, `learners` make of it, and the configuration says (`facts`) goes to the parts as it is.
    """

    def __init__(
        self,
        accounting: Feed[Accounting],
        use: Feed[Use] | None,
        *,
        bases: BaseReader | None = None,
        others: Sequence[Fetches[Any] | None] = (),
        learners: Sequence[Learner] = (),
        facts: Sequence[object] = (),
    ) -> None:
        self.accounting = accounting
        self._use = use
        self._bases = KnownBases(bases)
        self._others = others
        self._learners = learners
        self._facts = facts

    def take_over(self, before: "ClusterFeeds") -> None:
        """Go on from what others of the same cluster had found out."""
        self._bases.take_over(before._bases)

    async def fetch(self, at: float, before: Before | None) -> tuple[Accounting | None, Inputs]:
        """Give what slurmacct knows, and all that the parts join."""
        accounting, use, found = await asyncio.gather(
            self.accounting.fetch(at),
            fetch_optional(self._use, at),
            asyncio.gather(*(fetch_optional(feed, at) for feed in self._others)),
        )
        runs = accounting.runs if accounting else None
        bases = await self._bases.of(runs or NO_RUNS, at)
        inputs = Inputs(
            *self._facts,
            before,
            runs,
            ListedNodes(accounting.nodes) if accounting else None,
            accounting.associations if accounting else None,
            use,
            bases,
            *found,
        )
        return accounting, inputs.with_more(*[await learner.learn(inputs, at) for learner in self._learners])


class ClusterRefresher:
    """Keep one cluster's view current."""

    def __init__(
        self,
        cluster: str,
        feeds: ClusterFeeds,
        *,
        layout: Layout,
        names: NodeRule = _RULE,
        publish: Publish[ClusterView],
        keep: Publish[ClusterView],
        stages: Stages,
    ) -> None:
        self.name = f"cluster {cluster}"
        self._cluster = cluster
        self._feeds = feeds
        self._layout = layout
        self._names = names
        self._publish = publish
        self._keep = keep
        self._stages = stages
        self._before: Before | None = None
        self._failing = Failing(self.name, stages.failed)

    def take_over(self, before: "ClusterRefresher") -> None:
        """Go on from what another refresher of the same cluster had found out."""
        self._feeds.take_over(before._feeds)
        self._before = before._before

    async def refresh(self, at: float) -> None:
        """Do one refresh at evaluation time `at`."""
        with self._stages.measure("fetch"):
            accounting, inputs = await self._feeds.fetch(at, self._before)
        with self._stages.measure("join"):
            joined = await executors.run(executors.REFRESH, self._layout.join, inputs, at)
            view = await executors.run(executors.REFRESH, self._view, at, accounting, inputs, joined)
        self._failing.tell(joined.failed)
        if view.has_jobs:
            self._before = Before(joined.frames)
        self._feeds.accounting.learn("gpus_agree", next(iter(joined.frames["gpu_agreement"]["agrees"]), None))
        with self._stages.measure("publish"):
            await self._publish(view)
        with self._stages.measure("keep"):
            await self._keep(view)

    async def withdraw(self, at: float) -> None:
        """Show no job of this cluster, and count the failure."""
        self._stages.failed()
        await self._publish(ClusterView(self._cluster, at, frames=self._layout.empty()))

    def _view(self, at: float, accounting: Accounting | None, inputs: Inputs, joined: Joined) -> ClusterView:
        ledger = inputs.get(LedgerView)
        missing = accounting.missing if accounting else ()
        return ClusterView(
            cluster=self._cluster,
            time=at,
            runs=accounting.runs if accounting else NO_RUNS,
            ledger_end=ledger.totals.window_end if ledger else None,
            prices=ledger.prices if ledger else None,
            warnings=(*missing, *joined.frames["gpu_agreement"]["warning"].drop_nulls()),
            names=self._names,
            frames=joined.frames,
            context=Inputs(inputs.get(Compiled), observation(inputs.get(Use)), _questions(accounting, inputs)),
            has_jobs=accounting is not None and "jobs" not in joined.failed,
        )


def _questions(accounting: Accounting | None, inputs: Inputs) -> Questions:
    """Collect what was asked for what the jobs are made of; the ledger's answer is its last closed window."""
    asked = [each.questions for each in (accounting, *map(inputs.get, (Use, JobGauges, LustreUse))) if each]
    ledger = inputs.get(LedgerView)
    own = (
        {"ledger": (Question("ledger", "ledger_run of the state: windows that had closed", ledger.totals.window_end),)}
        if ledger
        else {}
    )
    use = inputs.get(Use)
    return Questions(
        {**own, **{name: found for each in asked for name, found in each.items()}}, use.chosen if use else {}
    )
