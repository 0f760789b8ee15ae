"""Look which series of each exporter there are, so that a wrong matcher is told from an idle cluster."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.sources.prometheus.catalogue import NEEDED, PROVIDERS
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporter import Needed
from aggregator.sources.prometheus.exporters.slurm_job_exporter import TARGETS
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.promql import any_of, selector
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings

# So many of a label's values are named in a hint.
_MOST_VALUES = 5
_PROMQL = re.compile(r"""^\s*[=!]|["{}|*+]|\.\*""")
_SCRAPED = "up"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of one exporter: how many series that fit `asked`, on how many nodes, and what is missing."""

    exporter: str
    asked: str
    series: int = 0
    nodes: int = 0
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a few words."""
        if not self.series:
            return f"{self.exporter}: no series match {self.asked}"
        return f"{self.exporter} {self.series} series on {self.nodes} node{'' if self.nodes == 1 else 's'}"


class Presence:
    """Look for the series that are needed of some exporters; names are the site's own names of metrics by exporter."""

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        names: Mapping[str, Mapping[str, str]],
        nodes: NodeNames,
    ) -> None:
        self._client = client
        self._matchers = matchers
        self._names = names
        self._nodes = nodes

    async def look(self, at: float) -> Sequence[Seen]:
        """Ask for the series of every exporter at epoch time `at`.

        Raises FetchError.
        """
        if not self._names:
            await self._client.query(promql(TARGETS, self._matchers, ExporterSettings(), self._nodes.label), at)
        return await asyncio.gather(*(self._look(exporter, at) for exporter in self._names))

    async def others(self, at: float) -> Sequence[str]:
        """Name the exporters that could show what jobs use, have series, and are not in use, at epoch time `at`.

        Raises FetchError.
        """
        used = {metric for name in self._names for metric in _metrics_of(name)}
        found = {name: _metrics_of(name) - used - {_SCRAPED} for name in PROVIDERS if name not in self._names}
        # Nobody is told of them where nothing is read of jobs at all (a cloud).
        if not found or not self._names.keys() & PROVIDERS.keys():
            return ()
        asked = f"count by (__name__) ({any_of(sorted(frozenset[str]().union(*found.values())), self._matchers)})"
        there = {sample.metric.get("__name__", "") for sample in await self._client.query(asked, at)}
        return sorted(name for name, metrics in found.items() if metrics & there)

    async def _look(self, exporter: str, at: float) -> Seen:
        metrics = self._metrics(exporter)
        asked = f"count by (__name__, {self._nodes.label}) ({any_of(metrics, self._matchers)})"
        found = await self._client.query(asked, at)
        names = {sample.metric.get("__name__", "") for sample in found}
        own = [sample for sample in found if sample.metric.get("__name__") != _SCRAPED]
        if not own:
            return Seen(exporter, self._shown, warnings=(await self._none(exporter, metrics, asked, at),))
        nodes = {self._nodes.of_labels(sample.metric) for sample in own} - {""}
        series = sum(int(float(sample.value[1])) for sample in own)
        return Seen(exporter, self._shown, series, len(nodes), tuple(self._missing(exporter, names)))

    @property
    def _shown(self) -> str:
        return selector("", self._matchers) or "{}"

    def _metrics(self, exporter: str) -> list[str]:
        return sorted({self._stored(exporter, metric) for need in NEEDED[exporter] for metric in need.metrics})

    def _stored(self, exporter: str, metric: str) -> str:
        return self._names[exporter].get(metric, metric)

    def _missing(self, exporter: str, names: set[str]) -> Iterable[str]:
        for need in NEEDED[exporter]:
            stored = [self._stored(exporter, metric) for metric in need.metrics]
            if need.always and not names & set(stored):
                yield f"{exporter}: no series {_shown(stored, self._matchers)}: not known without it: {need.gives}"

    async def _none(self, exporter: str, metrics: Sequence[str], asked: str, at: float) -> str:
        """Word that there is nothing, and what may be the reason."""
        needs = list(_of_its_own(NEEDED[exporter]))
        lost = "; ".join(need.gives for need in [each for each in needs if each.always] or needs)
        reason = await self._reason(metrics, at)
        return f"{exporter}: no series match {self._shown}: {reason}; not known without it: {lost}; asked: {asked}"

    async def _reason(self, metrics: Sequence[str], at: float) -> str:
        own = [metric for metric in metrics if metric != _SCRAPED]
        if not self._matchers:
            return "this Prometheus has none"
        labels = sorted(self._matchers)
        others = await self._client.query(f"count by ({', '.join(labels)}) ({any_of(own, {})})", at)
        if not others:
            return "without the matchers there are none either: is the exporter scraped by this Prometheus?"
        written = [f"{label}: {value}" for label, value in self._matchers.items() if _PROMQL.search(value)]
        if written:
            return (
                f"a matcher is compared as it stands, it is not PromQL ({', '.join(written)}); {_where(others, labels)}"
            )
        return f"check matchers: {_where(others, labels)}"


def _metrics_of(exporter: str) -> frozenset[str]:
    return frozenset(metric for need in NEEDED[exporter] for metric in need.metrics)


def _of_its_own(needs: Iterable[Needed]) -> Iterable[Needed]:
    return (need for need in needs if need.metrics != (_SCRAPED,))


def _shown(metrics: Sequence[str], matchers: Mapping[str, str]) -> str:
    more = " or another of its family" if len(metrics) > 1 else ""
    return selector(metrics[0], matchers) + more


def _where(samples: Sequence[Sample], labels: Sequence[str]) -> str:
    """Say under which labels the series are that the matchers leave out."""
    found = [selector("", {label: sample.metric.get(label, "") for label in labels}) for sample in samples]
    if all(not any(sample.metric.get(label) for label in labels) for sample in samples):
        return (
            f"the series there have no label {' and '.join(labels)} (external_labels are not on series in the "
            "Prometheus that scrapes them)"
        )
    more = f" and {len(found) - _MOST_VALUES} others" if len(found) > _MOST_VALUES else ""
    return f"there are series with {', '.join(sorted(found)[:_MOST_VALUES])}{more}"
