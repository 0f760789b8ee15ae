"""Graphs as data: what may be asked of Prometheus over time for a job, user, account or node."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import NamedTuple

from aggregator.sources.prometheus.client import Matcher, selector
from aggregator.sources.prometheus.inputs import ExporterSettings

# What the matchers of a graph are made of: job ids, node names (as targets, or as Slurm spells them in a label of the
# exporter's own), the subject's own labels, or a file system's targets.
JOB, NODE, SLURM_NODE, LABELS, TARGET = "job", "node", "slurm_node", "labels", "target"
# Series of the whole cluster, whatever the subject is.
CLUSTER = "cluster"
# This service's own gauges carry its names of clusters and labels: those of the subject, or all of the cluster.
OURS, OUR_CLUSTER = "ours", "our cluster"
# At steps that are hardly longer than the interval, a mean over the step would be of one or two samples.
_MEAN_FROM_INTERVALS = 2
# A longer step is looked into this often at most: its cost stays bounded.
_LOOKS = 20
# What has no sample within so many intervals is not seen now: one scrape may fail.
_RECENT_INTERVALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One graph: an expression over series, the unit of its values, and the range that they may have.

    by says of whom it may be asked ("job", "user", "account", "node" …), and what picks the series then: JOB, NODE (of
    a job: the nodes that it runs on), SLURM_NODE, LABELS, or TARGET (of a file system: Lustre's). series names each
    metric, with matchers of its own. The expression is a template: $name is that metric with all matchers; $name_mean
    and $name_max are those of a gauge over a step, $name_now is its last sample unless that is old; $span is the step,
    or the time over which counters become rates if that is longer; $job, $node, $slurm_node, $user and $account are
    labels, $our_user and $our_account those of our own gauges; others follow the site's names where they stand in lists
    and quotes. `slopes` writes those of counters. What uses them, or has `there`, is added up at many moments of a long
    step, of which the mean is taken: a sum of means would count what followed one another as if it had been there at
    once. The moments are those at which there is something; with `there` (an expression of the labels `there_by`) those
    at which that has a sample: a sum is 0 then while it has none.
    $nodes is the regular expression, in quotes, that finds Slurm's name of a node as the first group of each picked
    node's label. job_label is the exporter's own name of the job's. What is in `first` is asked before, each for the
    time in which it is there; the expression then for what is left.
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
    first: tuple["Source", ...] = ()
    there: str = ""
    there_by: str = ""

    @property
    def last(self) -> "Source":
        """Give what is asked for the time that is left when all of `first` have been asked."""
        return Source(self.expression, "", self.there, self.there_by)

    @property
    def is_ours(self) -> bool:
        """Tell whether it is of nothing but this service's own gauges."""
        return all(series.by in (OURS, OUR_CLUSTER) for series in self.series.values())


class Series(NamedTuple):
    """One metric of a graph, by the name that its exporter gives it.

    at names a matcher of the site's settings. by and exporter say how its series are picked, and whose they are, where
    that is not as with the graph. within names another series of the graph: the mean over a step is then over the time
    in which that one is there, not this one. held names the series of those that hold something: they alone have this
    one; without it their use is not known.
    """

    metric: str
    matchers: tuple[Matcher, ...] = ()
    at: str = ""
    by: str = ""
    exporter: str = ""
    within: str = ""
    held: str = ""


class Source(NamedTuple):
    """A template that is asked, one that has a sample whenever that knows, also where a subject has none, and `there`.

    there and there_by are those of the graph.
    """

    expression: str
    present: str = ""
    there: str = ""
    there_by: str = ""

    def relabelled(self, relabel: Callable[[str], str]) -> "Source":
        """Write it with the site's labels."""
        by = relabel(f"on ({self.there_by})").removeprefix("on (").removesuffix(")")
        return Source(relabel(self.expression), self.present, relabel(self.there), by)


def slopes(
    sums: Callable[[str], str], counter: str, by: str, *, seen: str = "", labelled: Callable[[str], str] = str
) -> str:
    """Write sums of a counter's slopes; `sums` writes them, with the labels `by` among theirs, of each series' slope.

    A rate is divided by the whole window, so that a window half of which was not observed halves it: a fall that there
    was not. Where samples are missing at one of its ends the slope is that of the samples that are there (a counter
    that began anew has none then), and what has ended or is no longer observed has none. Which samples there are shows
    the series `seen`, of which there are fewer than of the counter. VictoriaMetrics makes a slope of 0 of one sample.
    labelled adds labels to each series.
    """

    def count(window: str) -> str:
        return f"max by ({by}) ({labelled(f'count_over_time(${seen or counter}[{window}])')})"

    rate, slope = (
        labelled(f"rate(${counter}[$window])"),
        labelled(
            # A series that has ended is not added to the one that follows it (a target on another server).
            f"((deriv(${counter}[$window]) >= 0) and count_over_time(${counter}[$recent]) > 0)"
        ),
    )
    whole = f"{sums(rate)} and on ({by}) {count('$longer')} > $whole"
    part = f"{sums(slope)} and on ({by}) {count('$window')} > 1 and on ({by}) {count('$recent')} > 0"
    return f"({whole} or {part})"


