"""hpc_jobscript_ingest_*: the agent's own state. No script, no secret and no user is in a label."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric

import jobscript_ingest
from aggregator.build import python_version, revision
from jobscript_ingest.spool import SpoolError, SpoolStatus

_PREFIX = "hpc_jobscript_ingest"


class AgentMetrics:
    """Own the registry; what is in the spool is read when scraped."""

    def __init__(self, rules: Sequence[str], spool: Callable[[], SpoolStatus]) -> None:
        # A time series per counter that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self._spool = spool
        self.found = self._counter("scripts_found", "Scripts read that were new or had changed.")
        self.sent = self._counter("scripts_sent", "Scripts that the service has stored.")
        self.refused = self._counter(
            "scripts_refused", "Scripts that the service will not take, set aside in the spool.", "reason"
        )
        self.refused_dropped = self._counter(
            "refused_scripts_dropped", "Refused scripts dropped after their retention."
        )
        self.truncated = self._counter("truncated", "Scripts cut at --max-bytes.")
        self.redactions = self._counter("redactions", "Secrets hidden before a script was spooled, by rule.", "rule")
        self.send_failures = self._counter("send_failures", "Requests to the service that failed.")
        self.incomplete = self._gauge("incomplete_scripts", "Scripts that are still being written.")
        self.unreadable = self._gauge("unreadable_scripts", "Scripts that could not be read; the log says why.")
        self.spool_full = self._gauge("spool_full", "1 while reading stands still because the spool is full.")
        self.scan_duration: float | None = None
        self.last_scan: float | None = None
        self.last_success: float | None = None
        for rule in rules:
            self.redactions.labels(rule)
        ProcessCollector(namespace="", registry=self.registry)
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: collect() must not run at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Say what is in the spool; nothing when it cannot be read."""
        yield _family(
            "build_info",
            "Version and revision of the agent, and of Python, always 1.",
            ("version", "revision", "pythonversion"),
            {(jobscript_ingest.__version__, revision(), python_version()): 1},
        )
        yield _optional("scan_duration_seconds", "Time that the last full scan took.", self.scan_duration)
        yield _optional("last_scan_timestamp_seconds", "When a full scan last came to its end.", self.last_scan)
        yield _optional(
            "last_success_timestamp_seconds", "When the service last answered as it should.", self.last_success
        )
        try:
            yield from _spooled(self._spool())
        except SpoolError:
            return

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", help, labels, registry=self.registry)

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", help, registry=self.registry)


def _spooled(status: SpoolStatus) -> Iterable[Metric]:
    yield _family(
        "spool_scripts", "Scripts in the spool.", ("state",),
        {("unsent",): status.unsent, ("refused",): status.refused},
    )  # fmt: skip
    yield _family("spool_bytes", "Content of the scripts in the spool.", (), {(): status.content_bytes})
    yield _optional(
        "oldest_unsent_timestamp_seconds", "When the script that waits longest came into the spool.",
        status.oldest_unsent,
    )  # fmt: skip


def _optional(name: str, help: str, value: float | None) -> Metric:
    return _family(name, help, (), {} if value is None else {(): value})


def _family(name: str, help: str, labels: tuple[str, ...], samples: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help, labels=labels)
    for values, value in samples.items():
        family.add_metric(values, value)
    return family
