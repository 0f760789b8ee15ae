"""Inputs as data: what is asked of Prometheus for each exporter, and how its values become base units."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Protocol

from aggregator.sources.prometheus.client import Matcher, selector

# A rate needs two samples; with four intervals two scrapes may fail.
RATE_INTERVALS = 4
MIN_RATE_WINDOW = 15.0
# Rules that are evaluated as often as is scraped may fail once.
RECORDED_INTERVALS = 2
# A value holds for this many scrape intervals; after that the time is not covered.
HOLD_INTERVALS = 2
# At so many moments of a ledger window its values are looked at, at most.
MAX_MOMENTS = 12
# The labels in `by (…)`, `on (…)` and their like, but for the templates' own names; and a label as an argument.
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) ?\([^()]*\)")
_WORD = re.compile(r"(?<![$\w])[A-Za-z_]\w*\b(?! ?\()")
_QUOTED = re.compile(r'"([A-Za-z_]\w*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input: an expression over one metric, its unit's factor, and the range that a value may have.

    The expression is a template: $series is the metric with the cluster's matchers, $window the rate window and $age
    the same in seconds, $job, $account and $node the labels of job, account and node, $hold how far back a question
    about a ledger window looks; selectors are further names for the metric with one more matcher, places those whose
    matcher is in the site's settings, and beside those of other metrics that it reads. For each of these names there is
    $<name>_valid: its newest sample, as long as that holds (HOLD_INTERVALS) and if it is within [low, high]. A mean is
    taken of it at the $moments of a ledger window: what cannot be is in no mean. $pair reaches back to two samples.
    Values outside [low, high] after scaling are dropped, never clamped, and counted.
    recorded names the series that the site's rules may have of the expression ($window as in 2m), and witness the input
    that shows which jobs and nodes must be in it (recording.py).
    """

    name: str
    metric: str
    expression: str
    scale: float = 1.0
    low: float = 0.0
    high: float = float("inf")
    selectors: Mapping[str, Matcher] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    recorded: str = ""
    witness: str = ""
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettings:
    """How one exporter is scraped at this site: interval in seconds, renamed metrics and labels.

    matchers pick, by the name of what is picked, series of which the site says where they are (a mount point).
    """

    interval: float = 30.0
    metrics: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    matchers: Mapping[str, Matcher] = field(default_factory=dict)

    def label(self, name: str) -> str:
        """Give the name under which the site stores a label of the exporter."""
        return self.labels.get(name, name)

    def matcher(self, matcher: Matcher) -> Matcher:
        """Write an exporter's own matcher as the site stores its label."""
        label, operator, value = matcher
        return self.label(label), operator, value

    def relabelled(self, expression: str) -> str:
        """Write an expression's template with the site's labels, where it groups by them and where it quotes them."""
        if not self.labels:
            return expression
        grouped = _GROUPING.sub(lambda found: _WORD.sub(lambda word: self.label(word[0]), found[0]), expression)
        return _QUOTED.sub(lambda found: f'"{self.label(found[1])}"', grouped)

    @property
    def rate_window(self) -> float:
        """Give the window in seconds over which counters are turned into rates."""
        return max(MIN_RATE_WINDOW, RATE_INTERVALS * self.interval)

    @property
    def recorded_age(self) -> float:
        """Give the age in seconds at which a recorded sample is no longer the present."""
        return RECORDED_INTERVALS * self.interval


def moments(window: float, interval: float) -> int:
    """Give at how many moments of a ledger window a value is looked at: two per scrape, each at a whole millisecond."""
    length = max(1, round(window * 1000))
    count = min(MAX_MOMENTS, max(1, math.ceil(2 * window / interval)))
    return next(number for number in range(count, length + 1) if length % number == 0)


