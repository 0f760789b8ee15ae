"""Fetch the use of one cluster's jobs from Prometheus: a constant number of queries at one evaluation time."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from aggregator.model.use import Base, Gpu, NodeValues, Use
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters import slurm_job_exporter
from aggregator.sources.prometheus.inputs import ExporterSettings, Input, promql
from aggregator.sources.prometheus.instant import Answers, ask_all, plausible_value
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.recording import Recordings

# What tells of a job since it began.
_COUNTERS = frozenset({"cpu_seconds", "memory_peak_bytes", "sampled_at"})
GpuKey = tuple[int, str, str]  # job id, node, job-local index or MIG UUID


class PrometheusUse:
    """Read slurm-job-exporter's series of one cluster."""

    name = "prometheus"

    def __init__(
        self, client: PrometheusClient, matchers: Mapping[str, str], exporter: ExporterSettings, nodes: NodeNames
    ) -> None:
        self.rows = 0
        self._client = client
        self._matchers = matchers
        self._exporter = exporter
        self._nodes = nodes
        self._job_label = exporter.label("slurmjobid")
        self._gpu_label = exporter.label("gpu")
        inputs = (
            *slurm_job_exporter.JOB_INPUTS,
            *slurm_job_exporter.GPU_INPUTS,
            slurm_job_exporter.HEALTHY_NODES,
        )
        self._queries = {item.name: promql(item, matchers, exporter, nodes.label) for item in inputs}
        self._recordings = Recordings(inputs, matchers, exporter, (self._job_label, nodes.label))

    @property
    def features(self) -> Mapping[str, bool]:
        """Say which inputs the last fetch read from recorded series."""
        return self._recordings.features

    async def fetch(self, at: float) -> Use:
        """Evaluate every input at `at`; one that fails is missing and named, the others are there.

        Raises FetchError when all of them fail.
        """
        answers = await self._ask_all(at)
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        self.rows = sum(map(len, answers.vectors.values()))
        # Tens of thousands of samples: off the event loop.
        return await asyncio.to_thread(self._read, at, answers)

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
        refused = await asyncio.to_thread(self._recordings.judge, answers.vectors, at)
        if not refused:
            return answers
        return answers.replaced(await ask_all(self._client, {name: self._queries[name] for name in refused}, at))

    def _read(self, at: float, answers: Answers) -> Use:
        rejected: Counter[str] = Counter()
        values = {
            item.name: self._by_node(item, answers.vectors[item.name], rejected)
            for item in slurm_job_exporter.JOB_INPUTS
            if item.name in answers.vectors
        }
        healthy = answers.vectors.get(slurm_job_exporter.HEALTHY_NODES.name)
        return Use(
            time=at,
            interval=self._exporter.interval,
            cpu_window=self._cpu_window,
            **values,
            gpus=self._gpus(answers, rejected),
            healthy_nodes=None if healthy is None else frozenset(map(self._node, healthy)),
            failed=answers.failed,
            rejected=rejected,
        )

    @property
    def _cpu_window(self) -> float:
        """Give how far back the slopes may reach, in seconds: recorded ones are of a little earlier."""
        age = self._exporter.recorded_age if self._recordings.used("cpus") else 0.0
        return self._exporter.rate_window + age

    def _by_node(self, item: Input, vector: Sequence[Sample], rejected: Counter[str]) -> NodeValues:
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
        if any(item.name not in answers.vectors for item in slurm_job_exporter.GPU_INPUTS):
            return None
        found: dict[GpuKey, dict[str, float]] = defaultdict(dict)
        for item in slurm_job_exporter.GPU_INPUTS:
            for sample in answers.vectors[item.name]:
                job_id = self._job_id(sample, rejected)
                if job_id is None:
                    continue
                values = found[job_id, self._node(sample), sample.metric.get(self._gpu_label, "")]
                if (value := plausible_value(item, item.name, sample, rejected)) is not None:
                    values[item.name] = max(value, values.get(item.name, value))
        gpus: dict[int, list[Gpu]] = defaultdict(list)
        for (job_id, node, index), values in found.items():
            gpus[job_id].append(Gpu(node, index, values.get("gpu_utilization"), values.get("gpu_memory_bytes")))
        return {job_id: tuple(items) for job_id, items in gpus.items()}

    def _node(self, sample: Sample) -> str:
        return self._nodes.normalize(sample.metric.get(self._nodes.label, ""))

    def _job_id(self, sample: Sample, rejected: Counter[str]) -> int | None:
        text = sample.metric.get(self._job_label, "")
        if text.isdecimal() and len(text) <= 10:
            return int(text)
        rejected["job id is not a number"] += 1
        return None
