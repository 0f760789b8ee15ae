"""Inputs as data: what is asked of Prometheus for each exporter, and how its values become base units."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

from aggregator.sources.prometheus.client import Matcher, selector

# A rate needs two samples; with four intervals two scrapes may fail.
RATE_INTERVALS = 4
MIN_RATE_WINDOW = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input: an expression over one metric, its unit's factor, and the range that a value may have.

    The expression is a template: $series is the metric with the cluster's matchers, $window the rate window, $job and
    $node the labels of job and node, $hold how far back a mean over a ledger window looks; selectors are further names
    for the metric with one more matcher.
    Values outside [low, high] after scaling are dropped, never clamped, and counted.
    """

    name: str
    metric: str
    expression: str
    scale: float = 1.0
    low: float = 0.0
    high: float = float("inf")
    selectors: Mapping[str, Matcher] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettings:
    """How one exporter is scraped at this site: interval in seconds, renamed metrics and labels."""

    interval: float = 30.0
    metrics: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def rate_window(self) -> float:
        """Give the window in seconds over which counters are turned into rates."""
        return max(MIN_RATE_WINDOW, RATE_INTERVALS * self.interval)


def promql(
    item: Input, matchers: Mapping[str, str], settings: ExporterSettings, node_label: str, hold: float = 0.0
) -> str:
    """Write an input's expression for one cluster."""
    metric = settings.metrics.get(item.name, item.metric)
    series = {name: selector(metric, matchers, matcher) for name, matcher in item.selectors.items()}
    return Template(item.expression).substitute(
        series,
        series=selector(metric, matchers),
        up=selector("up", matchers),
        window=f"{math.ceil(settings.rate_window)}s",
        # Before Prometheus 3 a range includes both of its ends: a sample on the border would be in two windows.
        hold=f"{max(1, round(hold * 1000) - 1)}ms",
        job=settings.labels.get("slurmjobid", "slurmjobid"),
        node=node_label,
    )


def plausible(item: Input, text: str) -> float | None:
    """Convert to the base unit; None for what cannot be a value (a DCGM blank, NaN, infinity)."""
    try:
        value = float(text) * item.scale
    except ValueError:
        return None
    # A comparison with NaN is false; infinity is over every limit that matters.
    return value if item.low <= value <= item.high and not math.isinf(value) else None
