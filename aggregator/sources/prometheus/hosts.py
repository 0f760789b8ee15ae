"""Fetch what node_exporter shows of every host now: a constant number of queries."""

from collections import Counter
from collections.abc import Mapping, Sequence

from aggregator import executors
from aggregator.model.node_inputs import Hosts, by_host
from aggregator.sources.base import FetchError, NoSamples
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters.node_exporter import HOST_INPUTS
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.instant import Answers, ask_all, values_by
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
        self._queries = {item.name: promql(item, matchers, exporter, nodes.label) for item in HOST_INPUTS}

    async def fetch(self, at: float) -> Hosts:
        """Evaluate every input at `at`; one that fails is named, and is as it last was, or missing.

        Raises FetchError when all of them fail, NoSamples when there is no host.
        """
        answers = await ask_all(self._client, self._queries, at)
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        return await executors.run(executors.REFRESH, self._read, at, answers)

    def _read(self, at: float, answers: Answers[Sequence[Sample]]) -> Hosts:
        vectors, failed = answers.vectors, answers.failed
        rejected: Counter[str] = Counter()
        values = {
            item.name: self._by_host(item, vectors[item.name], rejected) for item in HOST_INPUTS if item.name in vectors
        }
        self.rows = sum(map(len, values.values()))
        if not (self.rows or failed or rejected):
            raise NoSamples("no sample of any host: check prometheus.matchers, its tenant, and the exporter", values)
        kept = self._kept.fill(at, self._queries, values).values
        self.features = {name: bool(found) for name, found in kept.items()}
        return Hosts(time=at, frame=by_host(kept), failed=failed, rejected=rejected)

    def _by_host(self, item: Expression, vector: Sequence[Sample], rejected: Counter[str]) -> Mapping[str, float]:
        """Give the largest value of each host, which may have two names for a while."""
        found: dict[str, float] = {}
        for label, value in values_by(self._nodes.label, item, item.name, vector, rejected):
            if host := self._nodes.normalize(label):
                found[host] = max(value, found.get(host, value))
        return found
