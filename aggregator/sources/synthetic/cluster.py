"""The synthetic cluster: its people, nodes and jobs at one time, which only moves forward."""

from collections.abc import Iterator
from itertools import takewhile
from random import Random

from aggregator.model.accounting import Run
from aggregator.model.around import NodeEvent
from aggregator.model.dependency import Dependency
from aggregator.sources.synthetic.associations import make_associations
from aggregator.sources.synthetic.limits import Limiter
from aggregator.sources.synthetic.nodes import Node, Pool, make_pools
from aggregator.sources.synthetic.outages import Outages, past_events
from aggregator.sources.synthetic.population import make_population
from aggregator.sources.synthetic.profiles import PROFILES
from aggregator.sources.synthetic.scheduler import LiveRun, Scheduler
from aggregator.sources.synthetic.submission import Submitter

# How long a cluster has run before it is first looked at.
PAST_SECONDS = 4 * 3600.0
_MIN_USERS = 40
# For which the limits are made.
_USUAL_RUNNING = 900
# Files and quotas grow from the beginning of such a period on.
_GROWTH_SECONDS = 30 * 86_400.0
# Events of before the oldest run began: none of them took its nodes away.
_LONGEST_RUN = max(profile.limit_hours for profile in PROFILES) * 3600.0


class SyntheticCluster:
    """A busy cluster of `nodes` nodes, `gpu_nodes` of them with four GPUs, and about `running` running jobs.

    It has run since `since` (default: hours before `start`). The same arguments and the same time give the same
    state, however many calls of `advance` led there; clusters of the same `since` differ by their `start` only.
    """

    def __init__(
        self,
        name: str = "demo",
        seed: int = 1,
        nodes: int = 60,
        gpu_nodes: int = 12,
        running: int = 900,
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
        self.since = float(int(start - PAST_SECONDS if since is None else since))
        self.population = make_population(rng, max(_MIN_USERS, running // 50))
        self.associations = make_associations(self.population, max(1.0, running / _USUAL_RUNNING))
        pools = make_pools(nodes, gpu_nodes)
        self.pools: tuple[Pool, ...] = tuple(pools.values())
        self.nodes: tuple[Node, ...] = tuple(node for pool in pools.values() for node in pool.nodes)
        limiter = Limiter(self.associations)
        gpu_types = [pool.gpu_type for pool in self.pools if pool.gpu_type]
        submitter = Submitter(
            rng, name, self.population.users, gpu_types, self.associations, limiter, self.since
        )  # fmt: skip
        self._past = past_events(seed, [node.name for node in self.nodes], self.since - _LONGEST_RUN)
        self._scheduler = Scheduler(rng, submitter, limiter, pools, running, self.since)
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

    def live(self) -> tuple[LiveRun, ...]:
        """List the runs that are on nodes now, with what the model knows of them."""
        return tuple(self._scheduler.live.values())

    def ran_since(self, since: float) -> tuple[LiveRun, ...]:
        """List the runs that were on nodes at or after `since`, at most a day back."""
        ended = takewhile(lambda live: (live.run.end or 0.0) >= since, reversed(self._scheduler.finished))
        return (*self.live(), *ended)

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

    def node_events(self) -> Iterator[NodeEvent]:
        """List the events of all nodes, the oldest ones drawn, the others as they happened to the jobs."""
        yield from self._past
        yield from self._scheduler.outages.events
