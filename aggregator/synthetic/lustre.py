"""What the servers of a synthetic cluster's two Lustre file systems show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from aggregator import executors
from aggregator.model.lustre import KINDS, SENDERS, Kind, LustreUse
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.waves import Wave, shares

INTERVAL: Final = 90.0
_FILESYSTEMS: Final = ("project", "scratch")
# Of one CPU: bytes and operations per second.
_PER_CPU: Final[Mapping[Kind, float]] = {"read": 3e6, "write": 1.2e6, "metadata": 2.5}
_ON_LOGIN_NODES: Final = 5
_UNKNOWN: Final[Mapping[Kind, float]] = {"read": 4e5, "write": 9e5, "metadata": 12.0}


def run_waves(live: LiveRun, kind: Kind) -> Iterator[tuple[str, Wave]]:
    """Give the wave of a run's rate on its file system, if it does anything."""
    if _load(live):
        yield _filesystem(live), Wave(_level(live, kind), _phase(live))


class SyntheticLustre:
    """Rates of all jobs, of some users on login nodes, and of job ids that nobody understands."""

    name = "lustre"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self.rows = 0
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> LustreUse:
        """Compute the rates at `at`, off the event loop."""
        await self._cluster.reach(at)
        rates = await executors.run(executors.REFRESH, self._rates, at, self._cluster.live())
        self.rows = sum(map(len, rates.values()))
        return LustreUse(at, INTERVAL, 4 * INTERVAL, rates, dict.fromkeys(_FILESYSTEMS, 1.0))

    def _rates(self, at: float, lives: Sequence[LiveRun]) -> dict[str, pl.DataFrame]:
        lives = [live for live in lives if _load(live)]
        of_level = shares([_phase(live) for live in lives], at)
        rates: dict[str, pl.DataFrame] = {}
        for kind in KINDS:
            of_jobs = [
                (_filesystem(live), live.run.job_id, None, "", "", _level(live, kind) * share)
                for live, share in zip(lives, of_level, strict=True)
            ]
            rates[kind] = pl.DataFrame([*of_jobs, *self._of_others(kind)], schema=SENDERS, orient="row")
        return rates

    def _of_others(self, kind: Kind) -> Iterator[tuple[Any, ...]]:
        """Give the rates of users on login nodes, and of nobody."""
        for number, user in enumerate(self._cluster.population.users[:_ON_LOGIN_NODES]):
            yield "project", None, user.uid, user.name, "", _PER_CPU[kind] * (number + 1)
        yield "scratch", None, None, "", "", _UNKNOWN[kind]


def _load(live: LiveRun) -> int:
    """Tell how much a run reads and writes for its size: one of five does nothing."""
    return live.run.run_id % 5


def _level(live: LiveRun, kind: Kind) -> float:
    return live.run.allocated.cpus * _PER_CPU[kind] * _load(live)


def _phase(live: LiveRun) -> float:
    return float(live.run.run_id % 97)


def _filesystem(live: LiveRun) -> str:
    """Name where a run works: every third one on `project`."""
    return _FILESYSTEMS[min(1, live.run.run_id % 3)]
