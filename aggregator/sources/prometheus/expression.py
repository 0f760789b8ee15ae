"""Expressions as data: what Prometheus is asked, of which metrics, and what its values may be."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import Template
from typing import Final, NamedTuple

import polars as pl

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
    """One metric of an expression, by the exporter's own names of metric and labels.

    place names a matcher of the site's settings. by says how the series of a subject are picked, exporter whose metric
    it is, where these are not as in the rest of the graph. within names another metric of the expression: a mean over
    a step is then over the time in which that one has samples. holding names the metric that shows who holds something:
    only they have this one, and without it their use is not known.
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
    """PromQL over metrics, with the unit of its values, their scale, and the range in which they are possible.

    `text` is a template; render.py fills it in. A $name in it is one of these, and is looked for in this order:
    - A key of `metrics`: the selector of that metric with all matchers. A form may follow the key:
      _valid is the newest sample, if it is not too old and is within [low, high]. The mean over a window is taken of
      it, so that impossible samples are in no mean. _mean and _max are the mean and the largest value of a gauge over
      the step of a graph. _now is the newest sample, if it is not too old.
    - A time. $window: the window in which counters become rates; $recent, $longer and $whole go with it (`slopes`).
      $span: the window, or the step where that is longer. $age: the window in seconds. $moments, $hold and $points:
      how a window that has ended is looked back at. $pair: a range with two samples.
    - A label: $job is that of the job, $node that of the target's node, $slurm_node that of a node as Slurm spells it.
      $nodes is the pattern (in quotes) whose first group is a node's name in the label of the picked nodes.
    - Any other name is a label of the exporter: the site's name for it takes its place.
    A label without $ is made in the text, or belongs to Prometheus or to this service.

    Values are multiplied by `scale`. Those outside [low, high] are then dropped and counted, never clamped.
    job_label is the exporter's own name of the job's label; names_jobs says that series of its metrics have it, so that
    one job may be asked for. meaning says of which kind a value is, where exporters differ. exporter says whose metrics
    these are, where they are not of the exporter that declares the graph.

    In a graph with a long step, a text with $window or with `there` is evaluated at many moments of the step, and the
    mean of those is shown: a mean of each series would add up jobs that followed one another as if they had run at
    once. The moments are those with a sample. With `there` (a text, with the labels `there_by`) they are those at which
    `there` has a sample; the value is 0 at those where the text has none. `present` is a text that has a sample
    whenever this expression is known, also where its value is nothing.

    recorded names the series that the site's rules may have of it ($window as in 2m); witness names the expression
    whose jobs and nodes must all be in it (recording.py). `chosen` is asked instead at sites whose settings have a
    matcher for every place that it reads.
    """

    name: str
    text: str
    metrics: Mapping[str, Metric]
    unit: str = ""
    scale: float = 1.0
    low: float = 0.0
    high: float = math.inf
    job_label: str = "slurmjobid"
    names_jobs: bool = True
    meaning: str = ""
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

    def for_site(self, settings: ExporterSettings) -> "Expression":
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

    def plausible_values(self, texts: Sequence[str] | pl.Series) -> pl.Series:
        """Convert as `plausible` does; null for what cannot be a value."""
        values = pl.Series(texts, dtype=pl.String).cast(pl.Float64, strict=False) * self.scale
        return values.set(~(values.is_between(self.low, self.high) & values.is_finite()), None)


def largest(
    name: str, metric: str, by: str, *, scale: float = 1.0, low: float = 0.0, high: float = math.inf, place: str = "",
    form: str = "", unit: str = "", meaning: str = "",
) -> Expression:  # fmt: skip
    """Declare the newest value of a gauge by some labels; of copies, or of two names of one thing, the largest."""
    metrics, text = {"own": Metric(metric, place=place)}, f"max by ({by}) (${f'own_{form}' if form else 'own'})"
    return Expression(
        name=name, metrics=metrics, text=text, unit=unit, scale=scale, low=low, high=high, meaning=meaning
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph(Expression):
    """What may be asked over time.

    by says of whom it may be asked ("job", "user", "account", "node" …), and what picks the series then: JOB, NODE (the
    nodes that a job runs on), SLURM_NODE, LABELS, or TARGET (Lustre's targets of a file system). The expressions in
    `first` are asked before this one; each answers for the time in which it is present. top keeps so many of the
    largest lines by their sum over the range; the others are added up in one line whose label `folded` is "_other".
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
