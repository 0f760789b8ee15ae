"""The synthetic cluster: its people, nodes and jobs at one time, which only moves forward."""

from random import Random

from aggregator.model.accounting import Run
from aggregator.sources.synthetic.nodes import Node, Pool, make_pools
from aggregator.sources.synthetic.population import make_population
from aggregator.sources.synthetic.scheduler import KEEP_ENDED_SECONDS, LiveRun, Scheduler
from aggregator.sources.synthetic.submission import Submitter

_MIN_USERS = 40


class SyntheticCluster:
    """A busy cluster of `nodes` nodes, `gpu_nodes` of them with four GPUs, and about `running` running jobs.

    The same arguments and the same time give the same state, however many calls of `advance` led there.
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
    ) -> None:
        rng = Random(seed)  # noqa: S311 - a reproducible model, not a secret
        self.name = name
        self.seed = seed
        self.start = start
        self.time = start
        self.population = make_population(rng, max(_MIN_USERS, running // 50))
        pools = make_pools(nodes, gpu_nodes)
        self.pools: tuple[Pool, ...] = tuple(pools.values())
        self.nodes: tuple[Node, ...] = tuple(node for pool in pools.values() for node in pool.nodes)
        gpu_types = [gpu_type for gpu_type in pools if gpu_type]
        submitter = Submitter(rng, name, self.population.users, gpu_types)
        # Whole seconds, as Slurm has them; one kept period earlier, so that some runs have ended by the start.
        self._scheduler = Scheduler(rng, submitter, pools, running, float(int(start - KEEP_ENDED_SECONDS)))
        self._scheduler.advance(start)

    def advance(self, to: float) -> None:
        """Move the model to epoch time `to`; a time in the past changes nothing."""
        if to > self.time:
            self._scheduler.advance(to)
            self.time = to

    def live(self) -> tuple[LiveRun, ...]:
        """List the runs that are on nodes now, with what the model knows of them."""
        return tuple(self._scheduler.live.values())

    def ran_since(self, since: float) -> tuple[LiveRun, ...]:
        """List the runs that were on nodes at or after `since`, at most an hour back."""
        return (*self.live(), *(live for live in self._scheduler.finished if (live.run.end or 0.0) >= since))

    def open_runs(self) -> tuple[Run, ...]:
        """List the runs that have not ended: running and pending."""
        running = [live.run for live in self._scheduler.live.values()]
        return (*running, *self._scheduler.pending())

    def ended_runs(self, since: float) -> tuple[Run, ...]:
        """List the runs that ended at or after `since`, at most an hour back."""
        return tuple(run for run in self._scheduler.ended if run.end is not None and run.end >= since)
