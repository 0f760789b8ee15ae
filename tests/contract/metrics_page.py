"""docs/metrics.md, written from the tables of families and the service's registry."""

from collections.abc import Iterator

from prometheus_client import Metric

from aggregator.app.families_page import families_table
from aggregator.app.layouts import CLOUDS, CLUSTERS, FAMILIES, FILESYSTEMS
from aggregator.engine.column import NO_AMOUNTS
from aggregator.exposition import ServiceMetrics, Vitals, vitals_families
from aggregator.model.view import Snapshot, SourceStatus

_HEAD = """# Metrics

This page is generated from the code (`pytest tests/contract --update-golden` writes it anew; a test compares them).

Conventions: base units; ratios from 0 to 1; a value that is not known has **no sample**, never 0 and never NaN. A label
with an empty value is not printed, which Prometheus treats alike. STABLE families keep their name and labels within a
major version. *Series* says how many there are.
`?collect[]=jobs|users|accounts|nodes|storage|cloud|service` limits an answer to groups.

In the service's own families the label `cluster` of the sources `cloud` is the cloud's name.

`hpc_job_*` series belong to one run per job id: the one that is open, else the one submitted last, for
`refresh.ended_job_retention` after its end. A run younger than one scrape interval of its exporter has no use yet.
Where the source is slurm-job-exporter, [other exporters](series.md#what-exporters-bring-of-jobs) may bring the same.

## Waste over time

`hpc_…_wasted_…_total` of users, accounts and the cluster add up, in the windows of the
[energy ledger](energy.md#the-ledger), what jobs held and did not use: of each job in each window at least 0. So one
`increase()` says what was wasted in a week, over restarts and with replicas ([example](waste.md#where-it-is-shown)).

- CPUs count as in `hpc_job_wasted_cpus`: where at least 0.8 of a job's nodes showed its use. GPUs count as in
  `hpc_job_wasted_gpu_seconds`. Time that was not observed is no waste.
- Energy is the idle part of the CPUs' time × the energy of the host, and that of the GPUs' time × the energy of the
  GPUs. Cost is that of this energy, and of the hours of what was not used.
- There is no label `reason`. The rules judge what runs now by its mean since its start: a window that is read later, or
  by another replica, would have other reasons, and a job with two would count twice.

## Limits of series

`limits.series` says how many jobs, users, accounts and so on of a cluster, file system or cloud have series of their
own. Where there are more, the largest keep theirs. They are ranked by one column:

{sizes}

All families of the same things show the same ones, so that their series join. One that is shown gives way only to
what is more than 10 % larger. Of equals the one that is shown is kept, then the one with the lower id or name. A family
has as many series of each as it has values of its own labels (state, GPU type …).

The others are one series for each value of the family's own labels. The labels that name the job, user … are `_other`.
The sum of a gauge over all its series is what it would be without a limit. Where nothing is known of the others there
is no `_other`. It may be a count: `_other` of `hpc_job_waste` is how many of them have the reason. Where a sum
would mean nothing there is none: of histograms, of names that end in
{suffixes}, and of:

{exceptions}

Counters never go back. `_other` of a counter begins at 0 and adds up what the others count while they are folded:
`increase()` over all series is what it would be without a limit, the values are not. A row has its own series of a
counter once. When it was folded it counts in `_other` until it ends or the service restarts; its gauges may come back.

`hpc_aggregator_series_folded` says how many series are missing by family. The API has all rows.
"""
_TITLES = {
    "jobs": "Jobs", "users": "Users (their open runs under one account)", "accounts": "Accounts",
    "nodes": "Nodes and the cluster", "storage": "Storage", "cloud": "Clouds",
}  # fmt: skip


def metrics_page() -> str:
    """Write the whole page."""
    return "\n".join((_head(), *_families(), *_service())).rstrip() + "\n"


def _head() -> str:
    tables = [table for layout in (CLUSTERS, FILESYSTEMS, CLOUDS) for table in layout.tables.values() if table.labels]
    sizes = [f"- {table.of}: `{table.size}`" for table in tables if table.size]
    exceptions = sorted(family.name for table in tables for family in table.families if not family.adds_up)
    return _HEAD.format(
        sizes="\n".join(sizes), suffixes=", ".join(f"`{suffix}`" for suffix in NO_AMOUNTS),
        exceptions="\n".join(f"- `{name}`" for name in exceptions),
    )  # fmt: skip


def _families() -> Iterator[str]:
    for group, title in _TITLES.items():
        yield f"## {title}\n"
        yield from families_table(family for family in FAMILIES if family.collect == group)
        yield ""


def _service() -> Iterator[str]:
    yield "## The service itself\n"
    yield "| family | type | meaning |\n|---|---|---|"
    for metric in sorted(service_families(), key=lambda metric: metric.name):
        suffix = "_total" if metric.type == "counter" else ""
        yield f"| `{metric.name}{suffix}` | {metric.type} | {metric.documentation} |"


def service_families() -> list[Metric]:
    """Collect the service's own families over a snapshot that has one source."""
    snapshot = Snapshot(sources={("prometheus", "c"): SourceStatus("prometheus", "c", up=True)})
    metrics = ServiceMetrics(lambda: snapshot, dict)
    return [*metrics.families().collect(), *vitals_families(Vitals, metrics.registry).collect()]
