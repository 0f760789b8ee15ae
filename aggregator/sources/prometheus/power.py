"""Fetch what the ledger adds up: the means of closed windows, by range queries, a constant number of them."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from aggregator.model.energy import NodePower, PowerWindow
from aggregator.model.use import Gpu, Use
from aggregator.sources.prometheus.client import PrometheusClient, Series
from aggregator.sources.prometheus.exporters import gpu_exporters, node_exporter, redfish_exporter, slurm_job_exporter
from aggregator.sources.prometheus.inputs import ExporterSettings, Input, plausible, promql
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.sight import GpuSight

# A value holds for this many scrape intervals; after that the time is not covered.
HOLD_INTERVALS = 2
# A scrape takes a while, and so does slurmctld to tell slurmdbd who has started.
MIN_SETTLE_SECONDS = 5.0
# The power at rest changes slowly, and its query looks at a whole day: once an hour, at the full hour.
STATIC_SECONDS = 3600.0
# Times come with milliseconds.
_SAME_SECONDS = 0.001
_NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class _Question:
    """One range query: its expression, and the input that says what its values may be."""

    item: Input
    promql: str
    step: float


# One answer: by window number, by the series' key, the value.
_Values = list[dict[str, float]]
_JobValues = list[dict[int, dict[str, float]]]


class PrometheusPower:
    """Read the windows of one cluster; exporters has the settings of those in use, slurm_job_exporter among them.

    known is what the configuration says of nodes; it wins over what is measured.
    """

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        names: NodeNames,
        window: float,
        known: Mapping[str, NodePower],
    ) -> None:
        self.rejected: Counter[str] = Counter()
        self.window = window
        # A window is asked for when even the slowest exporter's samples of it have arrived.
        self.settle_seconds = max(MIN_SETTLE_SECONDS, *(settings.interval for settings in exporters.values()))
        self._client = client
        self._names = names
        self._known = known
        self._jobs = exporters["slurm_job_exporter"]
        self._job_label = self._jobs.label("slurmjobid")
        self._gpu_label = self._jobs.label("gpu")
        self._sight = GpuSight(
            client, promql(slurm_job_exporter.GPU_NODES, matchers, self._jobs, names.label), names.of_labels
        )
        self._questions = {
            key: self._question(key, item, matchers, exporters[exporter])
            for key, (exporter, item) in _INPUTS.items()
            if exporter in exporters
        }

    def _question(self, key: str, item: Input, matchers: Mapping[str, str], settings: ExporterSettings) -> _Question:
        hold = max(self.window, HOLD_INTERVALS * settings.interval)
        step = STATIC_SECONDS if key == "static_watts" else self.window
        return _Question(item, promql(item, matchers, settings, self._names.label, hold), step)

    async def windows(self, first_end: float, count: int) -> list[PowerWindow]:
        """Read `count` windows one after the other, the first of which ends at epoch time `first_end`.

        Raises FetchError when any query fails: what is added up once is not corrected later.
        """
        ends = [first_end + number * self.window for number in range(count)]
        keys = list(self._questions)
        await self._sight.learn(ends[-1])
        answers = await asyncio.gather(*(self._ask(self._questions[key], ends) for key in keys))
        # Tens of thousands of samples: off the event loop.
        return await asyncio.to_thread(self._read, ends, dict(zip(keys, answers, strict=True)))

    async def _ask(self, question: _Question, ends: Sequence[float]) -> Sequence[Series]:
        start, end = (_floor(time, question.step) for time in (ends[0], ends[-1]))
        if question.step == self.window:
            start, end = ends[0], ends[-1]
        return await self._client.query_range(question.promql, start, end, question.step)

    def _read(self, ends: Sequence[float], answers: Mapping[str, Sequence[Series]]) -> list[PowerWindow]:
        by_node = {key: self._by_node(key, answers[key], ends) for key in _NODE_KEYS if key in answers}
        by_job = {key: self._by_job(key, answers[key], ends) for key in _JOB_KEYS}
        gpus = self._gpus(answers["gpu_utilization"], ends)
        windows = []
        for number, end in enumerate(ends):
            seen = {key: values[number] for key, values in by_node.items()}
            use = Use(
                time=end,
                interval=self._jobs.interval,
                cpu_window=self._jobs.rate_window,
                cpus=by_job["busy_cpus"][number],
                memory_bytes=by_job["memory_bytes"][number],
                gpus=gpus[number],
                healthy_nodes=(healthy := frozenset(seen.pop("healthy_nodes"))),
                gpu_nodes=self._sight.see(end, {gpu.node for of in gpus[number].values() for gpu in of}, healthy),
            )
            nodes = _nodes(seen, by_job["job_gpu_watts"][number], self._known)
            windows.append(PowerWindow(end - self.window, end, use, nodes, by_job["job_gpu_watts"][number]))
        return windows

    def _by_node(self, key: str, series: Sequence[Series], ends: Sequence[float]) -> _Values:
        values: _Values = [{} for _ in ends]
        for labels, number, value in self._values(key, series, ends):
            node = self._node(labels)
            # Two label values that mean one node are one node: the larger has it all.
            values[number][node] = max(value, values[number].get(node, value))
        return values

    def _by_job(self, key: str, series: Sequence[Series], ends: Sequence[float]) -> _JobValues:
        values: _JobValues = [defaultdict(dict) for _ in ends]
        for labels, number, value in self._values(key, series, ends):
            if (job_id := self._job_id(labels)) is not None:
                node = self._node(labels)
                nodes = values[number][job_id]
                nodes[node] = max(value, nodes.get(node, value))
        return values

    def _gpus(self, series: Sequence[Series], ends: Sequence[float]) -> list[dict[int, tuple[Gpu, ...]]]:
        found: list[dict[int, dict[tuple[str, str], Gpu]]] = [defaultdict(dict) for _ in ends]
        for labels, number, value in self._values("gpu_utilization", series, ends):
            if (job_id := self._job_id(labels)) is not None:
                gpu = Gpu(self._node(labels), labels.get(self._gpu_label, ""), value)
                known = found[number][job_id].setdefault((gpu.node, gpu.index), gpu)
                if value > (known.utilization or 0.0):
                    found[number][job_id][gpu.node, gpu.index] = gpu
        return [{job_id: tuple(gpus.values()) for job_id, gpus in jobs.items()} for jobs in found]

    def _values(
        self, key: str, series: Sequence[Series], ends: Sequence[float]
    ) -> Iterator[tuple[Mapping[str, str], int, float]]:
        """Give the plausible values: labels, number of the window, value."""
        question = self._questions[key]
        for one in series:
            for time, text in one.values:
                value = plausible(question.item, text)
                if value is None:
                    self.rejected[f"{key} out of range"] += 1
                    continue
                for number in self._windows_of(time, question.step, ends):
                    yield one.metric, number, value

    def _windows_of(self, time: float, step: float, ends: Sequence[float]) -> Sequence[int]:
        """Tell which windows a value stands for: one, or all of its hour."""
        if step == self.window:
            number = round((time - ends[0]) / self.window)
            # An engine that shifts or adds evaluation times would write into windows that are not its own.
            return (number,) if number in range(len(ends)) and abs(time - ends[number]) < _SAME_SECONDS else ()
        return [number for number, end in enumerate(ends) if _floor(end, step) == time]

    def _node(self, labels: Mapping[str, str]) -> str:
        return self._names.normalize(labels.get(self._names.label, ""))

    def _job_id(self, labels: Mapping[str, str]) -> int | None:
        text = labels.get(self._job_label, "")
        return int(text) if text.isdecimal() and len(text) <= 10 else None


# key → exporter, input. Keys of nodes and of jobs are told apart by their labels.
_INPUTS: Mapping[str, tuple[str, Input]] = {
    "node_watts": ("redfish_exporter", redfish_exporter.NODE_WATTS),
    "static_watts": ("redfish_exporter", redfish_exporter.STATIC_WATTS),
    "package_watts": ("node_exporter", node_exporter.PACKAGE_WATTS),
    "dram_watts": ("node_exporter", node_exporter.DRAM_WATTS),
    "cpus": ("node_exporter", node_exporter.CPUS),
    "resting_cpus": ("node_exporter", node_exporter.RESTING_CPUS),
    "memory_total_bytes": ("node_exporter", node_exporter.MEMORY_BYTES),
    "dcgm_gpu_watts": ("dcgm_exporter", gpu_exporters.DCGM[0]),
    "dcgm_gpus": ("dcgm_exporter", gpu_exporters.DCGM[1]),
    "nvidia_gpu_watts": ("nvidia_gpu_exporter", gpu_exporters.NVIDIA[0]),
    "nvidia_gpus": ("nvidia_gpu_exporter", gpu_exporters.NVIDIA[1]),
    "healthy_nodes": ("slurm_job_exporter", slurm_job_exporter.WINDOW_HEALTHY_NODES),
    "busy_cpus": ("slurm_job_exporter", slurm_job_exporter.JOB_INPUTS[0]),
    "memory_bytes": ("slurm_job_exporter", slurm_job_exporter.WINDOW_MEMORY),
    "gpu_utilization": ("slurm_job_exporter", slurm_job_exporter.WINDOW_GPU_UTILIZATION),
    "job_gpu_watts": ("slurm_job_exporter", slurm_job_exporter.JOB_GPU_WATTS),
}
_JOB_KEYS = ("busy_cpus", "memory_bytes", "job_gpu_watts")
_NODE_KEYS = tuple(key for key in _INPUTS if key not in (*_JOB_KEYS, "gpu_utilization"))


def _floor(time: float, step: float) -> float:
    return time - time % step


def _nodes(
    seen: Mapping[str, Mapping[str, float]],
    job_gpu_watts: Mapping[int, Mapping[str, float]],
    known: Mapping[str, NodePower],
) -> dict[str, NodePower]:
    """Put together what is known of each node."""
    own: dict[str, float] = defaultdict(float)
    for nodes in job_gpu_watts.values():
        for node, watts in nodes.items():
            own[node] += watts
    names = {name for values in seen.values() for name in values} | own.keys()
    return {name: _corrected(_node_power(name, seen, own.get(name)), known.get(name)) for name in sorted(names)}


def _node_power(name: str, seen: Mapping[str, Mapping[str, float]], own_gpu_watts: float | None) -> NodePower:
    def of(key: str) -> float | None:
        return seen.get(key, _NOTHING).get(name)

    all_gpus = _first(of("dcgm_gpu_watts"), of("nvidia_gpu_watts"))
    gpus = _first(of("dcgm_gpus"), of("nvidia_gpus"))
    package, dram = of("package_watts"), of("dram_watts")
    cpus, resting = of("cpus"), of("resting_cpus")
    watts, static = of("node_watts"), of("static_watts")
    if watts is None and package:
        # Without a chassis metric the node is its processors, memory and GPUs; the power at rest is not known then.
        watts = package + (dram or 0.0) + (_first(all_gpus, own_gpu_watts) or 0.0)
    return NodePower(
        watts=watts,
        gpu_watts=all_gpus,
        static_watts=static,
        cpus=cpus,
        busy_cpus=None if cpus is None or resting is None else max(0.0, cpus - resting),
        memory_bytes=of("memory_total_bytes"),
        gpus=None if gpus is None else round(gpus),
        dram_share=dram / (package + dram) if package and dram is not None else None,
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _corrected(measured: NodePower, known: NodePower | None) -> NodePower:
    if known is None:
        return measured
    said = {item.name: getattr(known, item.name) for item in fields(known)}
    return replace(measured, **{name: value for name, value in said.items() if value is not None})
