"""Write expressions for a site's Prometheus: with its names of metrics and labels, its matchers, its intervals.

The site's name takes the place of a name in the template. PromQL itself is never searched.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Final

from aggregator.sources.prometheus.expression import CLUSTER, Expression, Metric
from aggregator.sources.prometheus.promql import Matcher, selector
from aggregator.sources.prometheus.settings import ExporterSettings

# A value holds for this many scrape intervals; after that the time is not covered.
HOLD_INTERVALS: Final = 2
# At so many moments of a ledger window its values are looked at, at most.
MAX_MOMENTS: Final = 12
# Points of a look back over days; raw samples would be a hundred times as many.
LOOK_BACK_POINTS: Final = 100
# At steps that are hardly longer than the interval, a mean over the step would be of one or two samples.
_MEAN_FROM_INTERVALS: Final = 2
# A longer step is looked into this often at most: its cost stays bounded.
_LOOKS: Final = 20
# What has no sample within so many intervals is not seen now: one scrape may fail.
_RECENT_INTERVALS: Final = 2
# Give the selector of a metric with all matchers.
Select = Callable[[Metric], str]


def promql(
    expression: Expression,
    matchers: Mapping[str, str],
    settings: ExporterSettings,
    node_label: str,
    window: float = 0.0,
    picked: tuple[Matcher, ...] = (),
) -> str:
    """Write an expression for what is there now, or for the `window` of so many seconds that ends now.

    picked are the matchers of whom it is about.
    """
    asked = expression.for_site(settings)

    def select(metric: Metric) -> str:
        whose = () if metric.by == CLUSTER else picked
        return selector(asked.stored(metric, settings), matchers, *whose, *own_matchers(metric, settings))

    return _Writer(asked, select, settings, node_label, window=window).write(asked.text)


def graph_promql(
    expression: Expression, select: Select, settings: ExporterSettings, node_label: str, step: float, nodes: str = '""'
) -> str:
    """Write an expression for one point of a graph, which stands for the step that ends with it."""
    writer = _Writer(expression, select, settings, node_label, step, nodes=nodes)
    return writer.write(writer.over_moments())


def recorded_promql(
    expression: Expression, matchers: Mapping[str, str], settings: ExporterSettings, picked: tuple[Matcher, ...] = ()
) -> str | None:
    """Write the query for what rules recorded and is fresh; None where they cannot have recorded the same.

    Rules read the metric by its own name. An empty matcher means series without the label: recorded ones have lost it.
    """
    read = {expression.name, *(metric.name for metric in expression.metrics.values())}
    if not expression.recorded or settings.metrics.keys() & read or not all(matchers.values()):
        return None
    name = Template(expression.recorded).substitute(window=_minutes(math.ceil(settings.rate_window)))
    series = selector(name, matchers, *picked)
    return f"{series} and timestamp({series}) >= time() - {settings.recorded_age:.3f}"


def own_matchers(metric: Metric, settings: ExporterSettings) -> tuple[Matcher, ...]:
    """Give a metric's own matchers, and that of its place, by the site's names of labels."""
    here = (settings.matchers[metric.place],) if metric.place else ()
    return tuple(map(settings.matcher, (*metric.matchers, *here)))


def moments(window: float, interval: float) -> int:
    """Give at how many moments of a ledger window a value is looked at: two per scrape, each at a whole millisecond."""
    length = max(1, round(window * 1000))
    count = min(MAX_MOMENTS, max(1, math.ceil(2 * window / interval)))
    return next(number for number in range(count, length + 1) if length % number == 0)


def resolution(window: float) -> int:
    """Give the seconds between two points of a look back over `window` seconds."""
    return max(1, math.ceil(window / LOOK_BACK_POINTS))


@dataclass(frozen=True, slots=True)
class _Writer:
    """Fill in the texts of one expression; step and window are seconds."""

    expression: Expression
    select: Select
    settings: ExporterSettings
    node_label: str
    step: float = 0.0
    window: float = 0.0
    nodes: str = '""'

    def write(self, text: str) -> str:
        template, others = Template(text), self._others
        return template.substitute({name: self._value(name, others) for name in template.get_identifiers()})

    def over_moments(self) -> str:
        """Take the mean over the moments of a step that is longer than the window of slopes."""
        text, there = self.expression.text, self.expression.there
        if self.step <= self._rate_window or not (there or "window" in Template(text).get_identifiers()):
            return text
        # Before Prometheus 3 a range includes both of its ends.
        over = f"[{_before(self.step)}:{math.ceil(self._rate_window)}s]"
        if not there:
            return f"avg_over_time(({text}){over})"
        found = f"on ({self.expression.there_by}) group_left () count_over_time(({there}){over})"
        return f"sum_over_time(({text}){over}) / {found}"

    @property
    def _rate_window(self) -> float:
        return max(self.settings.rate_window, self.step / _LOOKS)

    @property
    def _recent(self) -> str:
        return _seconds(_RECENT_INTERVALS * self.settings.interval)

    @property
    def _others(self) -> Mapping[str, str]:
        """Give what stands for a time, or for the label of a job or node."""
        return {
            **_times(self._rate_window, self.settings.interval, self.step),
            **_look_back(self.window, self.settings.interval),
            "recent": self._recent,
            "age": str(math.ceil(self.settings.rate_window)),
            "job": self.settings.label(self.expression.job_label),
            "node": self.node_label,
            "slurm_node": self.settings.label("node"),
            "nodes": self.nodes,
        }

    def _value(self, name: str, others: Mapping[str, str]) -> str:
        found = self.expression.key_of(name)
        if found is None:
            return others[name] if name in others else self.settings.label(name)
        key, form = found
        return self._in_form(form, self.expression.metrics[key])

    def _in_form(self, form: str, metric: Metric) -> str:
        """Write a metric as it is, its mean or largest value over a step, or its newest sample."""
        own = self.select(metric)
        if form == "valid":
            return self._valid(own)
        if form == "now":
            # Prometheus repeats the last sample for five minutes where no mark says that it is the last.
            return f"({own} and count_over_time({own}[{self._recent}]))"
        if not form or self.step <= _MEAN_FROM_INTERVALS * self.settings.interval:
            return own
        over = f"[{_seconds(self.step)}]"
        return self._mean(metric, own, over) if form == "mean" else f"max_over_time({own}{over})"

    def _valid(self, series: str) -> str:
        """Write the newest sample of series as long as it holds; an impossible one is none, and does not hold."""
        low, high, scale = self.expression.low, self.expression.high, self.expression.scale
        hold = _before(HOLD_INTERVALS * self.settings.interval)
        newest = f"last_over_time({series}[{hold}]) >= {low / scale:g}"
        return f"({newest})" if math.isinf(high) else f"({newest} <= {high / scale:g})"

    def _mean(self, metric: Metric, own: str, over: str) -> str:
        """Take all samples of a step into account, not the one that happens to be at its end.

        A gauge that is not there while its subject has nothing is 0 then, as long as the other gauges of its target
        are.
        """
        if not metric.within:
            return f"avg_over_time({own}{over})"
        whole = f"max by (job, instance) (count_over_time({self._of(metric.within)}{over}))"
        if not metric.holding:
            return f"(sum_over_time({own}{over}) / on (job, instance) group_left () {whole})"
        owner = "(user, account, job, instance)"
        holding = f"max by {owner} (count_over_time({self._of(metric.holding)}{over}))"
        known = f"max by {owner} (avg_over_time({own}{over}))"
        return f"({known} * on {owner} {holding} / on (job, instance) group_left () {whole})"

    def _of(self, key: str) -> str:
        return self.select(self.expression.metrics[key])


def _times(window: float, interval: float, step: float) -> Mapping[str, str]:
    """Write the windows of rates; that of a graph's slopes is longer than the exporter's over long steps."""
    return {
        "window": _seconds(window),
        "span": _seconds(max(window, step)),
        # A window is whole when there is one sample more in it and the interval before: nothing began in it.
        "longer": _seconds(window + interval),
        "whole": f"{window / interval:g}",
    }


def _look_back(window: float, interval: float) -> Mapping[str, str]:
    """Write how a window that has ended is looked back at."""
    step = round(window * 1000) // moments(window, interval)
    return {
        "hold": _before(max(window, HOLD_INTERVALS * interval)),
        "pair": _before((HOLD_INTERVALS + 1) * interval),
        "moments": f"{_before(window)}:{max(1, step)}ms",
        "points": f"{_seconds(window)}:{resolution(window)}s",
    }


def _before(seconds: float) -> str:
    """Write how far a range reaches back.

    Before Prometheus 3 it includes both of its ends: a sample on the border would be in two windows.
    """
    return f"{max(1, round(seconds * 1000) - 1)}ms"


def _seconds(seconds: float) -> str:
    return f"{math.ceil(seconds)}s"


def _minutes(seconds: int) -> str:
    """Write seconds as the names of recorded series do: 2m, 1m30s, 15s."""
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes}m" if minutes else "") + (f"{rest}s" if rest else "")
