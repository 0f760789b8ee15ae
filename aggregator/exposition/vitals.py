"""hpc_aggregator_*: whether the process itself is well: its loops, threads and connections; and process_*."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from aggregator.executors import ALL, Threads

_PREFIX = "hpc_aggregator"
Samples = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is looked at at each scrape.

    loops: name → (seconds since it came round, restarts); stalled names those that hang. connections: configuration
    key → (open, in use). lag is the longest delay of the event loop in the last minute, in seconds; set_aside counts
    damaged files of the state.
    """

    loops: Callable[[], Mapping[str, tuple[float, int]]] = dict
    stalled: Callable[[], Sequence[str]] = tuple
    threads: Sequence[Threads] = ALL
    connections: Callable[[], Mapping[str, tuple[int, int]]] = dict
    lag: Callable[[], float] = float
    set_aside: Callable[[], int] = int


@dataclass(frozen=True, slots=True)
class VitalsCollector:
    """Make the families of Vitals."""

    vitals: Vitals = field(default_factory=Vitals)

    def register(self, registry: CollectorRegistry) -> None:
        """Show them on this registry, with those that prometheus_client makes of the process."""
        registry.register(self)
        ProcessCollector(registry=registry)

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: collect() must not run at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Make the families of now."""
        yield from self._loops()
        yield from self._threads()
        of_databases = [
            ((database, state), count)
            for database, (opened, used) in self.vitals.connections().items()
            for state, count in (("open", opened), ("used", used))
        ]
        yield _gauge("database_connections", "Connections to a database: open, and in use.", ("database", "state"),
                     of_databases)  # fmt: skip
        yield _gauge("event_loop_lag_seconds", "Longest delay of the event loop in the last minute.", (),
                     [((), self.vitals.lag())])  # fmt: skip
        yield _gauge("state_files_set_aside", "Damaged files of the state that lie beside it.", (),
                     [((), self.vitals.set_aside())])  # fmt: skip

    def _loops(self) -> Iterable[Metric]:
        loops = self.vitals.loops()
        restarts = CounterMetricFamily(
            f"{_PREFIX}_loop_restarts", "Times that a loop was ended by a bug and started again.", labels=("loop",)
        )
        for name, (_, count) in loops.items():
            restarts.add_metric((name,), count)
        yield restarts
        stalled = self.vitals.stalled()
        yield _gauge("loop_stalled", "1 for a loop that has made no progress for refresh.stalled_after.", ("loop",),
                     [((name,), float(name in stalled)) for name in loops])  # fmt: skip
        yield _gauge("loop_age_seconds", "Time since the loop came round.", ("loop",),
                     [((name,), age) for name, (age, _) in loops.items()])  # fmt: skip

    def _threads(self) -> Iterable[Metric]:
        pools = self.vitals.threads
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
