"""hpc_aggregator_*: the service's own state, rendered by prometheus_client at each scrape."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

import aggregator
from aggregator.build import python_version, revision
from aggregator.model.view import Snapshot, SourceStatus

_PREFIX = "hpc_aggregator"
_SOURCE_LABELS = ("source", "cluster", "filesystem")
# A cloud has no label of its own here: its name stands where a cluster's does.
_OF_FILESYSTEMS = frozenset({"robinhood", "quota"})
_FETCH_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
# Why clients are turned away: each is shown from the beginning, so that the first of a kind is an increase.
REFUSALS = (
    "evicted", "paused", "no_descriptor", "header_timeout", "slow_reader", "handshake", "request_timeout", "rate",
    "busy", "host", "origin", "malformed",
)  # fmt: skip


class ServiceMetrics:
    """Own the registry of the service's own families; snapshot and series counts are read when scraped."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], series: Callable[[], Mapping[str, int]] = dict, *, now: float = 0.0
    ) -> None:
        # A time series per histogram that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self.reload_succeeded = True
        self.reload_time = now
        self.restart_needed: Collection[str] = ()
        self._snapshot = snapshot
        self.series = series
        self.fetch_duration = Histogram(
            f"{_PREFIX}_source_fetch_duration_seconds", "Time that a fetch took.", ("source", "cluster", "filesystem"),
            buckets=_FETCH_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.http_duration = Histogram(
            f"{_PREFIX}_http_request_duration_seconds", "Time that an HTTP request took.", ("route", "method", "code"),
            buckets=_HTTP_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.refresh_failures = Counter(
            f"{_PREFIX}_refresh_failures", "Refreshes given up by a bug; the log has the trace.",
            ("cluster", "filesystem"), registry=self.registry,
        )  # fmt: skip
        self.http_connections = Gauge(
            f"{_PREFIX}_http_connections", "Connections of HTTP clients that are open.", registry=self.registry
        )
        self.http_in_flight = Gauge(
            f"{_PREFIX}_http_requests_in_flight", "HTTP requests that are being answered.", registry=self.registry
        )
        self.http_refused = Counter(
            f"{_PREFIX}_http_refused", "Connections and requests that were turned away, by reason (docs/runbook.md).",
            ("reason",), registry=self.registry,
        )  # fmt: skip
        for reason in REFUSALS:
            self.http_refused.labels(reason)
        self._stage_seconds: dict[tuple[str, str, str], float] = {}
        self.registry.register(self)

    def observe_stage(self, cluster: str, filesystem: str, stage: str, seconds: float) -> None:
        """Remember how long a stage of the last refresh took."""
        self._stage_seconds[cluster, filesystem, stage] = seconds

    def count_failure(self, cluster: str, filesystem: str) -> None:
        """Count one refresh that was given up."""
        self.refresh_failures.labels(cluster, filesystem).inc()

    def count_refused(self, reason: str) -> None:
        """Count one connection or request that was turned away."""
        self.http_refused.labels(reason).inc()

    def watch_http(self, connections: Callable[[], int], in_flight: Callable[[], int]) -> None:
        """Show how many connections are open, and how many requests are being answered, at each scrape."""
        self.http_connections.set_function(connections)
        self.http_in_flight.set_function(in_flight)

    def observe_fetch(self, source: str, scope: str, seconds: float) -> None:
        """Count one fetch's duration."""
        self.fetch_duration.labels(source, *_scope_labels(source, scope)).observe(seconds)

    def observe_request(self, route: str, method: str, code: str, seconds: float) -> None:
        """Count one HTTP request's duration."""
        self.http_duration.labels(route, method, code).observe(seconds)

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: collect() must not run at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Make the families from the current snapshot."""
        snapshot = self._snapshot()
        yield _gauge(
            "build_info", "Version and revision of the service, and of Python, always 1.",
            ("version", "revision", "pythonversion"),
            [((aggregator.__version__, revision(), python_version()), 1)],
        )  # fmt: skip
        yield from _sources(snapshot.sources.values())
        yield from self._refreshes(snapshot)
        yield _gauge(
            "series", "Series on the page by family.", ("family",),
            [((name,), count) for name, count in self.series().items()],
        )  # fmt: skip
        yield _gauge(
            "config_last_reload_successful", "Whether the last reload of the configuration succeeded.", (),
            [((), float(self.reload_succeeded))],
        )  # fmt: skip
        yield _gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded.", (),
            [((), self.reload_time)],
        )  # fmt: skip
        yield _gauge(
            "config_restart_needed", "1 for a key of the configuration whose new value needs a restart.", ("key",),
            [((key,), 1) for key in self.restart_needed],
        )  # fmt: skip

    def _refreshes(self, snapshot: Snapshot) -> Iterable[Metric]:
        yield _gauge(
            "refresh_duration_seconds", "Time of the last refresh by stage.", ("cluster", "filesystem", "stage"),
            list(self._stage_seconds.items()),
        )  # fmt: skip
        times = [((view.cluster, ""), view.time) for view in snapshot.clusters.values() if view.time]
        times += [(("", view.name), view.time) for view in snapshot.filesystems.values() if view.time]
        times += [((view.name, ""), view.time) for view in snapshot.clouds.values() if view.time]
        yield _gauge(
            "snapshot_timestamp_seconds", "Evaluation time of the current snapshot.", ("cluster", "filesystem"), times
        )
        ends = [((view.cluster,), view.ledger_end) for view in snapshot.clusters.values() if view.ledger_end]
        yield _gauge(
            "ledger_window_timestamp_seconds", "The end of the ledger's last closed window.", ("cluster",), ends
        )


def _scope_labels(source: str, scope: str) -> tuple[str, str]:
    return ("", scope) if source in _OF_FILESYSTEMS else (scope, "")


def _gauge(name: str, help: str, labels: tuple[str, ...], samples: Sequence[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _sources(statuses: Iterable[SourceStatus]) -> Iterable[Metric]:
    sources = [((status.source, *_scope_labels(status.source, status.scope)), status) for status in statuses]
    yield _gauge(
        "source_up", "Whether the last fetch of the source succeeded.", _SOURCE_LABELS,
        [(labels, float(status.up)) for labels, status in sources],
    )  # fmt: skip
    yield _gauge(
        "source_last_success_timestamp_seconds", "When the source was last fetched.", _SOURCE_LABELS,
        [(labels, status.last_success) for labels, status in sources if status.last_success],
    )  # fmt: skip
    yield _gauge(
        "source_rows", "Rows or samples of the last successful fetch.", _SOURCE_LABELS,
        [(labels, status.rows) for labels, status in sources],
    )  # fmt: skip
    yield _gauge(
        "source_replica_lag_seconds", "How far a replica is behind its primary.", _SOURCE_LABELS,
        [(labels, status.lag_seconds) for labels, status in sources if status.lag_seconds is not None],
    )  # fmt: skip
    yield _gauge(
        "source_feature", "What the source's schema offers.", (*_SOURCE_LABELS, "feature"),
        [((*labels, name), float(there)) for labels, status in sources for name, there in status.features.items()],
    )  # fmt: skip
    yield _gauge(
        "source_input_failed", "1 for an input of the source that could not be read.", (*_SOURCE_LABELS, "input"),
        [((*labels, name), 1.0) for labels, status in sources for name in status.failed_inputs],
    )  # fmt: skip
    rejected = CounterMetricFamily(
        f"{_PREFIX}_rejected_values", "Values dropped as impossible.", labels=(*_SOURCE_LABELS, "reason")
    )
    for labels, status in sources:
        for reason, count in status.rejected.items():
            rejected.add_metric((*labels, reason), count)
    yield rejected
