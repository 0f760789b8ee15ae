"""Fetch what the ledger adds up: the means of closed windows, by range queries, a constant number of them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aggregator import executors
from aggregator.model.readings import NodeSize, Readings, Windows
from aggregator.sources.prometheus import named
from aggregator.sources.prometheus.client import PrometheusClient, Series
from aggregator.sources.prometheus.exporters import (
    dcgm_exporter,
    node_exporter,
    nvidia_gpu_exporter,
    redfish_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.gpu_nodes import GpuNodes
from aggregator.sources.prometheus.named import labels_of, named_gpus, prefer
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.power_frames import (
    NODE_VALUES,
    OF_GPU,
    OF_JOB,
    OF_NODE,
    gpus_frame,
    nodes_frame,
    rest_frame,
    used_frame,
)
from aggregator.sources.prometheus.render import moments, promql
from aggregator.sources.prometheus.rest import HOUR, RestPower
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import each_once, job_ids

# A scrape takes a while, and so does slurmctld to tell slurmdbd who has started.
MIN_SETTLE_SECONDS = 5.0
# Times come with milliseconds.
_SAME_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class _Question:
    """One range query: its expression, the input that says what its values may be, and what they are divided by."""

    item: Expression
    promql: str
    moments: int


_Answers = Mapping[str, Sequence[Series]]


class PrometheusPower:
    """Read the windows of one cluster; exporters has the settings of those in use, slurm_job_exporter among them.

    known is what the configuration says of nodes, by name; it wins over what is measured.
    """

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        names: NodeNames,
        window: float,
        known: Mapping[str, NodeSize],
    ) -> None:
        self.rejected: Counter[str] = Counter()
        self.window = window
        # A window is asked for when even the slowest exporter's samples of it have arrived.
        self.settle_seconds = max(MIN_SETTLE_SECONDS, *(settings.interval for settings in exporters.values()))
        self._client = client
        self._names = names
        self._known = known
        self._exporters = exporters
        self._jobs = exporters["slurm_job_exporter"]
        self._job_label = self._jobs.label("slurmjobid")
        self._gpu_label = self._jobs.label("gpu")
        self._newest = promql(slurm_job_exporter.NEWEST, matchers, self._jobs, names.label)
        self._rest = RestPower(client, matchers, exporters, names)
        self._gpu_nodes = GpuNodes(
            client, promql(slurm_job_exporter.GPU_NODES, matchers, self._jobs, names.label), names.of_labels
        )
        self._questions = {
            key: self._question(item, matchers, exporters[exporter])
            for key, (exporter, item) in _INPUTS.items()
            if exporter in exporters
        }

    def _question(self, item: Expression, matchers: Mapping[str, str], settings: ExporterSettings) -> _Question:
        expression = promql(item, matchers, settings, self._names.label, self.window)
        return _Question(item, expression, moments(self.window, settings.interval))

    async def newest(self, at: float) -> float | None:
        """Give the epoch time of the newest scrape that is known at `at`, by Prometheus's clock; None without any.

        Raises FetchError.
        """
        found = await self._client.query(self._newest, at)
        return max((float(sample.value[1]) for sample in found), default=None)

    async def windows(self, first_end: float, count: int) -> Readings:
        """Read `count` windows one after the other, the first of which ends at epoch time `first_end`.

        Raises FetchError when any query fails: what is added up once is not corrected later.
        """
        windows = Windows(first_end - self.window, self.window, count)
        ends = windows.frame()["window_end"].to_list()
        keys, hours = list(self._questions), sorted({end - end % HOUR for end in ends})
        await self._gpu_nodes.ask(ends[-1])
        answers, rests = await asyncio.gather(
            asyncio.gather(*(self._ask(self._questions[key], ends) for key in keys)),
            asyncio.gather(*(self._rest.at(hour) for hour in hours)),
        )
        # Tens of thousands of samples: off the event loop.
        at_rest = dict(zip(hours, rests, strict=True))
        return await executors.run(
            executors.REFRESH, self._read, windows, dict(zip(keys, answers, strict=True)), at_rest
        )

    async def _ask(self, question: _Question, ends: Sequence[float]) -> Sequence[Series]:
        return await self._client.query_range(question.promql, ends[0], ends[-1], self.window)

    def _read(self, windows: Windows, answers: _Answers, at_rest: Mapping[float, Mapping[str, float]]) -> Readings:
        by_node = {key: self._by_node(key, answers[key], windows) for key in NODE_VALUES if key in answers}
        cpus, memory = (self._by_job(key, answers[key], windows) for key in ("busy_cpus", "memory_bytes"))
        shown = self._by_gpu("gpu_utilization", answers["gpu_utilization"], windows)
        gpus, boards = shown, self._by_gpu("job_gpu_watts", answers["job_gpu_watts"], windows)
        for utilization, watts in (keys for keys in _NAMED if keys[0] in answers):
            gpus = prefer(self._by_gpu(utilization, answers[utilization], windows), gpus, OF_JOB, "value")
            boards = prefer(self._by_gpu(watts, answers[watts], windows), boards, OF_JOB, "value")
        nodes = nodes_frame(
            by_node,
            rest_frame(windows, at_rest, HOUR),
            self._showing_gpus(windows, shown, by_node["healthy_nodes"]),
            self._known,
        )
        return Readings(windows, nodes, used_frame(cpus, memory), gpus_frame(gpus, boards))

    def _showing_gpus(self, windows: Windows, shown: pl.DataFrame, healthy: pl.DataFrame) -> pl.DataFrame:
        """List the nodes whose exporters can show GPUs in each window, oldest first: what was learned lasts."""
        of_window, found = windows.frame().select("window", "window_end"), []
        for window, end in of_window.iter_rows():
            seen, up = (set(frame.filter(window=window)["node"]) for frame in (shown, healthy))
            nodes = self._gpu_nodes.update(end, seen, frozenset(up))
            found.append(pl.DataFrame({"node": sorted(nodes)}, schema={"node": pl.String}).with_columns(window=window))
        return pl.concat(found).select(pl.col("window").cast(pl.Int32), "node")

    def _by_node(self, key: str, series: Sequence[Series], windows: Windows) -> pl.DataFrame:
        """Give a value by window and node. Two label values that mean one node are one: the larger has it all."""
        values = self._values(key, series, {"node": self._nodes(series)}, windows)
        if key.endswith("_moments"):
            values = values.with_columns((pl.col("value") / self._questions[key].moments).clip(None, 1.0))
        return values.group_by(OF_NODE).agg(pl.col("value").max())

    def _by_job(self, key: str, series: Sequence[Series], windows: Windows) -> pl.DataFrame:
        labels = {"job_id": job_ids(_label(series, self._job_label)), "node": self._nodes(series)}
        values = self._values(key, series, labels, windows)
        return values.drop_nulls("job_id").group_by(OF_JOB).agg(pl.col("value").max())

    def _by_gpu(self, key: str, series: Sequence[Series], windows: Windows) -> pl.DataFrame:
        job_id, gpu = self._gpus_of(key, series)
        labels = {"job_id": job_id, "node": self._nodes(series), "gpu": gpu}
        values = self._values(key, series, labels, windows)
        return values.drop_nulls("job_id").group_by(OF_GPU).agg(pl.col("value").max())

    def _gpus_of(self, key: str, series: Sequence[Series]) -> tuple[pl.Series, pl.Series]:
        """Give job and index of GPUs as the input's exporter names them; a slice has no job where it is about watts.

        It shows those of its whole board.
        """
        exporter, _, name = key.partition(":")
        if not name:
            return job_ids(_label(series, self._job_label)), _label(series, self._gpu_label)
        labels = labels_of(self._exporters[exporter])
        found = named_gpus(pl.DataFrame({column: _label(series, label) for column, label in labels.items()}))
        job_id = found["job_id"].set(found["is_slice"], None) if name == "job_watts" else found["job_id"]
        return job_id, found["gpu"]

    def _values(
        self, key: str, series: Sequence[Series], labels: Mapping[str, pl.Series], windows: Windows
    ) -> pl.DataFrame:
        """Give the plausible values in base units: window, the labels of their series, value."""
        values = self._questions[key].item.plausible_values([text for one in series for _, text in one.values])
        if values.null_count():
            self.rejected[f"{key} out of range"] += values.null_count()
        times = pl.Series([time for one in series for time, _ in one.values], dtype=pl.Float64)
        number = ((pl.col("time") - windows.begin) / windows.seconds).round() - 1
        end = windows.begin + (number + 1) * windows.seconds
        of_series = pl.Series([len(one.values) for one in series], dtype=pl.UInt32)
        rows = pl.int_range(len(series), dtype=pl.UInt32, eager=True).repeat_by(of_series).explode().drop_nulls()
        return (
            pl.DataFrame(labels)[rows]
            .with_columns(times.alias("time"), values.alias("value"))
            # An engine that shifts or adds evaluation times would write into windows that are not its own.
            .filter(number.is_between(0, windows.count - 1), (pl.col("time") - end).abs() < _SAME_SECONDS)
            .drop_nulls("value")
            .select(number.cast(pl.Int32).alias("window"), *labels, "value")
        )

    def _nodes(self, series: Sequence[Series]) -> pl.Series:
        return each_once(_label(series, self._names.label), self._names.normalize)


def _label(series: Sequence[Series], label: str) -> pl.Series:
    return pl.Series([one.metric.get(label, "") for one in series], dtype=pl.String)


# key → exporter, what is asked of it.
_INPUTS: Mapping[str, tuple[str, Expression]] = {
    "node_watts": ("redfish_exporter", redfish_exporter.NODE_WATTS),
    "node_moments": ("redfish_exporter", redfish_exporter.NODE_MOMENTS),
    "package_watts": ("node_exporter", node_exporter.PACKAGE_WATTS),
    "package_moments": ("node_exporter", node_exporter.PACKAGE_MOMENTS),
    "dram_watts": ("node_exporter", node_exporter.DRAM_WATTS),
    "cpus": ("node_exporter", node_exporter.CPUS),
    "resting_cpus": ("node_exporter", node_exporter.RESTING_CPUS),
    "memory_total_bytes": ("node_exporter", node_exporter.MEMORY_BYTES),
    "dcgm_gpu_watts": ("dcgm_exporter", dcgm_exporter.WATTS),
    "dcgm_gpus": ("dcgm_exporter", dcgm_exporter.GPUS),
    "nvidia_gpu_watts": ("nvidia_gpu_exporter", nvidia_gpu_exporter.WATTS),
    "nvidia_gpus": ("nvidia_gpu_exporter", nvidia_gpu_exporter.GPUS),
    "healthy_nodes": ("slurm_job_exporter", slurm_job_exporter.WINDOW_HEALTHY_NODES),
    "busy_cpus": ("slurm_job_exporter", slurm_job_exporter.CPUS),
    "memory_bytes": ("slurm_job_exporter", slurm_job_exporter.WINDOW_MEMORY),
    "gpu_utilization": ("slurm_job_exporter", slurm_job_exporter.WINDOW_GPU_UTILIZATION),
    "job_gpu_watts": ("slurm_job_exporter", slurm_job_exporter.JOB_GPU_WATTS),
    **{f"{name}:{item.name}": (name, item) for name, of_exporter in named.WINDOW.items() for item in of_exporter},
}
# The keys of those that name a GPU's job: utilisation, watts.
_NAMED = tuple((f"{name}:job_utilization", f"{name}:job_watts") for name in named.WINDOW)
