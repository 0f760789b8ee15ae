"""What the servers of a synthetic cluster's two Lustre file systems show."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from aggregator.model.lustre import KINDS, Kind, LustreUse, Sender
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.scheduler import LiveRun
from aggregator.synthetic.use import Wave

INTERVAL: Final = 90.0
_FILESYSTEMS: Final = ("project", "scratch")
# Of one CPU: bytes and operations per second.
_PER_CPU: Final[Mapping[Kind, float]] = {"read": 3e6, "write": 1.2e6, "metadata": 2.5}
_ON_LOGIN_NODES: Final = 5
_UNKNOWN: Final[Mapping[Kind, float]] = {"read": 4e5, "write": 9e5, "metadata": 12.0}


def run_waves(live: LiveRun, kind: Kind) -> Iterator[tuple[str, Wave]]:
    """Give the wave of a run's rate on its file system, if it does anything; every third run works on `project`."""
    busy = live.run.allocated.cpus * _PER_CPU[kind] * (live.run.run_id % 5)
    if busy:
        yield _FILESYSTEMS[min(1, live.run.run_id % 3)], Wave(busy, float(live.run.run_id % 97))


class SyntheticLustre:
    """Rates of all jobs, of some users on login nodes, and of job ids that nobody understands."""

    name = "lustre"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self.rows = 0
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> LustreUse:
        """Compute the rates at `at`."""
        self._cluster.advance(at)
        rates = {kind: self._rates(kind, at) for kind in KINDS}
        self.rows = sum(map(len, rates.values()))
        coverage = dict.fromkeys(_FILESYSTEMS, 1.0)
        return LustreUse(
            at, INTERVAL, 4 * INTERVAL, rates["read"], rates["write"], rates["metadata"], coverage=coverage
        )

    def _rates(self, kind: Kind, at: float) -> dict[Sender, float]:
        rates: defaultdict[Sender, float] = defaultdict(float)
        for live in self._cluster.live():
            for filesystem, wave in run_waves(live, kind):
                rates[Sender(filesystem, job_id=live.run.job_id)] += wave.value(at)
        for number, user in enumerate(self._cluster.population.users[:_ON_LOGIN_NODES]):
            rates[Sender("project", uid=user.uid, user=user.name)] = _PER_CPU[kind] * (number + 1)
        rates[Sender("scratch")] = _UNKNOWN[kind]
        return dict(rates)
