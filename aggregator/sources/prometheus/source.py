"""Fetch the use of one cluster's jobs from Prometheus: a constant number of queries at one evaluation time."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import polars as pl

from aggregator import executors
from aggregator.model.job_inputs import GPUS, OF_NODES, Use
from aggregator.model.question import ByInput, Question
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import named
from aggregator.sources.prometheus.asking import Asking, inputs_of_jobs
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.exporters import slurm_job_exporter
from aggregator.sources.prometheus.gpu_nodes import GpuNodes
from aggregator.sources.prometheus.instant import Answers, ask_columns
from aggregator.sources.prometheus.memory import Filled, LastGood
from aggregator.sources.prometheus.node_values import jobs_of, nodes_of, plausible, values_of_nodes
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.recording import Recordings
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import VectorQuery, side_by_side

# What tells of a job since it began.
_COUNTERS = frozenset({"cpu_seconds", "memory_peak_bytes", "sampled_at"})
_NO_OTHERS: Mapping[str, ExporterSettings] = {}
# Values that mean nothing beside those of another time: a GPU that is not there, and who vouches for that; a counter,
# and when it was read.
_TOGETHER = (frozenset(("gpus", "healthy_nodes")), _COUNTERS)
_VALUES = (*OF_NODES, "gpus", "healthy_nodes")
_GPU_INPUTS: Final = tuple(item.name for item in slurm_job_exporter.GPU_INPUTS)
_OF_JOB: Final = ("job_id", "node")
_OF_GPU: Final = (*_OF_JOB, "gpu")
# What a base has of a job on a node, by the inputs that it is read from.
_BASE: Final = {"sampled_at": "base_at", "cpu_seconds": "base_cpu_seconds", "memory_peak_bytes": "base_peak_bytes"}


class PrometheusUse:
    """Read slurm-job-exporter's series of one cluster.

    An input that fails keeps its last good value for `patience` seconds. others are the settings of the exporters in
    use that may say which job has a GPU.
    """

    name = "prometheus"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporter: ExporterSettings,
        nodes: NodeNames,
        *,
        patience: float = 0.0,
        others: Mapping[str, ExporterSettings] = _NO_OTHERS,
    ) -> None:
        self.rows = 0
        self._client = client
        self._matchers = matchers
        self._exporter = exporter
        self._nodes = nodes
        self._job_label = exporter.label("slurmjobid")
        self._of_job = {"job": self._job_label, "node": nodes.label}
        self._named = {name: items for name, items in named.NOW.items() if name in others}
        self._inputs = dict(inputs_of_jobs(matchers, exporter, nodes))
        # The inputs of exporters that name the jobs of GPUs → what they say again.
        self._gpu_inputs: dict[str, str] = {}
        for name, items in self._named.items():
            labels = named.labels_of(others[name])
            for item, again in zip(items, _GPU_INPUTS, strict=True):
                self._inputs[f"{name}:{item.name}"] = Asking(item, matchers, others[name], nodes, labels)
                self._gpu_inputs[f"{name}:{item.name}"] = again
        self._queries = {name: each.query for name, each in self._inputs.items()}
        self._recorded: dict[str, bool] = {}
        self._recordings = Recordings(slurm_job_exporter.REFRESHED, matchers, exporter)
        self._kept: LastGood[Any] = LastGood(patience, _TOGETHER)
        self.memory = (self._kept,)
        self._gpu_nodes = GpuNodes(
            client, promql(slurm_job_exporter.GPU_NODES, matchers, exporter, nodes.label), nodes.of_labels
        )
        self._targets = promql(slurm_job_exporter.TARGETS, matchers, exporter, nodes.label)

    @property
    def features(self) -> Mapping[str, bool]:
        """Say which inputs the last fetch read from recorded series."""
        return self._recordings.features

    async def fetch(self, at: float) -> Use:
        """Evaluate every input at `at`; one that fails is missing and named, the others are there.

        Raises FetchError when all of them fail.
        """
        answers, _ = await asyncio.gather(self._ask_all(at), self._gpu_nodes.ask(at))
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        self.rows = sum(map(len, answers.vectors.values()))
        # Tens of thousands of samples: off the event loop.
        use = await executors.run(executors.REFRESH, self._read, at, answers)
        return replace(use, reachable=await self._has_targets(at)) if use.is_empty else use

    async def _has_targets(self, at: float) -> bool:
        """Ask whether there is any target of the cluster, where there is no sample of any node."""
        try:
            return bool(await self._client.query(self._targets, at))
        except FetchError:
            return False

    async def base_of(self, job_id: int, since: float) -> pl.DataFrame:
        """Read the first samples of a job after a time, which must be two scrape intervals ago.

        Gives a row for each node that has any, in the columns of BASES but for the run. Raises FetchError.
        """
        inputs = {item.name: item for item in slurm_job_exporter.JOB_INPUTS if item.name in _COUNTERS}
        matchers = {**self._matchers, self._job_label: str(job_id)}
        queries = {
            name: VectorQuery(promql(item, matchers, self._exporter, self._nodes.label), self._of_job)
            for name, item in inputs.items()
        }
        answers = await ask_columns(self._client, queries, since + 1.5 * self._exporter.interval)
        if answers.failed:
            raise FetchError(next(iter(answers.failed.values())))
        found = {
            _BASE[name]: values_of_nodes(item, name, answers.vectors[name], self._nodes, Counter())
            for name, item in inputs.items()
        }
        bases = side_by_side(found, _OF_JOB, tuple(_BASE.values())).filter(job_id=job_id)
        return bases.filter(pl.col("base_at") >= since).drop("job_id")

    @property
    def interval(self) -> float:
        """Give the seconds between two scrapes."""
        return self._exporter.interval

    async def _ask_all(self, at: float) -> Answers[pl.DataFrame]:
        """Ask for every input: for its recorded series where there are any, and then again where those will not do."""
        recorded = {name: VectorQuery(query, self._of_job) for name, query in self._recordings.queries(at).items()}
        answers = await ask_columns(self._client, {**self._queries, **recorded}, at)
        refused = await executors.run(executors.REFRESH, self._recordings.judge, answers.vectors, at)
        if not refused:
            return answers
        return answers.replaced(await ask_columns(self._client, {name: self._queries[name] for name in refused}, at))

    def _read(self, at: float, answers: Answers[pl.DataFrame]) -> Use:
        rejected: Counter[str] = Counter()
        filled = self._kept.fill(at, _VALUES, self._values(answers, rejected))
        healthy = filled.values.get("healthy_nodes")
        # It is about slurm-job-exporter: that another one shows a node's GPUs says nothing of what this one can see.
        shown = answers.vectors.get("gpu_utilization")
        showing = () if shown is None else nodes_of(shown, self._nodes).unique()
        unknown = {slurm_job_exporter.GPU_NODES.name: self._gpu_nodes.failed} if self._gpu_nodes.failed else {}
        return Use(
            time=at,
            interval=self._exporter.interval,
            cpu_window=self._cpu_window,
            values={name: filled.values[name] for name in OF_NODES if name in filled.values},
            gpus=filled.values.get("gpus"),
            healthy_nodes=healthy,
            gpu_nodes=self._gpu_nodes.update(at, showing, healthy),
            oldest=filled.oldest,
            failed={**answers.failed, **unknown},
            rejected=rejected,
            questions=self._questions(at, answers, filled),
        )

    def _questions(self, at: float, answers: Answers[pl.DataFrame], filled: Filled[Any]) -> ByInput:
        """Say what was asked for the values that there are; those of GPUs are of one time."""
        self._recorded |= {name: self._recordings.used(name) for name in answers.vectors}
        found: dict[str, tuple[Question, ...]] = {}
        for name, asking in self._inputs.items():
            shown = self._gpu_inputs.get(name, name)
            value = "gpus" if shown in _GPU_INPUTS else name
            if value in filled.values:
                asked = asking.question(filled.times.get(value, at), recorded=self._recorded.get(name, False))
                found[shown] = (*found.get(shown, ()), asked)
        if self._gpu_nodes.asked_at is not None:
            text = self._gpu_nodes.query
            found[slurm_job_exporter.GPU_NODES.name] = (Question("prometheus", text, self._gpu_nodes.asked_at),)
        return found

    def _values(self, answers: Answers[pl.DataFrame], rejected: Counter[str]) -> dict[str, Any]:
        """Read what has been answered: the inputs of nodes by their names, the GPUs, and the healthy nodes."""
        found: dict[str, Any] = {
            item.name: values_of_nodes(item, item.name, answers.vectors[item.name], self._nodes, rejected)
            for item in slurm_job_exporter.JOB_INPUTS
            if item.name in answers.vectors
        }
        if (gpus := self._gpus(answers, rejected)) is not None:
            found["gpus"] = gpus
        healthy = answers.vectors.get(slurm_job_exporter.HEALTHY_NODES.name)
        if healthy is not None:
            found["healthy_nodes"] = frozenset(nodes_of(healthy, self._nodes))
        return found

    @property
    def _cpu_window(self) -> float:
        """Give how far back the slopes may reach, in seconds: recorded ones are of a little earlier."""
        age = self._exporter.recorded_age if self._recordings.used("cpus") else 0.0
        return self._exporter.rate_window + age

    def _gpus(self, answers: Answers[pl.DataFrame], rejected: Counter[str]) -> pl.DataFrame | None:
        """Collect the GPUs of each job (GPUS); one whose values are implausible is still seen to be there."""
        asked = {item.name for item in slurm_job_exporter.GPU_INPUTS} | {
            f"{name}:{item.name}" for name, items in self._named.items() for item in items
        }
        if not asked <= answers.vectors.keys():
            return None
        gpus = self._own_gpus(answers, rejected)
        for name in self._named:
            gpus = named.prefer(self._named_gpus(name, answers, rejected), gpus, _OF_JOB, "utilization")
        return gpus

    def _own_gpus(self, answers: Answers[pl.DataFrame], rejected: Counter[str]) -> pl.DataFrame:
        found = []
        for item in slurm_job_exporter.GPU_INPUTS:
            rows = jobs_of(answers.vectors[item.name], self._nodes, rejected).drop_nulls("job_id")
            found.append(rows.with_columns(plausible(item, item.name, rows, rejected)))
        return _gpus_frame(*found)

    def _named_gpus(self, name: str, answers: Answers[pl.DataFrame], rejected: Counter[str]) -> pl.DataFrame:
        """Collect the GPUs of which another exporter names the job."""
        found = []
        for item in self._named[name]:
            vector = answers.vectors[f"{name}:{item.name}"]
            values = plausible(item, f"{name} {item.name}", vector, rejected)
            rows = named.named_gpus(vector).with_columns(values, nodes_of(vector, self._nodes))
            found.append(rows.drop_nulls("job_id"))
        return _gpus_frame(*found)


def _gpus_frame(utilization: pl.DataFrame, memory_bytes: pl.DataFrame) -> pl.DataFrame:
    """Put the values of each GPU into one row (GPUS)."""
    found = {"utilization": utilization, "memory_bytes": memory_bytes}
    return side_by_side(found, _OF_GPU, tuple(found)).select(GPUS.names())