def stored_names(items: Iterable[Input], metrics: Mapping[str, str]) -> Mapping[str, str]:
    """Give the site's names of the inputs' metrics, by the exporter's own, where they differ; metrics are the site's.

    Of two inputs of one metric that have names of their own the first counts.
    """
    found: dict[str, str] = {}
    for item in items:
        stored = metrics.get(item.name) or metrics.get(item.metric)
        if stored and stored != item.metric:
            found.setdefault(item.metric, stored)
    return found


def promql(
    item: Input, matchers: Mapping[str, str], settings: ExporterSettings, node_label: str, ledger_window: float = 0.0
) -> str:
    """Write an input's expression for one cluster; a ledger window has a length in seconds."""
    metric = settings.metrics.get(item.name) or settings.metrics.get(item.metric, item.metric)
    more = {name: settings.matcher(matcher) for name, matcher in item.selectors.items()}
    more |= {name: settings.matchers[name] for name in item.places}
    series = {name: selector(metric, matchers, matcher) for name, matcher in more.items()}
    series |= {name: selector(settings.metrics.get(other, other), matchers) for name, other in item.beside.items()}
    series["series"] = selector(metric, matchers)
    valid = {f"{name}_valid": _valid(item, one, settings.interval) for name, one in series.items()}
    step = round(ledger_window * 1000) // moments(ledger_window, settings.interval)
    return Template(settings.relabelled(item.expression)).substitute(
        series | valid,
        up=selector("up", matchers),
        window=f"{math.ceil(settings.rate_window)}s",
        age=math.ceil(settings.rate_window),
        hold=_before(max(ledger_window, HOLD_INTERVALS * settings.interval)),
        pair=_before((HOLD_INTERVALS + 1) * settings.interval),
        moments=f"{_before(ledger_window)}:{max(1, step)}ms",
        job=settings.label("slurmjobid"),
        account=settings.label("account"),
        node=node_label,
    )


def _before(seconds: float) -> str:
    """Write how far a range reaches back.

    Before Prometheus 3 it includes both of its ends: a sample on the border would be in two windows.
    """
    return f"{max(1, round(seconds * 1000) - 1)}ms"


def _valid(item: Input, series: str, interval: float) -> str:
    """Write the newest sample of series as long as it holds; an impossible one is none, and does not hold."""
    newest = f"last_over_time({series}[{_before(HOLD_INTERVALS * interval)}]) >= {item.low / item.scale:g}"
    return f"({newest})" if math.isinf(item.high) else f"({newest} <= {item.high / item.scale:g})"


class Scaled(Protocol):
    """What has a unit's factor and a range of possible values."""

    @property
    def scale(self) -> float:
        """Turn the exporter's unit into the base unit."""
        ...

    @property
    def low(self) -> float:
        """Give the smallest possible value in the base unit."""
        ...

    @property
    def high(self) -> float:
        """Give the largest."""
        ...


def plausible(item: Scaled, text: str) -> float | None:
    """Convert to the base unit; None for what cannot be a value (a DCGM blank, NaN, infinity)."""
    try:
        value = float(text) * item.scale
    except ValueError:
        return None
    # A comparison with NaN is false; infinity is over every limit that matters.
    return value if item.low <= value <= item.high and not math.isinf(value) else None


def recorded_promql(item: Input, matchers: Mapping[str, str], settings: ExporterSettings) -> str | None:
    """Write the query for what rules recorded of an input and is fresh; None where they cannot have recorded the same.

    Rules read the metric by its own name. An empty matcher means series without the label: recorded ones have lost it.
    """
    read = {item.name, item.metric, *item.beside.values()}
    if not item.recorded or settings.metrics.keys() & read or not all(matchers.values()):
        return None
    name = Template(item.recorded).substitute(window=_duration(math.ceil(settings.rate_window)))
    series = selector(name, matchers)
    return f"{series} and timestamp({series}) >= time() - {settings.recorded_age:.3f}"


def _duration(seconds: int) -> str:
    """Write seconds as the names of recorded series do: 2m, 1m30s, 15s."""
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes}m" if minutes else "") + (f"{rest}s" if rest else "")
