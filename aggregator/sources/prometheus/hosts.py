"""Fetch what node_exporter shows of every host now: a constant number of queries."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from aggregator.model.node import Hosts
from aggregator.sources.base import FetchError, NoSamples
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.exporters.node_exporter import HOST_INPUTS
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings


class PrometheusHosts:
    """Read the hosts of one cluster."""

    name = "node_exporter"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporter: ExporterSettings,
        nodes: NodeNames,
        *,
        patience: float = 0.0,
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._client = client
        self._nodes = nodes
        self._kept: LastGood[Mapping[str, float]] = LastGood(patience)
        self.memory = (self._kept,)
        self._queries = {item.name: (item, promql(item, matchers, exporter, nodes.label)) for item in HOST_INPUTS}

    async def fetch(self, at: float) -> Hosts:
        """Evaluate every input at `at`; one that fails is named, and is as it last was, or missing.

        Raises FetchError when all of them fail, NoSamples when there is no host.
        """
        values: dict[str, Mapping[str, float]] = {}
        failed: dict[str, str] = {}
        rejected: Counter[str] = Counter()

        async def ask(name: str, item: Expression, query: str) -> None:
            try:
                values[name] = await self._ask(item, query, at, rejected)
            except FetchError as error:
                failed[name] = str(error)

        await asyncio.gather(*(ask(name, item, query) for name, (item, query) in self._queries.items()))
        if not values:
            raise FetchError(next(iter(failed.values())))
        self.rows = sum(map(len, values.values()))
        if not (self.rows or failed or rejected):
            raise NoSamples("no sample of any host: check prometheus.matchers, its tenant, and the exporter", values)
        kept = self._kept.fill(at, self._queries, values).values
        self.features = {name: bool(found) for name, found in kept.items()}
        return Hosts(time=at, values=kept, failed=failed, rejected=rejected)

    async def _ask(self, item: Expression, query: str, at: float, rejected: Counter[str]) -> Mapping[str, float]:
        found: dict[str, float] = {}
        for sample in await self._client.query(query, at):
            host, value = self._nodes.of_labels(sample.metric), item.plausible(sample.value[1])
            if value is None:
                rejected[f"{item.name} out of range"] += 1
            elif host:
                found[host] = max(value, found.get(host, value))
        return found
