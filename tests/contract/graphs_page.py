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
