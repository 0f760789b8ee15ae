"""Two years of usage of a synthetic cluster, as slurmdbd would have rolled them up.

The hours in which the cluster has run are what its jobs held; those before are a curve with a day's and a week's tide
around what the jobs of the first of these hours hold, so that both fit.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from aggregator import executors
from aggregator.model.association import USED_TRES_SECONDS
from aggregator.model.calendar import DAY, RESOLUTIONS, Calendar, Resolution, Rolled, Segment
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import runs_of
from aggregator.model.run_usage import used_between
from aggregator.model.usage import LEFT_SECONDS, SEGMENT_SECONDS, UsageCatalog
from aggregator.sources.base import Plan
from aggregator.synthetic.associations import AWARDED, QOS
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.submission import BILLING_PER_GPU, GIBIBYTE

_HISTORY_SECONDS: Final = 730 * DAY
_HOUR: Final = 3600.0
# Of what there is, on average, in the years before.
_DOWN, _PLANNED = 0.012, 0.04
_DAILY, _WEEKLY = 0.04, 0.03
# Room for the tide.
_MOST_HELD: Final = 0.9
_Key = tuple[int, int, str]  # association, QOS, TRES


class _Hours:
    """What the runs of each full hour held: (association, QOS, TRES) → TRES × seconds."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._qos = {qos.name: number for number, qos in QOS.items()}
        self._known: dict[float, Mapping[_Key, float]] = {}
        self.first = math.ceil(cluster.since / _HOUR) * _HOUR

    async def add_up(self) -> None:
        """Add up the hours that are over by now, off the event loop."""
        while (hour := self.first + len(self._known) * _HOUR) + _HOUR <= self._cluster.time:
            runs = self._cluster.ran_since(hour)
            self._known[hour] = await executors.run(executors.REFRESH, self._held, hour, runs)

    def between(self, begin: float, end: float) -> Iterator[Mapping[_Key, float]]:
        """Give the hours that begin in a time and are added up."""
        # Others add hours meanwhile.
        return (held for hour, held in list(self._known.items()) if begin <= hour < end)

    def usual(self) -> Mapping[_Key, float]:
        """Give what the first hour holds; where it is not over, an hour of what ran first."""
        begin = self.first if self.first + _HOUR <= self._cluster.time else self._cluster.since
        return self._held(begin, self._cluster.ran_since(begin))

    def _held(self, begin: float, runs: Iterable[LiveRun]) -> Mapping[_Key, float]:
        ran = runs_of([live.run for live in runs])
        used = used_between(ran, begin, begin + _HOUR).join(ran.runs, on="run_id")
        sums = used.group_by("association_id", "qos", "tres").agg(pl.col("seconds").sum())
        return {
            (association, self._qos[qos], tres): seconds for association, qos, tres, seconds in sums.iter_rows()
        }  # fmt: skip


