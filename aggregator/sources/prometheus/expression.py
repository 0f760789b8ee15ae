"""Expressions as data: what Prometheus is asked, of which metrics, and what its values may be."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from string import Template
from typing import Final, NamedTuple

from aggregator.sources.prometheus.promql import Matcher, selector
from aggregator.sources.prometheus.settings import ExporterSettings

# What picks the series of a metric for whom a graph is about: job ids, node names (as targets, or as Slurm spells them
# in a label of the exporter's own), the subject's own labels, or a file system's targets.
JOB, NODE, SLURM_NODE, LABELS, TARGET = "job", "node", "slurm_node", "labels", "target"
# Series of the whole cluster, whoever it is about.
CLUSTER = "cluster"
# This service's own gauges carry its names of clusters and labels: those of the subject, or all of the cluster.
OURS, OUR_CLUSTER = "ours", "our cluster"
# What follows the name of a metric in a text.
_FORMS: Final = ("valid", "mean", "max", "now")


class Metric(NamedTuple):
    """One metric of an expression, by the name that its exporter gives it, with matchers by the exporter's labels.

    place names a matcher of the site's settings. by and exporter say how its series are picked, and whose they are,
    where that is not as with the graph. within names another metric of the expression: the mean over a step is then
    over the time in which that one is there, not this one. holding names the metric that those have who hold
    something: they alone have this one; without it their use is not known.
    """

    name: str
    matchers: tuple[Matcher, ...] = ()
    place: str = ""
    by: str = ""
    exporter: str = ""
    within: str = ""
    holding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """PromQL over metrics, the unit of its values, its factor, and the range that they may have.

    `text` is a template (render.py fills it in). A $name in it is, in this order,
    - the selector of one of `metrics` with all matchers. With _valid: its newest sample, as long as that holds and if
      it is within [low, high]; a mean is taken of it at the $moments of a window: what cannot be is in no mean. With
      _mean and _max: those of a gauge over a step of a graph. With _now: its last sample, unless that is old;
    - a time: $window, over which counters become rates (as `slopes` writes them, with $recent, $longer and $whole),
      $span, the same or the step where that is longer, $age, the rate window in seconds; $moments, $hold and $points
      of a window that is looked back at, $pair, which reaches back to two samples;
    - $job, $node and $slurm_node, the labels of the job, of the target's node, and of a node as Slurm spells it;
      $nodes, the pattern, in quotes, that finds a node's name as the first group of a label of the picked nodes;
    - a label of the exporter, as the site stores it. A label that stands without $ is made in the text, or it is one of
      Prometheus's or of this service's own.
    Values outside [low, high] after scaling are dropped, never clamped, and counted. job_label is the exporter's own
    name of the job's label. exporter says whose metrics they are where that is not as with the graph.

    Over a step that is longer than the window of slopes, a text with $window, or one with `there`, is evaluated at many
    moments of the step, of which the mean is taken: a sum of means would count what followed one another as if it had
    been there at once. The moments are those at which there is something; with `there` (a text of the labels
    `there_by`) those at which that has a sample: a sum is 0 then while it has none. `present` is a text that has a
    sample whenever this one knows, also where there is nothing.

    recorded names the series that the site's rules may have of it ($window as in 2m), and witness the expression that
    shows which jobs and nodes must be in it (recording.py). Where the site's settings have all places that `chosen`
    reads, that one is asked instead.
    """

    name: str
    text: str
    metrics: Mapping[str, Metric]
    unit: str = ""
    scale: float = 1.0
    low: float = 0.0
    high: float = math.inf
    job_label: str = "slurmjobid"
    exporter: str = ""
    there: str = ""
    there_by: str = ""
    present: str = ""
    recorded: str = ""
    witness: str = ""
    chosen: "Expression | None" = None

    @property
    def is_ours(self) -> bool:
        """Tell whether it is of nothing but this service's own gauges."""
        return all(metric.by in (OURS, OUR_CLUSTER) for metric in self.metrics.values())

    @property
    def presence(self) -> "Expression | None":
        """Give what has a sample whenever this one knows."""
        return replace(self, text=self.present, present="", there="") if self.present else None

    @property
    def read(self) -> Iterator[Metric]:
        """Give the metrics in the order in which the text names them."""
        keys = (self.key_of(name) for name in Template(self.text).get_identifiers())
        return (self.metrics[key] for key in dict.fromkeys(key for key, _ in filter(None, keys)))

    def key_of(self, name: str) -> tuple[str, str] | None:
        """Give the key of the metric that a name of the text stands for, and in which form; None where it is none."""
        if name in self.metrics:
            return name, ""
        key, _, form = name.rpartition("_")
        return (key, form) if key in self.metrics and form in _FORMS else None

    def at(self, settings: ExporterSettings) -> "Expression":
        """Give what is asked at a site."""
        if self.chosen and all(metric.place in settings.matchers for metric in self.chosen.metrics.values()):
            return self.chosen
        return self

    @property
    def main(self) -> Metric:
        """Give the metric that a site may also name by what is read of it: the first one."""
        return next(iter(self.metrics.values()))

    def stored(self, metric: Metric, settings: ExporterSettings) -> str:
        """Give the site's name of a metric."""
        own = settings.metrics.get(self.name) if metric.name == self.main.name else None
        return own or settings.metric(metric.name)

    def source(self, exporter: str, settings: ExporterSettings) -> str:
        """Say where the values are from, as the site stores it: with matchers, where other series are read as well."""
        metric, *others = self.read
        shared = metric.name in {other.name for other in others}
        matchers = map(settings.matcher, metric.matchers if shared else ())
        return f"{exporter} {selector(self.stored(metric, settings), {}, *matchers)} via Prometheus"

    def plausible(self, text: str) -> float | None:
        """Convert to the base unit; None for what cannot be a value (a DCGM blank, NaN, infinity)."""
        try:
            value = float(text) * self.scale
        except ValueError:
            return None
        # A comparison with NaN is false; infinity is over every limit that matters.
        return value if self.low <= value <= self.high and not math.isinf(value) else None


def largest(
    name: str, metric: str, by: str, *, scale: float = 1.0, low: float = 0.0, high: float = math.inf, place: str = ""
) -> Expression:
    """Declare the newest value of a gauge by some labels; of copies, or of two names of one thing, the largest."""
    metrics = {"own": Metric(metric, place=place)}
    return Expression(name=name, metrics=metrics, text=f"max by ({by}) ($own)", scale=scale, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph(Expression):
    """What may be asked over time.

    by says of whom it may be asked ("job", "user", "account", "node" …), and what picks the series then: JOB, NODE (of
    a job: the nodes that it runs on), SLURM_NODE, LABELS, or TARGET (of a file system: Lustre's). What is in `first` is
    asked before, each for the time in which it is there; the graph's own text then for what is left. top keeps so many
    of the largest lines by their sum over the range; the others are added up in one whose label `folded` is "_other".
    whole names the graph of the same exporter of which this one shows the parts: what no part accounts for is a line
    whose label is "_unaccounted".
    """

    help: str
    by: Mapping[str, str]
    first: tuple[Expression, ...] = ()
    top: int = 0
    folded: str = ""
    whole: str = ""

    @property
    def sources(self) -> tuple[Expression, ...]:
        """Give what is asked, one after the other."""
        return (*self.first, self)