def graph_promql(
    graph: Graph,
    source: Source,
    select: Callable[[Series], str],
    settings: ExporterSettings,
    node_label: str,
    step: float,
    nodes: str = '""',
) -> str:
    """Write an expression of a graph for one cluster; select gives a series' selector with all its matchers."""
    window = max(settings.rate_window, step / _LOOKS)
    names = {name: settings.label(name) for name in ("user", "account")} | _vectors(graph, select, settings, step)
    return Template(_over_moments(source, window, step)).substitute(
        names,
        span=f"{math.ceil(max(window, step))}s",
        window=f"{math.ceil(window)}s",
        recent=f"{math.ceil(_RECENT_INTERVALS * settings.interval)}s",
        # A window is whole when there is one sample more in it and the interval before: nothing began in it.
        longer=f"{math.ceil(window + settings.interval)}s",
        whole=f"{window / settings.interval:g}",
        job=settings.label(graph.job_label),
        node=node_label,
        slurm_node=settings.label("node"),
        nodes=nodes,
        our_user="user",
        our_account="account",
    )


def _vectors(graph: Graph, select: Callable[[Series], str], settings: ExporterSettings, step: float) -> dict[str, str]:
    """Write each series as it is, its mean and its largest value over a step."""
    selected = {name: select(series) for name, series in graph.series.items()}
    over = f"[{math.ceil(step)}s]"
    stepped = step > _MEAN_FROM_INTERVALS * settings.interval
    means = {
        f"{name}_mean": _mean(series, selected[name], selected, over) if stepped else selected[name]
        for name, series in graph.series.items()
    }
    # Prometheus repeats the last sample for five minutes where no mark says that it is the last.
    recent = f"[{math.ceil(_RECENT_INTERVALS * settings.interval)}s]"
    current = {f"{name}_now": f"({each} and count_over_time({each}{recent}))" for name, each in selected.items()}
    maxima = {f"{name}_max": f"max_over_time({each}{over})" if stepped else each for name, each in selected.items()}
    return selected | means | maxima | current


def _over_moments(source: Source, window: float, step: float) -> str:
    """Take the mean over the moments of a step that is longer than the window of slopes."""
    expression = source.expression
    if step <= window or not (source.there or "$window" in expression):
        return expression
    # Before Prometheus 3 a range includes both of its ends.
    over = f"[{round(step * 1000) - 1}ms:{math.ceil(window)}s]"
    if not source.there:
        return f"avg_over_time(({expression}){over})"
    there = f"on ({source.there_by}) group_left () count_over_time(({source.there}){over})"
    return f"sum_over_time(({expression}){over}) / {there}"


def present_promql(
    graph: Graph,
    matchers: Mapping[str, str],
    picked: tuple[Matcher, ...],
    settings: ExporterSettings,
    node_label: str,
) -> str:
    """Write a graph's expression for what is there now; picked are the matchers of whom it is about."""

    def select(series: Series) -> str:
        whose = () if series.by == CLUSTER else picked
        metric = settings.metrics.get(series.metric, series.metric)
        return selector(metric, matchers, *whose, *map(settings.matcher, series.matchers))

    source = graph.last.relabelled(settings.relabelled)
    return graph_promql(graph, source, select, settings, node_label, settings.interval)


def _mean(series: Series, own: str, selected: Mapping[str, str], over: str) -> str:
    """Take all samples of a step into account, not the one that happens to be at its end.

    A gauge that is not there while its subject has nothing is 0 then, as long as the other gauges of its target are.
    """
    if not series.within:
        return f"avg_over_time({own}{over})"
    whole = f"max by (job, instance) (count_over_time({selected[series.within]}{over}))"
    if not series.held:
        return f"(sum_over_time({own}{over}) / on (job, instance) group_left () {whole})"
    owner = "(user, account, job, instance)"
    holding = f"max by {owner} (count_over_time({selected[series.held]}{over}))"
    known = f"max by {owner} (avg_over_time({own}{over}))"
    return f"({known} * on {owner} {holding} / on (job, instance) group_left () {whole})"
