"""Graphs as data: what may be asked of Prometheus over time for a job, user, account or node."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import NamedTuple

from aggregator.sources.prometheus.client import Matcher, selector
from aggregator.sources.prometheus.inputs import ExporterSettings

# What the matchers of a graph are made of: job ids, node names (as targets, or as Slurm spells them in a label of the
# exporter's own), the subject's own labels, or a file system's targets.
JOB, NODE, SLURM_NODE, LABELS, TARGET = "job", "node", "slurm_node", "labels", "target"
# At steps that are hardly longer than the interval, a mean over the step would be of one or two samples.
_MEAN_FROM_INTERVALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One graph: an expression over series, the unit of its values, and the range that they may have.

    by says of whom it may be asked ("job", "user", "account", "node" …), and what picks the series then: JOB, NODE (of
    a job: the nodes that it runs on), SLURM_NODE, LABELS, or TARGET (of a file system: Lustre's). series names each
    metric, with matchers of its own. The expression is a template: $name is that metric with all matchers; $name_mean
    and $name_max are those of a gauge over a step; $window is the time over which counters become rates; $job, $node,
    $slurm_node and $account are labels, and labels names further ones of the exporter. job_label is its own name of the
    job's.
    Values outside [low, high] after scaling are gaps, and counted. top keeps so many of the largest lines by their sum
    over the range; the others are added up in one whose label `folded` is "_other". whole names the graph of the same
    exporter of which this one shows the parts: what no part accounts for is a line whose label is "_unaccounted".
    """

    name: str
    help: str
    unit: str
    by: Mapping[str, str]
    series: Mapping[str, "Series"]
    expression: str
    scale: float = 1.0
    low: float = 0.0
    high: float = float("inf")
    top: int = 0
    folded: str = ""
    whole: str = ""
    job_label: str = "slurmjobid"
    labels: tuple[str, ...] = ()


class Series(NamedTuple):
    """One metric of a graph, by the name that its exporter gives it.

    at names a matcher of the site's settings; own: the metric is one of the service's. One that is not of the subject
    is not picked by it: it says something of the exporter.
    """

    metric: str
    matchers: tuple[Matcher, ...] = ()
    at: str = ""
    own: bool = False
    of_subject: bool = True


def graph_promql(
    graph: Graph,
    matchers: Mapping[str, str],
    picked: tuple[Matcher, ...],
    settings: ExporterSettings,
    node_label: str,
    step: float,
    cluster: str = "",
) -> str:
    """Write a graph's expression for one cluster; picked are the matchers that pick the subject's series."""
    selectors: dict[str, str] = {}
    for name, series in graph.series.items():
        metric = settings.metrics.get(series.metric, series.metric)
        # The service's own series say of which cluster they are, whatever tells the clusters' exporters apart.
        equal = {**matchers, "cluster": cluster} if series.own else matchers
        here = (settings.matchers[series.at],) if series.at else ()
        subject = picked if series.of_subject else ()
        selected = selector(metric, equal, *subject, *map(settings.matcher, series.matchers), *here)
        selectors[name] = selected
        selectors[f"{name}_mean"] = _over_step("avg", selected, settings.interval, step)
        selectors[f"{name}_max"] = _over_step("max", selected, settings.interval, step)
    return Template(settings.relabelled(graph.expression)).substitute(
        {label: settings.label(label) for label in graph.labels} | selectors,
        window=f"{math.ceil(max(settings.rate_window, step))}s",
        job=job_label(graph, settings),
        node=node_label,
        slurm_node=settings.labels.get("node", "node"),
        account=settings.labels.get("account", "account"),
    )


def job_label(graph: Graph, settings: ExporterSettings) -> str:
    """Give the label that has the job id at this site."""
    return settings.labels.get(graph.job_label, graph.job_label)


def _over_step(function: str, selected: str, interval: float, step: float) -> str:
    """Take all samples of a step into account, not the one that happens to be at its end."""
    if step <= _MEAN_FROM_INTERVALS * interval:
        return selected
    return f"{function}_over_time({selected}[{math.ceil(step)}s])"
