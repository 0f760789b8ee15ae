"""Fetch the gauges of jobs that exporters declare: one query for each, whatever the number of jobs.

Where several exporters show one gauge of a job on a node, the first of them in the order of `gpus` is believed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from aggregator import executors
from aggregator.model.job_gauges import JobGauges, NodesOfJobs
from aggregator.model.question import Question
from aggregator.sources.base import FetchError
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.asking import Asking
from aggregator.sources.prometheus.catalogue import JOB_GAUGES, in_order
from aggregator.sources.prometheus.choosing import choose
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.exporter import JobGauge
from aggregator.sources.prometheus.instant import Answers, ask_columns
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.node_values import values_of_nodes
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.settings import ExporterSettings

_OF_JOB: Final = ("job_id", "node")


class PrometheusGauges:
    """Read the gauges of one cluster's jobs; one that fails keeps its last good values for `patience` seconds.

    first says which exporters are believed first of GPUs, and numbers which job a SLUID is.
    """

    name = "gauges"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        nodes: NodeNames,
        *,
        patience: float = 0.0,
        first: Sequence[str] = (),
        numbers: JobNumbers | None = None,
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._client = client
        self._nodes = nodes
        self._numbers = numbers or JobNumbers()
        self._order = tuple(dict.fromkeys((*in_order("gpus", exporters, first), *exporters)))
        # The inputs by their names, in the order in which the exporters are believed.
        self._gauges = dict(_named([
            (exporter, gauge) for exporter in self._order for gauge in JOB_GAUGES.get(exporter, ())
        ]))  # fmt: skip
        self._inputs = {
            name: _asking(gauge, exporter, matchers, exporters[exporter], nodes, self._numbers)
            for name, (exporter, gauge) in self._gauges.items()
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
        shown: dict[str, dict[str, NodesOfJobs]] = {}
        questions: dict[str, tuple[Question, ...]] = {}
        for name, (exporter, gauge) in self._gauges.items():
            if (found := kept.values.get(name)) is not None:
                shown.setdefault(gauge.name, {})[exporter] = found
                asked = self._inputs[name].question(kept.times.get(name, at))
                questions[gauge.name] = (*questions.get(gauge.name, ()), asked)
        return JobGauges(
            {name: self._chosen(found) for name, found in shown.items()}, answers.failed, rejected, questions
        )

    def _chosen(self, shown: Mapping[str, NodesOfJobs]) -> NodesOfJobs:
        """Take the value of each job on each node from the exporter that is believed first of those that have one."""
        each = list(shown.values())
        frames, _ = choose(
            {name: {"value": one.frame} for name, one in shown.items()}, ("value",), self._order, _OF_JOB
        )
        return NodesOfJobs(frames["value"], min(one.since for one in each), each[0].over_nodes)

    def _of_nodes(self, name: str, at: float, vector: pl.DataFrame, rejected: Counter[str]) -> NodesOfJobs:
        (_, gauge), asking = self._gauges[name], self._inputs[name]
        found = values_of_nodes(asking.item, name, vector, self._nodes, rejected, self._numbers)
        values = found.filter(pl.col("node") != "")
        # No sample is older than the window of the exporter's rates.
        return NodesOfJobs(values, at - asking.settings.rate_window, gauge.over_nodes)


def _named(found: Sequence[tuple[str, JobGauge]]) -> Iterator[tuple[str, tuple[str, JobGauge]]]:
    """Name each input: as its gauge, with the exporter before it where several show that."""
    shown = Counter(gauge.name for _, gauge in found)
    for exporter, gauge in found:
        yield f"{exporter}:{gauge.name}" if shown[gauge.name] > 1 else gauge.name, (exporter, gauge)


def _asking(
    gauge: JobGauge,
    exporter: str,
    matchers: Mapping[str, str],
    settings: ExporterSettings,
    nodes: NodeNames,
    numbers: JobNumbers,
) -> Asking:
    label = settings.label(gauge.expression.job_label)
    return Asking(gauge.expression, matchers, settings, nodes, {"job": label}, exporter, numbers)
