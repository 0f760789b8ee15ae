"""What one exporter brings of a cluster's jobs: what it is asked, and what its answers say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from aggregator.model.job_inputs import GPUS
from aggregator.model.question import Question
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.asking import GPU_INPUTS, GPU_NODES, HEALTHY_NODES, inputs_of_jobs
from aggregator.sources.prometheus.catalogue import PROVIDERS
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.gpu_names import gpu_names
from aggregator.sources.prometheus.gpu_nodes import GpuNodes
from aggregator.sources.prometheus.memory import Filled
from aggregator.sources.prometheus.node_values import jobs_of, nodes_of, plausible, values_of_nodes
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.recording import Recordings
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import VectorQuery, side_by_side

# By the key of an input.
Vectors = Mapping[str, pl.DataFrame]
# The exporter whose inputs have their own names; those of others are named with the exporter.
_PLAIN: Final = "slurm_job_exporter"
# What tells of a job since it began.
COUNTERS: Final = ("cpu_seconds", "memory_peak_bytes", "sampled_at")
_OF_GPU: Final = ("job_id", "node", "gpu")
# What `GPU_INPUTS` are in GPUS.
_GPU_COLUMNS: Final = ("utilization", "memory_bytes")


def key_of(exporter: str, name: str) -> str:
    """Give the key of what is read of an exporter."""
    return name if exporter == _PLAIN else f"{exporter}:{name}"


class Provider:
    """One exporter of one cluster."""

    def __init__(
        self,
        name: str,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        settings: ExporterSettings,
        nodes: NodeNames,
        numbers: JobNumbers,
    ) -> None:
        self.name = name
        self.interval = settings.interval
        self.provides = PROVIDERS[name]
        # By the name of what they bring; their keys are by the names of their expressions.
        self._inputs = dict(inputs_of_jobs(name, self.provides, matchers, settings, nodes, numbers))
        self._keys = {input_name: key_of(name, asking.item.name) for input_name, asking in self._inputs.items()}
        item = self.provides.gpu_nodes
        query = promql(item, matchers, settings, nodes.label) if item else ""
        self.gpu_nodes = GpuNodes(client, query, nodes.of_labels) if item else None
        self._settings = settings
        self._nodes = nodes
        self._numbers = numbers
        self._queries = {self._keys[input_name]: asking.query for input_name, asking in self._inputs.items()}
        self._recordings = Recordings(self.provides.asked, matchers, settings)
        self._recorded: dict[str, bool] = {}

    @property
    def of_nodes(self) -> Mapping[str, str]:
        """Give the keys of its values of jobs on nodes, by column."""
        return {item.name: self._keys[item.name] for item in self.provides.values}

    @property
    def healthy_key(self) -> str | None:
        """Give the key of the nodes whose exporter answers; None where it does not vouch."""
        return self._keys.get(HEALTHY_NODES)

    @property
    def counters(self) -> frozenset[str]:
        """Give the keys of what means nothing beside that of another time: counters, and when they were read."""
        return frozenset(key for name, key in self._keys.items() if name in COUNTERS)

    @property
    def features(self) -> Mapping[str, bool]:
        """Say which inputs the last fetch read from recorded series."""
        return self._recordings.features

    @property
    def cpu_window(self) -> float:
        """Give how far back slopes may reach, in seconds: recorded ones are of a little earlier."""
        return self._settings.rate_window + (self._settings.recorded_age if self._recordings.used("cpus") else 0.0)

    def queries(self, at: float) -> Mapping[str, VectorQuery]:
        """Give what is asked, by key: recorded series, where there are any, instead of what they stand for."""
        recorded = {
            self._keys[name]: VectorQuery(query, self._inputs[name].query.labels)
            for name, query in self._recordings.queries(at).items()
        }
        return {**self._queries, **recorded}

    def refused(self, vectors: Vectors, at: float) -> Mapping[str, VectorQuery]:
        """Give what must be asked again, for its recorded series will not do."""
        own = {name: vectors[key] for name, key in self._keys.items() if key in vectors}
        return {self._keys[name]: self._queries[self._keys[name]] for name in self._recordings.judge(own, at)}

    def values(self, vectors: Vectors, rejected: Counter[str]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Read what has been answered of jobs on nodes, by key."""
        for item in self.provides.values:
            key = self._keys[item.name]
            if key in vectors:
                yield key, values_of_nodes(item, _said(key), vectors[key], self._nodes, rejected, self._numbers)

    def gpus(self, vectors: Vectors, rejected: Counter[str]) -> pl.DataFrame | None:
        """Collect the GPUs of each job (GPUS); one whose values cannot be is there all the same.

        Gives None without all answers.
        """
        found = {}
        for column, name, item in zip(_GPU_COLUMNS, GPU_INPUTS, self.provides.gpus, strict=True):
            key = self._keys[name]
            if key not in vectors:
                return None
            values = plausible(item, _said(key), vectors[key], rejected)
            gpus = gpu_names(vectors[key], self.provides)["gpu"]
            rows = (
                jobs_of(vectors[key], self._nodes, rejected, self._numbers)
                .with_columns(values, gpus)
                .drop_nulls("job_id")
            )
            found[column] = rows.select(*_OF_GPU, "value")
        return side_by_side(found, _OF_GPU, _GPU_COLUMNS).select(GPUS.names())

    def healthy(self, vectors: Vectors) -> frozenset[str] | None:
        """Give the nodes whose exporter answers; None where that could not be read."""
        vector = vectors.get(self._keys.get(HEALTHY_NODES, ""))
        return None if vector is None else frozenset(nodes_of(vector, self._nodes))

    def showing_gpus(self, vectors: Vectors) -> Iterable[str]:
        """Give the nodes of which GPUs are shown now."""
        shown = vectors.get(self._keys.get(GPU_INPUTS[0], ""))
        return () if shown is None else nodes_of(shown, self._nodes).unique()

    def questions(self, at: float, vectors: Vectors, filled: Filled[Any]) -> Iterator[tuple[str, Question]]:
        """Say what was asked for the values that there are, by the input's name; those of GPUs are of one time."""
        self._recorded |= {name: self._recordings.used(name) for name, key in self._keys.items() if key in vectors}
        for name, asking in self._inputs.items():
            value = "gpus" if name in GPU_INPUTS else self._keys[name]
            if value in filled.values:
                yield name, asking.question(filled.times.get(value, at), recorded=self._recorded.get(name, False))
        if self.gpu_nodes and self.gpu_nodes.asked_at is not None:
            yield GPU_NODES, Question("prometheus", self.gpu_nodes.query, self.gpu_nodes.asked_at, exporter=self.name)

    def counters_of(self, job_id: int) -> Mapping[str, VectorQuery]:
        """Give what is asked for the counters of one job, by key."""
        return {self._keys[name]: asking.of_job(job_id) for name, asking in self._inputs.items() if name in COUNTERS}


def _said(key: str) -> str:
    """Name an input in a reason."""
    return key.replace(":", " ")
