"""hpc_aggregator_*: whether the process itself is well: its loops, threads and connections; and process_*."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from aggregator.executors import ALL, Threads
from aggregator.exposition.own import OwnFamilies

_PREFIX = "hpc_aggregator"
Samples = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vitals:
    """How the process is at a scrape; no two are equal, for requests are counted meanwhile.

    loops: name → (seconds since it came round, restarts); stalled names those that hang. connections: configuration
    key → (open, in use). lag is the longest delay of the event loop in the last minute, in seconds; set_aside counts
    damaged files of the state.
    """

    loops: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    stalled: Sequence[str] = ()
    threads: Sequence[Threads] = ALL
    connections: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lag: float = 0.0
    set_aside: int = 0


def vitals_families(look: Callable[[], Vitals], requests: CollectorRegistry) -> OwnFamilies[Vitals]:
    """Give the families that are never the same at two scrapes: those of Vitals and requests, and process_*."""
    process = ProcessCollector(registry=None)

    def collect(vitals: Vitals) -> Iterable[Metric]:
        yield from process.collect()
        yield from requests.collect()
        yield from _loops(vitals)
        yield from _threads(vitals.threads)
        yield from _rest(vitals)

    return OwnFamilies(look, collect)


def _rest(vitals: Vitals) -> Iterable[Metric]:
    of_databases = [
        ((database, state), count)
        for database, (opened, used) in vitals.connections.items()
        for state, count in (("open", opened), ("used", used))
    ]
    yield _gauge("database_connections", "Connections to a database: open, and in use.", ("database", "state"),
                 of_databases)  # fmt: skip
    yield _gauge("event_loop_lag_seconds", "Longest delay of the event loop in the last minute.", (),
                 [((), vitals.lag)])  # fmt: skip
    yield _gauge("state_files_set_aside", "Damaged files of the state that lie beside it.", (),
                 [((), vitals.set_aside)])  # fmt: skip


def _loops(vitals: Vitals) -> Iterable[Metric]:
    restarts = CounterMetricFamily(
        f"{_PREFIX}_loop_restarts", "Times that a loop was ended by a bug and started again.", labels=("loop",)
    )
    for name, (_, count) in vitals.loops.items():
        restarts.add_metric((name,), count)
    yield restarts
    yield _gauge("loop_stalled", "1 for a loop that has made no progress for refresh.stalled_after.", ("loop",),
                 [((name,), float(name in vitals.stalled)) for name in vitals.loops])  # fmt: skip
    yield _gauge("loop_age_seconds", "Time since the loop came round.", ("loop",),
                 [((name,), age) for name, (age, _) in vitals.loops.items()])  # fmt: skip


def _threads(pools: Sequence[Threads]) -> Iterable[Metric]:
    yield _gauge("executor_threads", "Threads of an executor.", ("executor",),
                 [((pool.purpose,), pool.count) for pool in pools])  # fmt: skip
    yield _gauge("executor_busy_threads", "Threads of an executor that run a call.", ("executor",),
                 [((pool.purpose,), pool.busy) for pool in pools])  # fmt: skip
    yield _gauge("executor_waiting_calls", "Calls that wait for a thread of an executor.", ("executor",),
                 [((pool.purpose,), pool.waiting) for pool in pools])  # fmt: skip


def _gauge(name: str, help: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
