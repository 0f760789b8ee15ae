"""The rows of the table, in the order in which they are printed: what design asks for, as data."""

from tests.bench.figures import Measure, Ratio, Target

_PROMETHEUS_CLIENT = "prometheus_client, plain text"
_AIOHTTP = "bare aiohttp, the same bytes"
_QUERY_EXPORTER = "query-exporter, the same jobs"
# Or of the demo, by --load-on.
_LOAD = "4 scrapers every second and 4 clients of the API, over at least 10 refreshes of the real site"
_REST = "the demo at rest (its sources wait), so that all CPU is the requests'"


def _requests(key: str, name: str, least: float, how: str) -> Measure:
    return Measure(
        key=f"requests_{key}", name=f"requests of a CPU second: {name}", unit="/s", target=Target("≥", least),
        reference=_AIOHTTP, ratio=Ratio.SHARE, how=f"{how}; {_REST}",
    )  # fmt: skip


def _api(key: str, name: str) -> Measure:
    return Measure(
        key=f"api_{key}", name=f"API under that load, {name}: p99", unit="ms", target=Target("<", 15),
        how=f"time to the last byte at the client; {_LOAD}",
    )  # fmt: skip


MEASURES: tuple[Measure, ...] = (
    Measure(
        key="render", name="rendering with gzip", unit="s", target=Target("≥", 30), reference=_PROMETHEUS_CLIENT,
        ratio=Ratio.TIMES_FASTER, how="CPU to render and compress all families of a cluster; the reference makes "
        "families and text of the same samples, and does not compress them",
    ),
    Measure(
        key="refresh_synthetic", name="whole refresh, synthetic sources", unit="s", target=Target("≤", 0.5),
        how="CPU of the demo's process in a refresh, without that of the synthetic sources: join, judge, sum, render, "
        "gzip, ledger, state",
    ),
    Measure(
        key="refresh_real", name="whole refresh, MariaDB and Prometheus", unit="s", target=Target("≤", 0.9),
        how="CPU of `serve` in a refresh, without load: read, decode, join, judge, sum, render, gzip, ledger, state",
    ),
    Measure(
        key="ledger_window", name="ledger: one window", unit="ms", target=Target("≤", 20),
        how="CPU to add a window of 60 s of every running job to a ledger that knows them all",
    ),
    Measure(
        key="ledger_day", name="ledger: a day's catch-up", unit="s", target=Target("<", 60),
        how="1,440 times that: computed, without the reading from Prometheus",
    ),
    Measure(
        key="late_p99", name="event loop's lateness: p99", unit="ms", target=Target("<", 5),
        how="of all moments, each 5 ms, at which a tick in the service's process was due, those too that came while "
        f"the loop was blocked; {_LOAD}",
    ),
    Measure(
        key="late_max", name="event loop's lateness: worst", unit="ms", target=Target("<", 50),
        how="the latest of these ticks",
    ),
    Measure(
        key="scrape", name="scrape, gzip, whole body: p99", unit="ms", target=Target("<", 25),
        how=f"time to the last byte at the client; {_LOAD}",
    ),
    _api("job", "one job"),
    _api("list", "list of 100"),
    _api("status", "/status"),
    Measure(
        key="api_max", name="API under that load: worst", unit="ms", target=Target("<", 50),
        how="the slowest answer of all of these",
    ),
    _requests("list", "list of 100", 0.3, "CPU of the process by requests that it answered"),
    _requests("job", "one job", 0.3, "the same, with what is read of the job on demand"),
    _requests("304", "list not modified", 0.5, "the same, with the ETag of the list"),
    _requests("healthy", "/-/healthy", 0.6, "the same"),
    Measure(
        key="question", name="a question over all jobs", unit="ms", target=Target("<", 15),
        how="the slowest of several questions (sort, filter, group), each the median of its answers, one client; at "
        f"the largest size of the curve; {_REST}",
    ),
    Measure(
        key="question_late", name="event loop's lateness by these: worst", unit="ms", target=Target("<", 5),
        how="the latest tick while these questions are answered",
    ),
    Measure(
        key="memory", name="memory, working point", unit="MB", target=Target("≤", 300),
        how="resident memory of `serve` on the real site after the load",
    ),
    Measure(
        key="memory_large", name="memory, largest size", unit="MB", target=Target("≤", 800),
        how="resident memory of the demo at the largest size, without what its model alone takes elsewhere",
    ),
    Measure(
        key="memory_flat", name="memory over many refreshes", unit="MB", target=Target("≤", 1.05),
        reference="in the second quarter", ratio=Ratio.SHARE,
        how="median resident memory of the last quarter of the refreshes, by that of the second; jobs come and go",
    ),
    Measure(
        key="rows", name="rows examined in a refresh", unit="", target=Target("≤", 1.05),
        reference="rows open or lately ended", ratio=Ratio.SHARE,
        how="rows and index entries of the job table that the server read, as MariaDB counts them by table",
    ),
    Measure(
        key="scans", name="statements that scan the job table", unit="", target=Target("≤", 0),
        how="rows of the job table that were read in their order on disk, over the same refreshes",
    ),
    Measure(
        key="fetch", name="slurmacct fetch, nothing changed", unit="s", target=Target("≤", 0.1),
        reference="a first fetch", how="CPU of the client to fetch all open rows",
    ),
    Measure(
        key="fetch_late", name="slurmacct fetch: longest piece on the loop", unit="ms", target=Target("≤", 10),
        how="the latest tick of the loop that fetches, over fetches of which one reads the small tables again",
    ),
    Measure(
        key="peer_scrape", name="scrape beside query-exporter", unit="ms", target=Target("≥", 300),
        reference=_QUERY_EXPORTER, ratio=Ratio.TIMES_FASTER, how="median time to the last byte of the demo's whole "
        "page, and of five gauges of each of its jobs by query-exporter; one client",
    ),
    Measure(
        key="peer_memory", name="memory beside query-exporter", unit="MB", target=Target("≤", 0.5),
        reference=_QUERY_EXPORTER, ratio=Ratio.SHARE,
        how="resident memory after these scrapes; ours is that of the demo, whole",
    ),
    Measure(
        key="start", name="start to the first whole snapshot", unit="s", target=Target("<", 5),
        how="CPU of `serve` on the real site until /-/ready answers 200",
    ),
    Measure(
        key="linear", name="cost of a job, largest ÷ second smallest size", unit="µs", target=Target("≤", 1.2),
        reference="at the second smallest size", ratio=Ratio.SHARE,
        how="CPU of a refresh by running job, of the cost curve",
    ),
)  # fmt: skip
