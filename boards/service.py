"""The service itself: what it reads, how fast it is, what it takes."""

from typing import Final

from boards.frame import Board, Choice, Row
from boards.promql import number
from boards.style import Column, Line, Rows, graph, listed, single

_OF: Final = 'instance=~"$instance"'


def _of(family: str, *matchers: str) -> str:
    return f"hpc_aggregator_{family}{{{','.join((_OF, *matchers))}}}"


_SOURCE: Final = ("instance", "source", "cluster", "filesystem")
_BY: Final = f"max by ({', '.join(_SOURCE)})"
_STATE: Final = Row(
    "Now",
    [
        single("Replicas", "That Prometheus can scrape.", f"count({_of('build_info')})"),
        single(
            "Sources that cannot be read",
            "Over all replicas.",
            number(f"{_of('source_up')} == 0", _of("source_up")),
            limits=(1, 1),
        ),
        single(
            "Oldest snapshot",
            "Age of the oldest data that are shown.",
            f"max(time() - {_of('snapshot_timestamp_seconds')})",
            "s",
            limits=(600, 1800),
        ),
        single("Series", "On the page of a replica.", f"max(sum by (instance) ({_of('series')}))"),
        single(
            "Values dropped as impossible",
            "In the time shown; the log says which.",
            f"sum(increase({_of('rejected_values_total')}[$__range])) or 0 * count({_of('build_info')})",
            limits=(1, 1000),
        ),
        single(
            "Loops that hang",
            "That have made no progress for refresh.stalled_after.",
            f"sum({_of('loop_stalled')})",
            limits=(1, 1),
        ),
    ],
)

_SOURCES: Final = Row(
    "What it reads",
    [
        listed(
            "Sources",
            "An empty cluster and file system: the source is of the whole service.",
            Rows(
                _SOURCE,
                [
                    Column(
                        "Age of the newest data",
                        f"{_BY} (time() - {_of('source_last_success_timestamp_seconds')})",
                        "s",
                    ),
                    Column("Up", f"{_BY} ({_of('source_up')})"),
                    Column("Rows", f"{_BY} ({_of('source_rows')})"),
                ],
            ),
        ),
        graph(
            "Time of a fetch, 95 of 100 are shorter",
            "By source.",
            Line(
                "{{source}}",
                "histogram_quantile(0.95, sum by (le, source) (rate("
                f"{_of('source_fetch_duration_seconds_bucket')}[$__rate_interval])))",
            ),
            unit="s",
        ),
        graph(
            "Time of the last refresh by stage",
            "Clusters and file systems together.",
            Line("{{stage}}", f"max by (stage) ({_of('refresh_duration_seconds')})"),
            unit="s",
            stacked=True,
        ),
    ],
)

_ANSWERS: Final = Row(
    "How it answers",
    [
        graph(
            "Requests per second by status",
            "Scrapes are requests, too.",
            Line("{{code}}", f"sum by (code) (rate({_of('http_request_duration_seconds_count')}[$__rate_interval]))"),
            stacked=True,
        ),
        graph(
            "Time of an answer, 95 of 100 are shorter",
            "By route.",
            Line(
                "{{route}}",
                "histogram_quantile(0.95, sum by (le, route) (rate("
                f"{_of('http_request_duration_seconds_bucket')}[$__rate_interval])))",
            ),
            unit="s",
        ),
        graph(
            "Longest delay of the event loop",
            "Every answer waits for so long.",
            Line("{{instance}}", f"max by (instance) ({_of('event_loop_lag_seconds')})"),
            unit="s",
        ),
        graph(
            "Turned away per second",
            "Requests and connections by reason.",
            Line("{{reason}}", f"sum by (reason) (rate({_of('http_refused_total')}[$__rate_interval]))"),
        ),
    ],
)

_TAKES: Final = Row(
    "What it takes",
    [
        graph(
            "CPUs",
            "Of the process.",
            Line("{{instance}}", f'rate(process_cpu_seconds_total{{job="hpc-aggregator",{_OF}}}[$__rate_interval])'),
        ),
        graph(
            "Memory",
            "Resident memory of the process.",
            Line("{{instance}}", f'process_resident_memory_bytes{{job="hpc-aggregator",{_OF}}}'),
            unit="bytes",
        ),
        graph(
            "Threads that are taken",
            "By what they are for; 1 is all of them.",
            Line("{{executor}}", f"max by (executor) ({_of('executor_busy_threads')} / {_of('executor_threads')})"),
            unit="percentunit",
        ),
        graph(
            "Open files",
            "Part of the limit.",
            Line(
                "{{instance}}",
                f'process_open_fds{{job="hpc-aggregator",{_OF}}} / process_max_fds{{job="hpc-aggregator",{_OF}}}',
            ),
            unit="percentunit",
        ),
    ],
)

BOARD: Final = Board(
    "service",
    "HPC: the service",
    "What hpc-aggregator reads, how it answers, and what it takes.",
    [Choice("instance", "hpc_aggregator_build_info", several=True)],
    [_STATE, _SOURCES, _ANSWERS, _TAKES],
)