class SyntheticUsage:
    """Roll-ups in UTC, final up to the last full hour; all resolutions add up the same hours and curve."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._calendar = Calendar(origin="configured")
        self._first = self._calendar.floor(cluster.since - _HISTORY_SECONDS, "month")
        self._hours = _Hours(cluster)
        self._associations = {row.id: (row.user, row.account) for row in cluster.associations if row.user}
        self._capacity = _capacity(cluster)
        # What is held on average before the hours, by association: QOS, TRES and units of it.
        self._levels = self._mean()

    def _mean(self) -> Mapping[int, list[tuple[int, str, float]]]:
        """Take what the first hour holds for what was always held."""
        held = self._hours.usual()
        whole: defaultdict[str, float] = defaultdict(float)
        for (_, _, name), seconds in held.items():
            whole[name] += seconds / _HOUR
        scale = {name: min(1.0, _MOST_HELD * self._capacity[name] / amount) for name, amount in whole.items()}
        levels: defaultdict[int, list[tuple[int, str, float]]] = defaultdict(list)
        for (number, qos, name), seconds in held.items():
            levels[number].append((qos, name, seconds / _HOUR * scale[name]))
        return levels

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
            {number: qos.name for number, qos in QOS.items()},
            frozenset(tres for limit, tres in AWARDED if limit == USED_TRES_SECONDS),
        )

    async def rolled(self) -> Rolled:
        """Tell that every full hour, day and month is rolled up at once."""
        await self._hours.add_up()
        return Rolled(*(self._calendar.floor(self._cluster.time, resolution) for resolution in RESOLUTIONS))

    async def series(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, qos: Collection[int] = ()
    ) -> tuple[Rolled, Mapping[tuple[str, float], float]]:
        """Sum up associations by TRES and period."""
        rolled = await self.rolled()
        wanted = frozenset(ids)
        levels = self._levels_of(wanted, frozenset(qos))
        found: dict[tuple[str, float], float] = {}
        for begin, end in self._periods(plan, rolled):
            busy = self._curve(begin, end)
            sums = self._sums(begin, end, wanted, frozenset(qos))
            found.update({(name, begin): levels[name] * busy + sums[name] for name in tres})
        return rolled, found

    async def totals(self, ids: Sequence[int], tres: Collection[str], plan: Plan) -> tuple[Rolled, pl.DataFrame]:
        """Sum up each segment by association and TRES."""
        rolled = await self.rolled()
        return rolled, await executors.run(executors.REFRESH, self._totals, ids, tres, plan(rolled))

    def _totals(self, ids: Sequence[int], tres: Collection[str], segments: Sequence[Segment]) -> pl.DataFrame:
        found: list[tuple[float, int, str, float]] = []
        for segment in segments:
            begin, end = max(segment.begin, self._first), max(segment.end, self._first)
            busy, sums = self._curve(begin, end), self._by_association(begin, end)
            for number in ids:
                levels = self._levels_of(frozenset((number,)), frozenset())
                found += (
                    (segment.begin, number, name, levels[name] * busy + sums.get((number, name), 0.0)) for name in tres
                )
        return pl.DataFrame(found, schema=SEGMENT_SECONDS, orient="row")

    async def decayed(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, decay: Decay, at: float
    ) -> tuple[Rolled, pl.DataFrame]:
        """Sum up what is left at `at`, period by period."""
        rolled = await self.rolled()
        periods = list(self._periods(plan, rolled))
        return rolled, await executors.run(executors.REFRESH, self._decayed, ids, tres, periods, decay, at)

    def _decayed(
        self,
        ids: Sequence[int],
        tres: Collection[str],
        periods: Sequence[tuple[float, float]],
        decay: Decay,
        at: float,
    ) -> pl.DataFrame:
        left = 0.0
        sums: defaultdict[tuple[int, str], float] = defaultdict(float)
        for begin, end in periods:
            weight = decay.mean_weight(begin, end, at)
            left += self._curve(begin, end) * weight
            for key, seconds in self._by_association(begin, end).items():
                sums[key] += seconds * weight
        levels = {number: self._levels_of(frozenset((number,)), frozenset()) for number in ids}
        rows = [(number, name, levels[number][name] * left + sums[number, name]) for number in ids for name in tres]
        return pl.DataFrame(rows, schema=LEFT_SECONDS, orient="row")

    async def cluster_series(
        self, tres: Collection[str], plan: Plan
    ) -> tuple[Rolled, Mapping[tuple[str, float, str], float]]:
        """Share the capacity of each period between the states."""
        rolled = await self.rolled()
        everybody = frozenset(self._associations)
        levels = self._levels_of(everybody, frozenset())
        found: dict[tuple[str, float, str], float] = {}
        for begin, end in self._periods(plan, rolled):
            busy, sums = self._curve(begin, end), self._sums(begin, end, everybody, frozenset())
            for name in tres:
                used = levels[name] * busy + sums[name]
                states = _states(self._capacity[name] * (end - begin), used)
                found.update({(name, begin, state): seconds for state, seconds in states.items()})
        return rolled, found

    def _levels_of(self, ids: frozenset[int], qos: frozenset[int]) -> defaultdict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for number in ids:
            for its_qos, name, level in self._levels.get(number, ()):
                if not qos or its_qos in qos:
                    sums[name] += level
        return sums

    def _sums(self, begin: float, end: float, ids: frozenset[int], qos: frozenset[int]) -> defaultdict[str, float]:
        """Add up the hours of a period in which the cluster has run."""
        sums: defaultdict[str, float] = defaultdict(float)
        for hour in self._hours.between(begin, end):
            for (number, its_qos, name), seconds in hour.items():
                if number in ids and (not qos or its_qos in qos):
                    sums[name] += seconds
        return sums

    def _by_association(self, begin: float, end: float) -> defaultdict[tuple[int, str], float]:
        sums: defaultdict[tuple[int, str], float] = defaultdict(float)
        for hour in self._hours.between(begin, end):
            for (number, _, name), seconds in hour.items():
                sums[number, name] += seconds
        return sums

    def _curve(self, begin: float, end: float) -> float:
        """Integrate the curve of load, 1 on average, over what of a period is before the hours."""
        end = min(end, self._hours.first)
        return max(0.0, (end - begin) + _wave(end) - _wave(begin)) if end > begin else 0.0

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
        "mem": float(sum(pool.memory_gib * GIBIBYTE * len(pool.nodes) for pool in cluster.pools)),
        "node": float(len(cluster.nodes)),
        "billing": cpus + BILLING_PER_GPU * sum(gpus.values()),
        "gres/gpu": sum(gpus.values()),
        **{f"gres/gpu:{name}": count for name, count in gpus.items()},
    }


def _wave(at: float) -> float:
    daily = math.cos(math.tau * at / DAY) * _DAILY * DAY
    return -(daily + math.cos(math.tau * at / (7 * DAY)) * _WEEKLY * 7 * DAY) / math.tau


def _states(whole: float, used: float) -> dict[str, float]:
    """Share what there was: jobs that share nodes hold more node-seconds than there are, which slurmdbd cuts."""
    down = _DOWN * whole
    allocated = min(used, whole - down)
    planned = min(_PLANNED * whole, whole - down - allocated)
    idle = whole - down - allocated - planned
    return {"allocated": allocated, "down": down, "planned_down": 0.0, "planned": planned, "idle": idle, "over": 0.0}
