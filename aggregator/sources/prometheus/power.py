"""Fetch what the ledger adds up: the means of closed windows, by range queries, a constant number of them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import polars as pl

from aggregator import executors
from aggregator.model.readings import NodeSize, Readings, Windows
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.catalogue import PREFERRED, PROVIDERS, in_order
from aggregator.sources.prometheus.choosing import EXPORTER, choose, choose_gpus
from aggregator.sources.prometheus.client import PrometheusClient, Series
from aggregator.sources.prometheus.exporter import OfWindows, Provides
from aggregator.sources.prometheus.exporters import (
    dcgm_exporter,
    node_exporter,
    nvidia_gpu_exporter,
    redfish_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.gpu_names import gpu_names
from aggregator.sources.prometheus.gpu_nodes import GpuNodes
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
from aggregator.sources.prometheus.provider import key_of
from aggregator.sources.prometheus.render import moments, promql
from aggregator.sources.prometheus.rest import HOUR, RestPower
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import each_once

# A scrape takes a while, and so does slurmctld to tell slurmdbd who has started.
MIN_SETTLE_SECONDS = 5.0
# Times come with milliseconds.
_SAME_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class _Question:
    """One range query: its expression, what its values may be, what they are divided by, and whose labels it has."""

    item: Expression
    promql: str
    moments: int
    exporter: str


_Answers = Mapping[str, Sequence[Series]]
_Read = Callable[[str, Sequence[Series], Windows], pl.DataFrame]
_NO_ORDER: Final[Mapping[str, Sequence[str]]] = {}
_NO_VALUES: Final = pl.DataFrame(
    schema={"window": pl.Int32, "job_id": pl.Int64, "node": pl.String, "gpu": pl.String, "value": pl.Float64}
)


class PrometheusPower:
    """Read the windows of one cluster; exporters has the settings of those in use.

    known is what the configuration says of nodes, by name; it wins over what is measured. first says which exporters
    are believed first, by the kind of value, and numbers which job a SLUID is.
    """

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        names: NodeNames,
        window: float,
        known: Mapping[str, NodeSize],
        first: Mapping[str, Sequence[str]] = _NO_ORDER,
        numbers: JobNumbers | None = None,
    ) -> None:
        self.rejected: Counter[str] = Counter()
        self.window = window
        # A window is asked for when even the slowest exporter's samples of it have arrived.
        self.settle_seconds = max(MIN_SETTLE_SECONDS, *(settings.interval for settings in exporters.values()))
        self._client = client
        self._names = names
        self._numbers = numbers or JobNumbers()
        self._known = known
        self._exporters = exporters
        jobs = exporters.get("slurm_job_exporter", ExporterSettings())
        self._newest = promql(slurm_job_exporter.NEWEST, matchers, jobs, names.label)
        self._rest = RestPower(client, matchers, exporters, names)
        self._order = {kind: in_order(kind, exporters, first.get(kind, ())) for kind in PREFERRED}
        self._gpu_nodes = {
            name: GpuNodes(client, promql(item, matchers, exporters[name], names.label), names.of_labels)
            for name in exporters.keys() & PROVIDERS.keys()
            if (item := PROVIDERS[name].gpu_nodes)
        }
        self._questions = {
            key: self._question(exporter, item, matchers, exporters[exporter])
            for key, (exporter, item) in _INPUTS.items()
            if exporter in exporters
        }

    def _question(
        self, exporter: str, item: Expression, matchers: Mapping[str, str], settings: ExporterSettings
    ) -> _Question:
        expression = promql(item, matchers, settings, self._names.label, self.window)
        return _Question(item, expression, moments(self.window, settings.interval), exporter)

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
        await asyncio.gather(*(each.ask(ends[-1]) for each in self._gpu_nodes.values()))
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
        of_nodes = [key for key in NODE_VALUES if key in answers and key != "healthy_nodes"]
        by_node = {key: self._by_node(key, answers[key], windows) for key in of_nodes}
        healthy = self._of_each("healthy_nodes", answers, windows, self._by_node)
        cpus, memory = (self._of_jobs(kind, answers, windows) for kind in ("cpus", "memory"))
        shown = self._of_each("gpu_utilization", answers, windows, self._by_gpu)
        boards = self._of_each("gpu_watts", answers, windows, self._by_gpu)
        nodes = nodes_frame(
            {**by_node, "healthy_nodes": _any_of(healthy.values())},
            rest_frame(windows, at_rest, HOUR),
            self._vouching_for_gpus(windows, shown, healthy),
            self._known,
        )
        gpus = gpus_frame(self._of_gpus(shown), self._of_gpus(boards))
        return Readings(windows, nodes, used_frame(cpus, memory), gpus)

    def _of_each(self, name: str, answers: _Answers, windows: Windows, read: _Read) -> Mapping[str, pl.DataFrame]:
        """Read what each exporter that brings something of jobs has answered, by exporter."""
        keys = {exporter: asked[name][0] for exporter, asked in _OF_JOBS.items() if name in asked}
        return {exporter: read(key, answers[key], windows) for exporter, key in keys.items() if key in answers}

    def _of_jobs(self, kind: str, answers: _Answers, windows: Windows) -> pl.DataFrame:
        """Give the CPUs or the memory of jobs on nodes, each from one exporter."""
        each = self._of_each(kind, answers, windows, self._by_job)
        found, _ = choose({name: {kind: frame} for name, frame in each.items()}, (kind,), self._order[kind], OF_JOB)
        return found.get(kind, _NO_VALUES.select(*OF_JOB, "value"))

    def _of_gpus(self, shown: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give the GPUs of jobs, of each job on a node from one exporter."""
        found = choose_gpus({name: shown[name] for name in self._order["gpus"] if name in shown}, OF_JOB, "value")
        return _NO_VALUES if found is None else found.drop(EXPORTER, strict=False)

    def _vouching_for_gpus(
        self, windows: Windows, shown: Mapping[str, pl.DataFrame], healthy: Mapping[str, pl.DataFrame]
    ) -> pl.DataFrame:
        """List the nodes of which an exporter that can show GPUs answered in each window."""
        each = (
            self._showing_gpus(known, windows, shown[name], healthy[name]).join(healthy[name], on=OF_NODE, how="semi")
            for name, known in self._gpu_nodes.items()
        )
        return pl.concat([_NO_VALUES.select(OF_NODE), *each]).unique()

    def _showing_gpus(
        self, known: GpuNodes, windows: Windows, shown: pl.DataFrame, healthy: pl.DataFrame
    ) -> pl.DataFrame:
        """List the nodes whose exporters can show GPUs in each window, oldest first: what was learned lasts."""
        of_window, found = windows.frame().select("window", "window_end"), []
        for window, end in of_window.iter_rows():
            seen, up = (set(frame.filter(window=window)["node"]) for frame in (shown, healthy))
            nodes = known.update(end, seen, frozenset(up))
            found.append(pl.DataFrame({"node": sorted(nodes)}, schema={"node": pl.String}).with_columns(window=window))
        return pl.concat(found).select(pl.col("window").cast(pl.Int32), "node")

    def _by_node(self, key: str, series: Sequence[Series], windows: Windows) -> pl.DataFrame:
        """Give a value by window and node. Two label values that mean one node are one: the larger has it all."""
        values = self._values(key, series, {"node": self._nodes(series)}, windows)
        if key.endswith("_moments"):
            values = values.with_columns((pl.col("value") / self._questions[key].moments).clip(None, 1.0))
        return values.group_by(OF_NODE).agg(pl.col("value").max())

    def _by_job(self, key: str, series: Sequence[Series], windows: Windows) -> pl.DataFrame:
        labels = {"job_id": self._jobs_of(key, series), "node": self._nodes(series)}
        values = self._values(key, series, labels, windows)
        return values.drop_nulls("job_id").group_by(OF_JOB).agg(pl.col("value").max())

    def _by_gpu(self, key: str, series: Sequence[Series], windows: Windows) -> pl.DataFrame:
        """Give a value by window, job, node and GPU; a slice has no job where it is about watts.

        It shows those of its whole board.
        """
        asked = self._questions[key]
        provides, settings = PROVIDERS[asked.exporter], self._exporters[asked.exporter]
        read = [label for label in (*provides.gpu_labels, provides.slice) if label]
        found = gpu_names(pl.DataFrame({label: _label(series, settings.label(label)) for label in read}), provides)
        jobs = self._jobs_of(key, series)
        if asked.item is provides.of_windows.gpu_watts:
            jobs = jobs.set(found["is_slice"], None)
        values = self._values(key, series, {"job_id": jobs, "node": self._nodes(series), "gpu": found["gpu"]}, windows)
        return values.drop_nulls("job_id").group_by(OF_GPU).agg(pl.col("value").max())

    def _jobs_of(self, key: str, series: Sequence[Series]) -> pl.Series:
        asked = self._questions[key]
        return self._numbers.of(_label(series, self._exporters[asked.exporter].label(asked.item.job_label)))

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


def _any_of(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([_NO_VALUES.select(*OF_NODE, "value"), *frames]).group_by(OF_NODE).agg(pl.col("value").max())


def _asked_of(exporter: str, provides: Provides) -> Mapping[str, tuple[str, Expression]]:
    """Give what is asked of an exporter of jobs: its keys and expressions, by the fields of OfWindows."""
    there = {field.name: getattr(provides.of_windows, field.name) for field in fields(OfWindows)}
    # The CPUs of a node have that name here.
    names = {name: "busy_cpus" if name == "cpus" else item.name for name, item in there.items() if item}
    return {name: (key_of(exporter, key), there[name]) for name, key in names.items()}


_OF_JOBS: Final = {name: _asked_of(name, provides) for name, provides in PROVIDERS.items()}
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
    **{key: (exporter, item) for exporter, asked in _OF_JOBS.items() for key, item in asked.values()},
}
