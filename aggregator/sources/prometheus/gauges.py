"""Fetch the gauges of jobs that exporters declare: one query for each, whatever the number of jobs."""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from aggregator import executors
from aggregator.model.job_gauges import JobGauges, NodesOfJobs
from aggregator.model.job_inputs import NODE_VALUES
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.catalogue import JOB_GAUGES
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporter import JobGauge
from aggregator.sources.prometheus.instant import Answers, ask_all, job_id_of
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.render import promql
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
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._client = client
        self._nodes = nodes
        self._gauges = {
            gauge.name: (gauge, settings)
            for exporter, settings in exporters.items()
            for gauge in JOB_GAUGES.get(exporter, ())
        }
        self._queries = {
            name: promql(gauge.expression, matchers, settings, nodes.label)
            for name, (gauge, settings) in self._gauges.items()
        }
        self._kept: LastGood[NodesOfJobs] = LastGood(patience)
        self.memory = (self._kept,)

    async def fetch(self, at: float) -> JobGauges:
        """Evaluate every gauge at `at`; one that fails is named, and is as it last was, or missing.

        Raises FetchError when all of them fail.
        """
        answers = await ask_all(self._client, self._queries, at)
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        return await executors.run(executors.REFRESH, self._read, at, answers)

    def _read(self, at: float, answers: Answers) -> JobGauges:
        rejected: Counter[str] = Counter()
        values = {name: self._of_nodes(name, at, vector, rejected) for name, vector in answers.vectors.items()}
        self.rows = sum(map(len, values.values()))
        kept = self._kept.fill(at, self._queries, values).values
        self.features = {name: len(found) > 0 for name, found in kept.items()}
        return JobGauges(kept, answers.failed, rejected)

    def _of_nodes(self, name: str, at: float, vector: Sequence[Sample], rejected: Counter[str]) -> NodesOfJobs:
        gauge, settings = self._gauges[name]
        values = gauge.expression.plausible_values([sample.value[1] for sample in vector])
        if values.null_count():
            rejected[f"{name} out of range"] += values.null_count()
        # No sample is older than the window of the exporter's rates.
        return NodesOfJobs(self._frame(gauge, settings, vector, values), at - settings.rate_window, gauge.over_nodes)

    def _frame(
        self, gauge: JobGauge, settings: ExporterSettings, vector: Sequence[Sample], values: pl.Series
    ) -> pl.DataFrame:
        """Give the values (NODE_VALUES): of a node that has two names for a while, the largest."""
        label = settings.label(gauge.expression.job_label)
        jobs = [job_id_of(sample.metric.get(label, "")) for sample in vector]
        nodes = [self._nodes.of_labels(sample.metric) or None for sample in vector]
        found = pl.DataFrame({"job_id": jobs, "node": nodes, "value": values}, schema=NODE_VALUES)
        return found.drop_nulls().group_by("job_id", "node").agg(pl.col("value").max())
