"""The finished runs of a synthetic cluster, as slurmacct would give them: those of the last day."""

from collections.abc import Sequence
from itertools import islice

from aggregator import executors
from aggregator.model.accounting import Run
from aggregator.model.history import Chunk, OfName, RunKey, Search, run_key
from aggregator.synthetic.cluster import SyntheticCluster

_CHUNK_RUNS = 1000


class SyntheticHistory:
    """Search the ended runs of a synthetic cluster."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster

    async def uids(self, users: frozenset[str], accounts: frozenset[str]) -> frozenset[int] | None:
        """Find no uids: everybody's runs are looked at."""
        return None

    async def ended(self, search: Search, after: RunKey | None) -> Chunk:
        """Give the next runs, the newest end first: off the event loop, for all that have ended are sorted."""
        runs = self._cluster.ended_runs(float(search.since))
        return await executors.run(executors.ANSWERS, _chunk, runs, search, after)

    async def of_name(self, asked: OfName) -> tuple[Run, ...]:
        """Give the runs of one user and one name, the newest end first."""
        runs = self._cluster.ended_runs(float(asked.since))
        return await executors.run(executors.ANSWERS, _of_name, runs, asked)


def _of_name(ended: Sequence[Run], asked: OfName) -> tuple[Run, ...]:
    found = [run for run in ended if run.uid == asked.uid and run.name == asked.name]
    return tuple(sorted((run for run in found if (run.end or 0) < asked.until), key=run_key, reverse=True))


def _chunk(ended: Sequence[Run], search: Search, after: RunKey | None) -> Chunk:
    keyed = ((run_key(run), run) for run in ended)
    left = sorted(
        (each for each in keyed if each[0][0] < search.until and (after is None or each[0] < after)),
        key=lambda each: each[0],
        reverse=True,
    )
    runs = tuple(islice(left, _CHUNK_RUNS))
    return Chunk(runs, runs[-1][0] if len(left) > len(runs) else None, len(runs))
