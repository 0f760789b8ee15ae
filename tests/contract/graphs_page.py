"""docs/graphs.md, written from the tables of graphs."""

from collections.abc import Iterable, Iterator

from aggregator.sources.prometheus.catalogue import GRAPHS
from aggregator.sources.prometheus.expression import Graph

_HEAD = """# Graphs

This page is generated from the code (`pytest tests/contract --update-golden` writes it anew; a test compares them).

What `GET …/series?metric=` draws ([docs/api.md](api.md)), by the exporter that it comes from. A graph is there when its
exporter is [configured](configuration.md). Where two exporters have a graph of one name, the one that comes first here
is asked. Values are in base units. What lies outside the range in the last column cannot be: it is left out and
counted.

What was not observed has no point, and a fall is one of the usage, not of the exporter. The slope of a counter is its
rate while the last four scrapes have all been there, else the slope of the samples that there are (at least two, the
newest not older than two scrapes): a rate divides by the whole window, so that it falls before and after each outage,
and for what has just begun. Set `interval` to that of the scrape: the window follows from it. Over steps longer than
the window a point is the mean over the moments of the step that were observed; what is added up is added up at each
moment, so that jobs which follow one another do not count as if they had been there at once. Copies of a series, of
two replicas of Prometheus or of this service, count once. The lines of a job have points while its owner ran it: not
those of whoever had the id before.

Those of `hpc_aggregator` are of this service's own gauges, as the site's Prometheus has scraped them
([docs/rules.md](rules.md)): what is allocated is what slurmacct says. For the time before, and while the service is
away, the recorded sums of the group `slurm_job` answer, and for one user or account the exporter's own series where
there are no rules; both count series, and the rules' rates fall while exporters are away. While the service was there
and did not know the usage, no other series are read: there is no point. Over steps longer than two scrapes a sum is the
mean over the step: time in which a user had nothing counts as 0, time in which usage was not observed as the mean of
the time in which it was.

## What is answered
Without `metric` the answer has the graphs that there are. By default a job's graph is of its run, quotas are of 90
days, clouds of a week, all else of a day, in about 500 points that are never closer than the exporter is scraped; at
most 55,000 points. A job's path may name several: `123,456_7,100-105`, at most 100 ids that mean at most 1000 jobs. A
node's may be a host list, `n%5B01-20%5D`, of at most 100 nodes. Of a file system's graphs by user, `_other` are those
beyond the 20 largest.

- Values are in base units, times multiples of the step. A step without a value has no point: nothing was known then.
  Values that cannot be (a blank of DCGM, a wrapped counter) are dropped, and a warning counts them.
- Of counters a step shows the slope over at least four scrapes, as far as they were there ; of
  gauges the mean, not the sample that happens to be at its end.
- Job ids are used anew: a job's lines have points while its owner ran it, in the newest run or an earlier one of the
  same id, whatever `start` is. A time in which it did not run has no lines, and a warning says so. What others ran
  under the id is not asked for.
- `start` must not be after `end` when both are given. What is not given is made to fit: a run whose end is before its
  start, or whose start is after our clock, has one point in time.
- `queries` are the expressions that were asked. `mean`, `min`, `max` and `last` are of the points that there are.
- Graphs with `of_nodes` are of the nodes of one job; most of them show what others do there too.
- Sums of users, accounts and clusters are this service's own gauges, as far back as Prometheus has scraped them; before
  that, recorded sums ([below](#hpc_aggregator)). [From a portal to this API](portal.md) lists what stands for
  which query of a job portal.
- Those who may not see the jobs of an account's users see the account's lines added up. Of a cluster's graphs by
  account those are shown that may be seen.
- 503 when Prometheus does not answer: lines with holes would look as if nothing had run.
"""


def graphs_page() -> str:
    """Write the whole page."""
    return "\n".join((_HEAD, *_tables())).rstrip() + "\n"


def _tables() -> Iterator[str]:
    for exporter, graphs in GRAPHS.items():
        yield f"## {exporter}\n"
        yield "| metric | of | unit | what it shows | series | range |\n|---|---|---|---|---|---|"
        for graph in graphs:
            series = ", ".join(f"`{metric}`" for metric in _metrics(graph))
            yield (
                f"| `{graph.name}` | {', '.join(graph.by)} | {graph.unit} | {graph.help} | {series} "
                f"| {graph.low:g} – {graph.high:g} |"
            )
        yield ""


def _metrics(graph: Graph) -> Iterable[str]:
    """List what the graph asks for, in the order in which it is asked."""
    return dict.fromkeys(metric.name for source in graph.sources for metric in source.read)
