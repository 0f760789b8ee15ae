"""hpc_aggregator_*: the service's own state: its sources and refreshes, its configuration, and its HTTP clients."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

import aggregator
from aggregator.build import python_version, revision
from aggregator.exposition.own import OwnFamilies
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
# What becomes of an alert of the webhook.
ALERT_OUTCOMES = ("new", "known", "ignored", "truncated", "failed")


@dataclass(frozen=True, slots=True)
class State:
    """What the families of sources, refreshes and configuration show; equal states are shown alike.

    times and ends have the evaluation time of each view and the end of each cluster's last ledger window by
    (cluster, file system), in epoch seconds; told counts fetches and failures.
    """

    sources: Mapping[tuple[str, str], SourceStatus]
    times: Mapping[tuple[str, ...], float]
    ends: Mapping[tuple[str, ...], float]
    stages: Mapping[tuple[str, ...], float]
    series: Mapping[str, int]
    folded: Mapping[str, int]
    reload_succeeded: bool
    reload_time: float
    restart_needed: tuple[str, ...]
    told: int


class ServiceMetrics:
    """Own the counters of the service; snapshot and series counts are read when scraped.

    `registry` has what changes with every request.
    """

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
        self.folded: Callable[[], Mapping[str, int]] = dict
        self._told = 0
        self._refreshes = CollectorRegistry(auto_describe=False)
        self._fetch_duration = Histogram(
            f"{_PREFIX}_source_fetch_duration_seconds", "Time that a fetch took.", ("source", "cluster", "filesystem"),
            buckets=_FETCH_BUCKETS, registry=self._refreshes,
        )  # fmt: skip
        self._refresh_failures = Counter(
            f"{_PREFIX}_refresh_failures", "Refreshes given up by a bug; the log has the trace.",
            ("cluster", "filesystem"), registry=self._refreshes,
        )  # fmt: skip
        self._http_duration = Histogram(
            f"{_PREFIX}_http_request_duration_seconds", "Time that an HTTP request took.", ("route", "method", "code"),
            buckets=_HTTP_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._http_connections = Gauge(
            f"{_PREFIX}_http_connections", "Connections of HTTP clients that are open.", registry=self.registry
        )
        self._http_in_flight = Gauge(
            f"{_PREFIX}_http_requests_in_flight", "HTTP requests that are being answered.", registry=self.registry
        )
        self._http_refused = Counter(
            f"{_PREFIX}_http_refused", "Connections and requests that were turned away, by reason (docs/runbook.md).",
            ("reason",), registry=self.registry,
        )  # fmt: skip
        for reason in REFUSALS:
            self._http_refused.labels(reason)
        self._alerts = Counter(
            f"{_PREFIX}_alerts", "Alerts that Alertmanager has sent, by what became of them (docs/waste.md).",
            ("outcome",), registry=self.registry,
        )  # fmt: skip
        for outcome in ALERT_OUTCOMES:
            self._alerts.labels(outcome)
        self._stage_seconds: dict[tuple[str, ...], float] = {}

    def observe_stage(self, cluster: str, filesystem: str, stage: str, seconds: float) -> None:
        """Remember how long a stage of the last refresh took."""
        self._stage_seconds[cluster, filesystem, stage] = seconds

    def count_failure(self, cluster: str, filesystem: str) -> None:
        """Count one refresh that was given up."""
        self._told += 1
        self._refresh_failures.labels(cluster, filesystem).inc()

    def count_refused(self, reason: str) -> None:
        """Count one connection or request that was turned away."""
        self._http_refused.labels(reason).inc()

    def count_alerts(self, outcome: str, count: int) -> None:
        """Count alerts of the webhook."""
        self._alerts.labels(outcome).inc(count)

    def watch_http(self, connections: Callable[[], int], in_flight: Callable[[], int]) -> None:
        """Show how many connections are open, and how many requests are being answered, at each scrape."""
        self._http_connections.set_function(connections)
        self._http_in_flight.set_function(in_flight)

    def observe_fetch(self, source: str, scope: str, seconds: float) -> None:
        """Count one fetch's duration."""
        self._told += 1
        self._fetch_duration.labels(source, *_scope_labels(source, scope)).observe(seconds)

    def observe_request(self, route: str, method: str, code: str, seconds: float) -> None:
        """Count one HTTP request's duration."""
        self._http_duration.labels(route, method, code).observe(seconds)

    def families(self) -> OwnFamilies[State]:
        """Give the families of sources, refreshes and configuration: written again when one of these has changed."""
        return OwnFamilies(self._look, self._collect)

    def _look(self) -> State:
        snapshot = self._snapshot()
        clusters, filesystems, clouds = snapshot.clusters, snapshot.filesystems, snapshot.clouds
        times = {(name, ""): view.time for name, view in clusters.items()}
        times |= {("", name): view.time for name, view in filesystems.items()}
        times |= {(name, ""): view.time for name, view in clouds.items()}
        return State(
            sources=snapshot.sources,
            times={labels: time for labels, time in times.items() if time},
            ends={(name,): view.ledger_end for name, view in clusters.items() if view.ledger_end},
            stages=dict(self._stage_seconds),
            series=self.series(),
            folded=self.folded(),
            reload_succeeded=self.reload_succeeded,
            reload_time=self.reload_time,
            restart_needed=tuple(self.restart_needed),
            told=self._told,
        )

    def _collect(self, state: State) -> Iterable[Metric]:
        yield from self._refreshes.collect()
        yield _gauge(
            "build_info", "Version and revision of the service, and of Python, always 1.",
            ("version", "revision", "pythonversion"),
            {(aggregator.__version__, revision(), python_version()): 1}.items(),
        )  # fmt: skip
        yield from _sources(state.sources.values())
        yield from _refreshes(state)
        yield from _configuration(state)


def _refreshes(state: State) -> Iterable[Metric]:
    yield _gauge(
        "refresh_duration_seconds", "Time of the last refresh by stage.", ("cluster", "filesystem", "stage"),
        state.stages.items(),
    )  # fmt: skip
    yield _gauge(
        "snapshot_timestamp_seconds", "Evaluation time of the current snapshot.", ("cluster", "filesystem"),
        state.times.items(),
    )  # fmt: skip
    yield _gauge(
        "ledger_window_timestamp_seconds", "The end of the ledger's last closed window.", ("cluster",),
        state.ends.items(),
    )  # fmt: skip
    yield _gauge(
        "series", "Series on the page by family.", ("family",),
        [((name,), count) for name, count in state.series.items()],
    )  # fmt: skip
    yield _gauge(
        "series_folded", "Series that a family would have more without limits.series.", ("family",),
        [((name,), count) for name, count in state.folded.items()],
    )  # fmt: skip


def _configuration(state: State) -> Iterable[Metric]:
    yield _gauge(
        "config_last_reload_successful", "Whether the last reload of the configuration succeeded.", (),
        [((), float(state.reload_succeeded))],
    )  # fmt: skip
    yield _gauge(
        "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded.", (),
        [((), state.reload_time)],
    )  # fmt: skip
    yield _gauge(
        "config_restart_needed", "1 for a key of the configuration whose new value needs a restart.", ("key",),
        [((key,), 1) for key in state.restart_needed],
    )  # fmt: skip


def _scope_labels(source: str, scope: str) -> tuple[str, str]:
    return ("", scope) if source in _OF_FILESYSTEMS else (scope, "")


def _gauge(name: str, help: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
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
