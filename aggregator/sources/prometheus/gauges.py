"""Fetch the gauges of jobs that exporters declare: one query for each, whatever the number of jobs."""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from aggregator import executors
from aggregator.model.job_gauges import JobGauges, NodesOfJobs
from aggregator.sources.base import FetchError
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.asking import Asking
from aggregator.sources.prometheus.catalogue import JOB_GAUGES
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.instant import Answers, ask_columns
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.node_values import values_of_nodes
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.settings import ExporterSettings


class PrometheusGauges:
    """Read the gauges of one cluster's jobs; one that fails keeps its last good values for `patience` seconds."""

    name = "gauges"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        nodes: NodeNames,
        *,
        patience: float = 0.0,
        numbers: JobNumbers | None = None,
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._client = client
        self._nodes = nodes
        self._numbers = numbers or JobNumbers()
        self._gauges = {
            gauge.name: (gauge, settings)
            for exporter, settings in exporters.items()
            for gauge in JOB_GAUGES.get(exporter, ())
        }
        self._inputs = {
            name: Asking(
                gauge.expression, matchers, settings, nodes, {"job": settings.label(gauge.expression.job_label)}
            )
            for name, (gauge, settings) in self._gauges.items()
        }
        self._queries = {name: each.query for name, each in self._inputs.items()}
        self._kept: LastGood[NodesOfJobs] = LastGood(patience)
        self.memory = (self._kept,)

    async def fetch(self, at: float) -> JobGauges:
        """Evaluate every gauge at `at`; one that fails is named, and is as it last was, or missing.

        Raises FetchError when all of them fail.
        """
        answers = await ask_columns(self._client, self._queries, at)
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        return await executors.run(executors.REFRESH, self._read, at, answers)

    def _read(self, at: float, answers: Answers[pl.DataFrame]) -> JobGauges:
        rejected: Counter[str] = Counter()
        values = {name: self._of_nodes(name, at, vector, rejected) for name, vector in answers.vectors.items()}
        self.rows = sum(map(len, values.values()))
        kept = self._kept.fill(at, self._queries, values)
        self.features = {name: len(found) > 0 for name, found in kept.values.items()}
        questions = {name: (self._inputs[name].question(kept.times.get(name, at)),) for name in kept.values}
        return JobGauges(kept.values, answers.failed, rejected, questions)

    def _of_nodes(self, name: str, at: float, vector: pl.DataFrame, rejected: Counter[str]) -> NodesOfJobs:
        gauge, settings = self._gauges[name]
        found = values_of_nodes(gauge.expression, name, vector, self._nodes, rejected, self._numbers)
        values = found.filter(pl.col("node") != "")
        # No sample is older than the window of the exporter's rates.
        return NodesOfJobs(values, at - settings.rate_window, gauge.over_nodes)
