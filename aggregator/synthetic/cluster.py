"""The synthetic cluster: its people, nodes and jobs at one time, which only moves forward."""

import asyncio
from collections.abc import Iterator
from functools import cached_property
from itertools import takewhile
from random import Random
from typing import Final

from aggregator.model.accounting import Run
from aggregator.model.dependency import Dependency
from aggregator.model.run_details import NodeEvent
from aggregator.synthetic.associations import make_associations, make_qos
from aggregator.synthetic.limits import Limiter
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.nodes import ENOUGH_NODES, Node, NodePool, make_pools
from aggregator.synthetic.outages import Outages, past_events
from aggregator.synthetic.population import make_population
from aggregator.synthetic.profiles import PROFILES
from aggregator.synthetic.scheduler import Scheduler
from aggregator.synthetic.submission import Submitter

USUAL_RUNNING: Final = 900
_USERS: Final = 40
# Of the usual size, and the fewest that have room for every kind of job, a reservation and nodes that fail. Up to the
# usual size one node is reserved, two are out of service, and one more fails or is drained at most times.
_CPU_NODES, _FEWEST_CPU_NODES, _NOT_FREE = 48, ENOUGH_NODES + 1, 4
_GPU_NODES, _FEWEST_GPU_NODES = 12, 8
# How long a cluster has run before it is first looked at, up to so many jobs.
_PAST_SECONDS: Final = 4 * 3600.0
_LONG_PAST_JOBS: Final = 1250
# Files and quotas grow from the beginning of such a period on.
_GROWTH_SECONDS = 30 * 86_400.0
# Some milliseconds.
_EVENTS_AT_ONCE: Final = 20
# Events of before the oldest run began: none of them took its nodes away.
_LONGEST_RUN = max(profile.limit_hours for profile in PROFILES) * 3600.0


def past_share(running: int) -> float:
    """Give how much of the usual past a cluster of this size has (0–1): to play a past costs time for each job."""
    return min(1.0, _LONG_PAST_JOBS / running)


def past_seconds(running: int) -> float:
    """Give how long a cluster of this size has run before it is first looked at."""
    return _PAST_SECONDS * past_share(running)


def _cpu_nodes(running: int) -> int:
    share = running / USUAL_RUNNING
    return max(_FEWEST_CPU_NODES, round(_CPU_NODES * share), round(_NOT_FREE + (_CPU_NODES - _NOT_FREE) * share))


class SyntheticCluster:
    """A busy cluster of about `running` running jobs; people, limits and what waits are in proportion.

    It has `nodes` nodes, `gpu_nodes` of them with four GPUs (default: in proportion, too), and has run since `since`
    (default: hours before `start`). The same arguments and the same time give the same state, however many calls of
    `advance` led there; clusters of the same `since` differ by their `start` only.
    """

    def __init__(
        self,
        name: str = "demo",
        seed: int = 1,
        nodes: int | None = None,
        gpu_nodes: int | None = None,
        running: int = USUAL_RUNNING,
        *,
        start: float,
        since: float | None = None,
    ) -> None:
        rng = Random(seed)  # noqa: S311 - a reproducible model, not a secret
        self.name = name
        self.seed = seed
        self.start = start
        self.time = start
        # Whole seconds, as Slurm has them.
        self.since = float(int(start - past_seconds(running) if since is None else since))
        size = max(1.0, running / USUAL_RUNNING)
        self.population = make_population(rng, round(_USERS * size))
        self.associations = make_associations(self.population)
        self.qos = make_qos(size)
        if gpu_nodes is None:
            gpu_nodes = max(_FEWEST_GPU_NODES, round(_GPU_NODES * running / USUAL_RUNNING))
        pools = make_pools(gpu_nodes + _cpu_nodes(running) if nodes is None else nodes, gpu_nodes)
        self.pools: tuple[NodePool, ...] = tuple(pools.values())
        self.nodes: tuple[Node, ...] = tuple(node for pool in pools.values() for node in pool.nodes)
        limiter = Limiter(self.associations, self.qos.values())
        gpu_types = [pool.gpu_type for pool in self.pools if pool.gpu_type]
        submitter = Submitter(
            rng, name, self.population.users, gpu_types, self.associations, limiter, self.since, size
        )  # fmt: skip
        self._scheduler = Scheduler(rng, submitter, limiter, pools, running, self.since, size)
        self._scheduler.advance(start)

    @property
    def epoch(self) -> float:
        """Give the time from which on files grow: the same for clusters that begin in the same month."""
        return self.since // _GROWTH_SECONDS * _GROWTH_SECONDS

    @property
    def outages(self) -> Outages:
        """Give the nodes that are out of service."""
        return self._scheduler.outages

    def advance(self, to: float) -> None:
        """Move the model to epoch time `to`; a time in the past changes nothing."""
        if to > self.time:
            self._scheduler.advance(to)
            self.time = to

    async def reach(self, to: float) -> None:
        """Move the model to epoch time `to` by a few events at a time: the event loop goes on in between."""
        while to > self.time:
            if self._scheduler.advance(to, _EVENTS_AT_ONCE):
                self.time = to
            else:
                await asyncio.sleep(0)

    def live(self) -> tuple[LiveRun, ...]:
        """List the runs that are on nodes now, with what the model knows of them."""
        return tuple(self._scheduler.live.values())

    def ran(self, run: Run) -> LiveRun | None:
        """Find what the model knows of a run that has started, if it ended at most a day back."""
        if run.run_id in self._scheduler.live:
            return self._scheduler.live[run.run_id]
        ended = () if run.end is None else self._ended_since(run.end)
        return next((live for live in ended if live.run.run_id == run.run_id), None)

    def ran_since(self, since: float) -> tuple[LiveRun, ...]:
        """List the runs that were on nodes at or after `since`, at most a day back."""
        return (*self.live(), *self._ended_since(since))

    def _ended_since(self, since: float) -> Iterator[LiveRun]:
        return takewhile(lambda live: (live.run.end or 0.0) >= since, reversed(self._scheduler.finished))

    def open_runs(self) -> tuple[Run, ...]:
        """List the runs that have not ended: running and pending."""
        running = [live.run for live in self._scheduler.live.values()]
        return (*running, *self._scheduler.pending())

    def ended_runs(self, since: float) -> tuple[Run, ...]:
        """List the runs that ended at or after `since`, at most a day back, the first to end first."""
        return tuple(self._scheduler.table.ended_since(since))

    def runs_of(self, job_id: int) -> Iterator[Run]:
        """List the runs of a job, of an array's tasks or of a heterogeneous job's components, the oldest row first."""
        return self._scheduler.table.find(job_id)

    def dependencies(self) -> dict[int, Dependency]:
        """Give what jobs were submitted to wait for, by job id."""
        return self._scheduler.dependencies

    @cached_property
    def _past_events(self) -> list[NodeEvent]:
        return past_events(self.seed, [node.name for node in self.nodes], self.since - _LONGEST_RUN)

    def node_events(self) -> Iterator[NodeEvent]:
        """List the events of all nodes, the oldest ones drawn, the others as they happened to the jobs."""
        yield from self._past_events
        yield from self._scheduler.outages.events
