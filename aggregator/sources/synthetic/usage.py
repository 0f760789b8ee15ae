"""Two years of usage of a synthetic cluster, as slurmdbd would have rolled them up, with a day's and a week's tide."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from random import Random

from aggregator.model.association import USED_TRES_SECONDS
from aggregator.model.calendar import DAY, RESOLUTIONS, Calendar, Resolution, Rolled
from aggregator.model.decay import Decay
from aggregator.model.usage import UsageCatalog
from aggregator.sources.base import Plan
from aggregator.sources.synthetic.associations import AWARDED
from aggregator.sources.synthetic.cluster import SyntheticCluster
from aggregator.sources.synthetic.submission import BILLING_PER_GPU, GIBIBYTE

_HISTORY_SECONDS = 730 * DAY
# Of what there is, on average; the rest of it is down, planned or idle.
_ALLOCATED, _DOWN, _PLANNED = 0.85, 0.012, 0.04
_MEMORY_PER_CPU = 4 * GIBIBYTE
_CPUS_PER_NODE = 64
_DAILY, _WEEKLY = 0.06, 0.05
_QOS = {1: "normal", 2: "high"}
_HIGH_SHARE = 0.1


class SyntheticUsage:
    """Roll-ups in UTC, final up to the last full hour; every hour is made of the same smooth curve, so sums agree."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._calendar = Calendar(origin="configured")
        self._first = self._calendar.floor(cluster.start - _HISTORY_SECONDS, "month")
        rng = Random(cluster.seed)  # noqa: S311 - a reproducible model, not a secret
        pairs = [(user.name, account) for user in cluster.population.users for account in user.accounts]
        # As make_associations counts: accounts come first.
        self._associations = dict(enumerate(pairs, start=1 + len(cluster.population.accounts)))
        self._capacity = _capacity(cluster)
        drawn = {number: rng.paretovariate(1.3) for number in self._associations}
        whole = sum(drawn.values())
        self._shares = {number: share / whole for number, share in drawn.items()}

    async def catalog(self) -> UsageCatalog:
        """Give the synthetic accounts and TRES."""
        accounts = self._cluster.population.accounts
        return UsageCatalog(
            self._associations,
            {name: account.parent for name, account in accounts.items()},
            frozenset(accounts),
            dict(enumerate(self._capacity, start=1)),
            self._calendar,
            dict.fromkeys(RESOLUTIONS, self._first),
            _QOS,
            frozenset(tres for limit, tres in AWARDED if limit == USED_TRES_SECONDS),
        )

    async def rolled(self) -> Rolled:
        """Tell that every full hour, day and month is rolled up at once."""
        return Rolled(*(self._calendar.floor(self._cluster.time, resolution) for resolution in RESOLUTIONS))

    async def series(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, qos: Collection[int] = ()
    ) -> tuple[Rolled, Mapping[tuple[str, float], float]]:
        """Sum up associations by TRES and period."""
        rolled = await self.rolled()
        share = sum(self._shares[number] for number in ids) * _ALLOCATED * _share_of(qos)
        found = {
            (name, begin): self._capacity[name] * share * _busy_seconds(begin, end)
            for begin, end in self._periods(plan, rolled)
            for name in tres
        }
        return rolled, found

    async def totals(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan
    ) -> tuple[Rolled, Mapping[tuple[float, int, str], float]]:
        """Sum up each segment by association and TRES."""
        rolled = await self.rolled()
        return rolled, {
            (segment.begin, number, name): self._capacity[name] * _ALLOCATED * self._shares[number] * busy
            for segment in plan(rolled)
            for busy in (_busy_seconds(max(segment.begin, self._first), max(segment.end, self._first)),)
            for number in ids
            for name in tres
        }

    async def decayed(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, decay: Decay, at: float
    ) -> tuple[Rolled, Mapping[tuple[int, str], float]]:
        """Sum up what is left at `at`, period by period."""
        rolled = await self.rolled()
        left = sum(
            _busy_seconds(begin, end) * decay.mean_weight(begin, end, at) for begin, end in self._periods(plan, rolled)
        )
        return rolled, {
            (number, name): self._capacity[name] * _ALLOCATED * self._shares[number] * left
            for number in ids
            for name in tres
        }

    async def cluster_series(
        self, tres: Collection[str], plan: Plan
    ) -> tuple[Rolled, Mapping[tuple[str, float, str], float]]:
        """Share the capacity of each period between the states."""
        rolled = await self.rolled()
        return rolled, {
            (name, begin, state): self._capacity[name] * seconds
            for begin, end in self._periods(plan, rolled)
            for name in tres
            for state, seconds in _states(begin, end).items()
        }

    def _periods(self, plan: Plan, rolled: Rolled) -> Iterator[tuple[float, float]]:
        for segment in plan(rolled):
            resolution: Resolution = segment.resolution
            for begin in self._calendar.periods(segment.begin, segment.end, resolution):
                if begin >= self._first:
                    yield begin, self._calendar.following(begin, resolution)


def _capacity(cluster: SyntheticCluster) -> dict[str, float]:
    """Count what the cluster has of each TRES."""
    cpus = float(sum(pool.cpus * len(pool.nodes) for pool in cluster.pools))
    gpus = {pool.gpu_type: float(pool.gpus * len(pool.nodes)) for pool in cluster.pools if pool.gpu_type}
    return {
        "cpu": cpus,
        "mem": cpus * _MEMORY_PER_CPU,
        "node": cpus / _CPUS_PER_NODE,
        "billing": cpus + BILLING_PER_GPU * sum(gpus.values()),
        "gres/gpu": sum(gpus.values()),
        **{f"gres/gpu:{name}": count for name, count in gpus.items()},
    }


def _busy_seconds(begin: float, end: float) -> float:
    """Integrate the curve of load, 1 on average, over a period."""
    return (end - begin) + _wave(end) - _wave(begin)


def _wave(at: float) -> float:
    daily = math.cos(math.tau * at / DAY) * _DAILY * DAY
    return -(daily + math.cos(math.tau * at / (7 * DAY)) * _WEEKLY * 7 * DAY) / math.tau


def _share_of(qos: Collection[int]) -> float:
    shares = {1: 1 - _HIGH_SHARE, 2: _HIGH_SHARE}
    return sum(shares[number] for number in qos) if qos else 1.0


def _states(begin: float, end: float) -> dict[str, float]:
    seconds, allocated = end - begin, _ALLOCATED * _busy_seconds(begin, end)
    down, planned = _DOWN * seconds, _PLANNED * seconds
    idle = max(0.0, seconds - allocated - down - planned)
    return {"allocated": allocated, "down": down, "planned_down": 0.0, "planned": planned, "idle": idle, "over": 0.0}
