"""Fetch the use of one cluster's jobs from Prometheus: a constant number of queries at one evaluation time."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aggregator import executors
from aggregator.model.use import Base, Gpu, NodeValues, Use
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import named
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters import slurm_job_exporter
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.gpu_nodes import GpuNodes
from aggregator.sources.prometheus.instant import Answers, ask_all, job_id_of, plausible_value
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.named import named_gpu, prefer
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.recording import Recordings
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings

# What tells of a job since it began.
_COUNTERS = frozenset({"cpu_seconds", "memory_peak_bytes", "sampled_at"})
_NO_OTHERS: Mapping[str, ExporterSettings] = {}
# Values that mean nothing beside those of another time: a GPU that is not there, and who vouches for that; a counter,
# and when it was read.
_TOGETHER = (frozenset(("gpus", "healthy_nodes")), _COUNTERS)
_VALUES = (*(item.name for item in slurm_job_exporter.JOB_INPUTS), "gpus", "healthy_nodes")
GpuKey = tuple[int, str, str]  # job id, node, job-local index or MIG UUID


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
        self._gpu_label = exporter.label("gpu")
        inputs = slurm_job_exporter.REFRESHED
        self._queries = {item.name: promql(item, matchers, exporter, nodes.label) for item in inputs}
        self._named = {name: (others[name], items) for name, items in named.NOW.items() if name in others}
        for name, (settings, items) in self._named.items():
            self._queries |= {f"{name}:{item.name}": promql(item, matchers, settings, nodes.label) for item in items}
        self._recordings = Recordings(inputs, matchers, exporter, (self._job_label, nodes.label))
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

    async def base_of(self, job_id: int, since: float) -> Base | None:
        """Read the first samples of a job after a time, which must be two scrape intervals ago; None without any.

        Raises FetchError.
        """
        inputs = [item for item in slurm_job_exporter.JOB_INPUTS if item.name in _COUNTERS]
        matchers = {**self._matchers, self._job_label: str(job_id)}
        queries = {item.name: promql(item, matchers, self._exporter, self._nodes.label) for item in inputs}
        answers = await ask_all(self._client, queries, since + 1.5 * self._exporter.interval)
        if answers.failed:
            raise FetchError(next(iter(answers.failed.values())))
        found = {
            item.name: self._by_node(item, answers.vectors[item.name], Counter()).get(job_id, {}) for item in inputs
        }
        times = {node: time for node, time in found["sampled_at"].items() if time >= since}
        return Base(times, found["cpu_seconds"], found["memory_peak_bytes"]) if times else None

    @property
    def interval(self) -> float:
        """Give the seconds between two scrapes."""
        return self._exporter.interval

    async def _ask_all(self, at: float) -> Answers:
        """Ask for every input: for its recorded series where there are any, and then again where those will not do."""
        answers = await ask_all(self._client, {**self._queries, **self._recordings.queries(at)}, at)
        refused = await executors.run(executors.REFRESH, self._recordings.judge, answers.vectors, at)
        if not refused:
            return answers
        return answers.replaced(await ask_all(self._client, {name: self._queries[name] for name in refused}, at))

    def _read(self, at: float, answers: Answers) -> Use:
        rejected: Counter[str] = Counter()
        found = self._values(answers, rejected)
        filled = self._kept.fill(at, _VALUES, found)
        healthy = filled.values.get("healthy_nodes")
        # It is about slurm-job-exporter: that another one shows a node's GPUs says nothing of what this one can see.
        shown = {self._node(sample) for sample in answers.vectors.get("gpu_utilization", ())}
        unknown = {slurm_job_exporter.GPU_NODES.name: self._gpu_nodes.failed} if self._gpu_nodes.failed else {}
        return Use(
            time=at,
            interval=self._exporter.interval,
            cpu_window=self._cpu_window,
            **filled.values,
            gpu_nodes=self._gpu_nodes.update(at, shown, healthy),
            oldest=filled.oldest,
            failed={**answers.failed, **unknown},
            rejected=rejected,
        )

    def _values(self, answers: Answers, rejected: Counter[str]) -> dict[str, Any]:
        """Read what has been answered, by the names of the fields of Use."""
        found: dict[str, Any] = {
            item.name: self._by_node(item, answers.vectors[item.name], rejected)
            for item in slurm_job_exporter.JOB_INPUTS
            if item.name in answers.vectors
        }
        if (gpus := self._gpus(answers, rejected)) is not None:
            found["gpus"] = gpus
        healthy = answers.vectors.get(slurm_job_exporter.HEALTHY_NODES.name)
        if healthy is not None:
            found["healthy_nodes"] = frozenset(map(self._node, healthy))
        return found

    @property
    def _cpu_window(self) -> float:
        """Give how far back the slopes may reach, in seconds: recorded ones are of a little earlier."""
        age = self._exporter.recorded_age if self._recordings.used("cpus") else 0.0
        return self._exporter.rate_window + age

    def _by_node(self, item: Expression, vector: Sequence[Sample], rejected: Counter[str]) -> NodeValues:
        """Key an input's plausible values by job id and node."""
        values: dict[int, dict[str, float]] = defaultdict(dict)
        for sample in vector:
            job_id = self._job_id(sample, rejected)
            value = plausible_value(item, item.name, sample, rejected)
            if job_id is not None and value is not None:
                node = self._node(sample)
                # Two label values that mean one node (a port changed) are one node: the larger has it all.
                values[job_id][node] = max(value, values[job_id].get(node, value))
        return values

    def _gpus(self, answers: Answers, rejected: Counter[str]) -> Mapping[int, tuple[Gpu, ...]] | None:
        """Collect the GPUs of each job; one whose values are implausible is still seen to be there."""
        asked = {item.name for item in slurm_job_exporter.GPU_INPUTS} | {
            f"{name}:{item.name}" for name, (_, items) in self._named.items() for item in items
        }
        if not asked <= answers.vectors.keys():
            return None
        gpus: Mapping[int, tuple[Gpu, ...]] = self._own_gpus(answers, rejected)
        for name in self._named:
            gpus = prefer(self._named_gpus(name, answers, rejected), gpus)
        return gpus

    def _own_gpus(self, answers: Answers, rejected: Counter[str]) -> dict[int, tuple[Gpu, ...]]:
        found: dict[GpuKey, dict[str, float]] = defaultdict(dict)
        for item in slurm_job_exporter.GPU_INPUTS:
            for sample in answers.vectors[item.name]:
                job_id = self._job_id(sample, rejected)
                if job_id is None:
                    continue
                values = found[job_id, self._node(sample), sample.metric.get(self._gpu_label, "")]
                if (value := plausible_value(item, item.name, sample, rejected)) is not None:
                    values[item.name] = max(value, values.get(item.name, value))
        return _as_gpus(found, "gpu_utilization", "gpu_memory_bytes")

    def _named_gpus(self, name: str, answers: Answers, rejected: Counter[str]) -> dict[int, tuple[Gpu, ...]]:
        """Collect the GPUs of which another exporter names the job."""
        settings, items = self._named[name]
        found: dict[GpuKey, dict[str, float]] = defaultdict(dict)
        for item in items:
            for sample in answers.vectors[f"{name}:{item.name}"]:
                job_id, index, _ = named_gpu(sample.metric, settings)
                value = plausible_value(item, f"{name} {item.name}", sample, rejected)
                if job_id is not None:
                    values = found[job_id, self._node(sample), index]
                    values.update({item.name: max(value, values.get(item.name, value))} if value is not None else {})
        return _as_gpus(found, *(item.name for item in items))

    def _node(self, sample: Sample) -> str:
        return self._nodes.of_labels(sample.metric)

    def _job_id(self, sample: Sample, rejected: Counter[str]) -> int | None:
        job_id = job_id_of(sample.metric.get(self._job_label, ""))
        if job_id is None:
            rejected["job id is not a number"] += 1
        return job_id


def _as_gpus(found: Mapping[GpuKey, Mapping[str, float]], utilization: str, memory: str) -> dict[int, tuple[Gpu, ...]]:
    gpus: dict[int, list[Gpu]] = defaultdict(list)
    for (job_id, node, index), values in found.items():
        gpus[job_id].append(Gpu(node, index, values.get(utilization), values.get(memory)))
    return {job_id: tuple(items) for job_id, items in gpus.items()}
