"""Ask everything that is ever asked of Prometheus, and write down the queries."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import polars as pl

from aggregator.config.exporter import Exporters, NodeExporter, RedfishExporter
from aggregator.model.cloud import IdleRule
from aggregator.model.series import Span, Subject
from aggregator.sources.base import FetchError, NoSamples, Source
from aggregator.sources.prometheus import (
    ExporterSettings,
    NodeNames,
    Presence,
    PrometheusClient,
    PrometheusCloud,
    PrometheusGauges,
    PrometheusHosts,
    PrometheusLevels,
    PrometheusLustre,
    PrometheusPower,
    PrometheusQuotas,
    PrometheusScheduler,
    PrometheusSeries,
    PrometheusUse,
    QuotaHistory,
    QuotaSeries,
)
from aggregator.sources.prometheus.catalogue import GRAPHS, OWN, PROVIDERS
from aggregator.sources.prometheus.client import Endpoint, Sample, Series
from aggregator.sources.prometheus.vector import VectorColumns, VectorQuery

AT = 1_800_000_000.0
SUBJECT = Subject(
    jobs=(4711, 4712), nodes=("n1", "n2.a"), not_of=("bob",),
    labels=(("user", "alice"), ("account", "def-kim"), ("filesystem", "scratch")),
)  # fmt: skip
# A step that is hardly longer than a scrape, and one that is looked into many times.
STEPS = (30.0, 3600.0)
_QUOTAS = (
    QuotaSeries(exporter="lfs_quota_exporter", owner="group", labels=(("path", ("/home",)),)),
    QuotaSeries(exporter="lfs_quota_exporter", owner="user", labels=(("path", ("/home",)),)),
    QuotaSeries(exporter="gpfs_exporter", owner="group", labels=(("fs", ("home",)), ("fileset", ("a", "b")))),
    QuotaSeries(exporter="gpfs_exporter", owner="user", labels=(("fs", ("home",)),)),
    QuotaSeries(exporter="gpfs_exporter", owner="fileset", labels=(("fs", ("home",)),)),
)
_KINDS = ("job", "node", "user", "account", "cluster", "software", "filesystem", "instance", "project", "cloud")


class Recorder(PrometheusClient):
    """Answer nothing, and remember what was asked."""

    def __init__(self) -> None:
        super().__init__(Endpoint(key="prometheus", url="http://prometheus"))
        self.asked: list[str] = []

    async def query(self, promql: str, at: float) -> Sequence[Sample]:
        self.asked.append(promql)
        return ()

    async def query_columns(self, query: VectorQuery, at: float) -> pl.DataFrame:
        self.asked.append(query.promql)
        return VectorColumns(query.labels).frame()

    async def query_range_with_warnings(
        self, promql: str, start: float, end: float, step: float
    ) -> tuple[Sequence[Series], Sequence[str]]:
        self.asked.append(promql)
        return (), ()

    async def query_range(self, promql: str, start: float, end: float, step: float) -> Sequence[Series]:
        self.asked.append(promql)
        return ()


Ask = Callable[[Recorder], Awaitable[object]]


def _fetches(make: Callable[[Recorder], Source[object]]) -> Ask:
    """Fetch once from a source, which may find that there is nothing."""

    async def ask(client: Recorder) -> None:
        with suppress(FetchError, NoSamples):
            await make(client).fetch(AT)

    return ask


@dataclass(frozen=True)
class Site:
    """How a site stores its series."""

    settings: Mapping[str, ExporterSettings]
    matchers: Mapping[str, str] = field(default_factory=dict)
    nodes: NodeNames = field(default_factory=NodeNames)
    steps: Sequence[float] = STEPS

    async def queries(self) -> Mapping[str, Sequence[str]]:
        """Give what each source asks."""
        found = {}
        for name, ask in self._sources():
            client = Recorder()
            await ask(client)
            found[name] = client.asked
        return found

    def _sources(self) -> Iterator[tuple[str, Ask]]:
        yield "use", self._use
        yield "power", self._power
        slurm, hosts = self.settings["slurm_exporter"], self.settings["node_exporter"]
        yield "levels", _fetches(lambda client: PrometheusLevels(client, self.matchers, slurm))
        yield "scheduler", _fetches(lambda client: PrometheusScheduler(client, self.matchers, slurm, self.nodes))
        yield "hosts", _fetches(lambda client: PrometheusHosts(client, self.matchers, hosts, self.nodes))
        for name in ("lustre_exporter", "lustre_exporter_slurm"):
            lustre = partial(PrometheusLustre, matchers=self.matchers, exporter=self.settings[name], most=0)
            yield name, _fetches(lustre)
        rule = IdleRule(duration=7 * 86_400.0)
        cloud = self.settings["libvirtd_exporter"]
        yield "cloud", _fetches(lambda client: PrometheusCloud(client, self.matchers, cloud, self.nodes, rule))
        for quotas in _QUOTAS:
            yield f"quotas {quotas.kind}", partial(self._quotas, quotas)
        yield "gauges", _fetches(lambda one: PrometheusGauges(one, self.matchers, self.settings, self.nodes))
        yield "presence", self._presence
        for exporter, graphs in GRAPHS.items():
            for graph in graphs:
                for kind in (each for each in graph.by if each in _KINDS):
                    yield f"{exporter} {kind} {graph.name}", partial(self._graph, exporter, kind, graph.name)

    async def _use(self, client: Recorder) -> None:
        source = PrometheusUse(client, self.matchers, self.settings, self.nodes)
        await source.fetch(AT)
        # Now what rules have recorded is asked for as well.
        await source.fetch(AT + 3600.0)
        await source.base_of(4711, AT)

    async def _power(self, client: Recorder) -> None:
        power = PrometheusPower(client, self.matchers, self.settings, self.nodes, 60.0, {})
        await power.newest(AT)
        await power.windows(AT, 2)

    async def _quotas(self, quotas: QuotaSeries, client: Recorder) -> None:
        settings = self.settings[quotas.exporter]
        await _fetches(lambda one: PrometheusQuotas(one, self.matchers, settings, self.nodes, quotas))(client)
        reader = PrometheusSeries(client, self.matchers, {quotas.exporter: settings}, self.nodes)
        subject = Subject(labels=((quotas.subject, "alice"),))
        for step in self.steps:
            for name in QuotaHistory(reader, quotas).available(quotas.subject):
                await QuotaHistory(reader, quotas).read(quotas.subject, name, subject, Span(0.0, step, step))

    async def _presence(self, client: Recorder) -> None:
        names = {name: settings.metrics for name, settings in self.settings.items() if name != OWN}
        await Presence(client, self.matchers, names, self.nodes).look(AT)
        await Presence(client, self.matchers, {}, self.nodes).look(AT)

    async def _graph(self, exporter: str, kind: str, name: str, client: Recorder) -> None:
        used = {key: self.settings[key] for key in {exporter, "slurm_job_exporter"}}
        if exporter != "slurm_job_exporter" and any(
            kind in graph.by and graph.name == name for graph in GRAPHS["slurm_job_exporter"]
        ):
            # That exporter would be asked instead.
            used.pop("slurm_job_exporter")
        reader = PrometheusSeries(client, self.matchers, used, self.nodes, "narval")
        subject = SUBJECT
        if kind not in ("user", "account", "filesystem"):
            subject = replace(subject, labels=())
        elif kind != "filesystem":
            subject = replace(subject, labels=tuple(pair for pair in subject.labels if pair[0] == kind))
        for step in self.steps:
            await reader.read(kind, name, subject, Span(0.0, step, step))


def _settings(**changes: Any) -> Iterator[tuple[str, ExporterSettings]]:
    """Give the settings of every exporter as the configuration has them by default."""
    for name, each in Exporters.model_fields.items():
        made = next(kind for kind in each.annotation.__args__ if kind is not type(None))()
        yield name, ExporterSettings(interval=made.interval, matchers=made.matchers, **changes)
    for name in sorted(PROVIDERS.keys() - Exporters.model_fields.keys()):
        yield name, ExporterSettings(**changes)


def default_site() -> Site:
    """Give a site that stores everything as the exporters show it."""
    settings = dict(_settings())
    return Site({**settings, OWN: settings["slurm_job_exporter"]}, {"cluster": "narval"})


def renamed_site(metrics: Mapping[str, str], labels: Mapping[str, str]) -> Site:
    """Give a site with other names of metrics and labels, other intervals, members and mounts, and odd matchers."""
    settings = {
        name: replace(each, interval=each.interval / 2) for name, each in _settings(metrics=metrics, labels=labels)
    }
    for name, kind in (("node_exporter", NodeExporter), ("redfish_exporter", RedfishExporter)):
        made = NodeExporter(scratch_mount="/tmp") if kind is NodeExporter else RedfishExporter(members="PSU.*")
        settings[name] = replace(settings[name], matchers=made.matchers)
    hostile = {"cluster": 'nar"} or up{x="val', "site": "back\\slash\n$job ${node}"}
    nodes = NodeNames(label="host", bmc_suffix="-bmc")
    return Site({**settings, OWN: settings["slurm_job_exporter"]}, hostile, nodes, steps=STEPS[1:])


def site_of_inputs(names: Sequence[str]) -> Site:
    """Give a site that has named metrics by what is read of them."""
    settings = dict(_settings(metrics={name: f"site:{name}" for name in names}))
    return Site({**settings, OWN: settings["slurm_job_exporter"]}, {"cluster": "narval"}, steps=())


_SELECTOR = re.compile(r'[\w:]*\{(?:"(?:\\.|[^"\\])*"|[^"{}])*\}')


def page(found: Mapping[str, Sequence[str]]) -> str:
    """Write down what a site's Prometheus is asked.

    What is there more than once is written once: a selector under its number (@1), a query under its own (#1).
    """
    selectors: dict[str, str] = {}
    queries: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return selectors.setdefault(match[0], f"@{len(selectors)}")

    lines = []
    for name, asked in found.items():
        lines.append(f"== {name}")
        for query in dict.fromkeys(asked):
            known = queries.get(query)
            queries[query] = known or f"#{len(queries)}"
            lines.append(known or f"{queries[query]}: {_SELECTOR.sub(number, query)}")
    return "\n".join((*(f"{each}: {text}" for text, each in selectors.items()), *lines)) + "\n"


def metrics_of(text: str) -> Sequence[str]:
    """Give the metrics that a page names, but for this service's own gauges and for what Prometheus itself has."""
    named = re.findall(r"^@\d+: ([\w:]+)\{", text, re.MULTILINE)
    listed = [name for names in re.findall(r'__name__=~"([^"]*)"', text) for name in names.split("|")]
    return sorted({name for name in (*named, *listed) if not name.startswith("hpc_")} - {"up"})
