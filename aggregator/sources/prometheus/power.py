"""Fetch what the ledger adds up: the means of closed windows, by range queries, a constant number of them."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aggregator import executors
from aggregator.model.energy import METERS, NodePower, PowerWindow
from aggregator.model.use import Gpu, Use
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
from aggregator.sources.prometheus.instant import job_id_of
from aggregator.sources.prometheus.named import named_gpu, prefer
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.render import moments, promql
from aggregator.sources.prometheus.rest import HOUR, RestPower
from aggregator.sources.prometheus.settings import ExporterSettings

# A scrape takes a while, and so does slurmctld to tell slurmdbd who has started.
MIN_SETTLE_SECONDS = 5.0
# Times come with milliseconds.
_SAME_SECONDS = 0.001
_NOTHING: Mapping[str, float] = {}
# What the configuration may say of a node.
_SAID = ("static_watts", "cpus", "memory_bytes", "gpus")


@dataclass(frozen=True, slots=True)
class _Question:
    """One range query: its expression, the input that says what its values may be, and what they are divided by."""

    item: Expression
    promql: str
    moments: int


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

    async def windows(self, first_end: float, count: int) -> list[PowerWindow]:
        """Read `count` windows one after the other, the first of which ends at epoch time `first_end`.

        Raises FetchError when any query fails: what is added up once is not corrected later.
        """
        ends = [first_end + number * self.window for number in range(count)]
        keys, hours = list(self._questions), sorted({end - end % HOUR for end in ends})
        await self._gpu_nodes.ask(ends[-1])
        answers, rests = await asyncio.gather(
            asyncio.gather(*(self._ask(self._questions[key], ends) for key in keys)),
            asyncio.gather(*(self._rest.at(hour) for hour in hours)),
        )
        # Tens of thousands of samples: off the event loop.
        at_rest = dict(zip(hours, rests, strict=True))
        return await executors.run(executors.REFRESH, self._read, ends, dict(zip(keys, answers, strict=True)), at_rest)

    async def _ask(self, question: _Question, ends: Sequence[float]) -> Sequence[Series]:
        return await self._client.query_range(question.promql, ends[0], ends[-1], self.window)

    def _read(
        self,
        ends: Sequence[float],
        answers: Mapping[str, Sequence[Series]],
        at_rest: Mapping[float, Mapping[str, float]],
    ) -> list[PowerWindow]:
        by_node = {key: self._by_node(key, answers[key], ends) for key in _NODE_KEYS if key in answers}
        by_job = {key: self._by_job(key, answers[key], ends) for key in _JOB_KEYS}
        shown = self._gpus("gpu_utilization", answers["gpu_utilization"], ends)
        gpus, boards = shown, self._gpus("job_gpu_watts", answers["job_gpu_watts"], ends)
        for utilization, watts in (keys for keys in _NAMED if keys[0] in answers):
            gpus = list(map(prefer, self._gpus(utilization, answers[utilization], ends), gpus))
            boards = list(map(prefer, self._gpus(watts, answers[watts], ends), boards))
        windows = []
        for number, end in enumerate(ends):
            seen: dict[str, Mapping[str, float]] = {key: values[number] for key, values in by_node.items()}
            use = Use(
                time=end,
                interval=self._jobs.interval,
                cpu_window=self._jobs.rate_window,
                cpus=by_job["busy_cpus"][number],
                memory_bytes=by_job["memory_bytes"][number],
                gpus=gpus[number],
                healthy_nodes=(healthy := frozenset(seen.pop("healthy_nodes"))),
                gpu_nodes=self._gpu_nodes.update(
                    end, {gpu.node for of in shown[number].values() for gpu in of}, healthy
                ),
            )
            seen["static_watts"] = at_rest[end - end % HOUR]
            own = _boards(boards[number])
            windows.append(PowerWindow(end - self.window, end, use, _nodes(seen, own, self._known), own))
        return windows

    def _by_node(self, key: str, series: Sequence[Series], ends: Sequence[float]) -> _Values:
        values: _Values = [{} for _ in ends]
        for labels, number, value in self._values(key, series, ends):
            node = self._node(labels)
            if key.endswith("_moments"):
                value = min(1.0, value / self._questions[key].moments)
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

    def _gpus(self, key: str, series: Sequence[Series], ends: Sequence[float]) -> list[dict[int, tuple[Gpu, ...]]]:
        """Give each job's GPUs with the input's value, which is in `utilization` whatever it is."""
        found: list[dict[int, dict[tuple[str, str], Gpu]]] = [defaultdict(dict) for _ in ends]
        for labels, number, value in self._values(key, series, ends):
            job_id, index = self._gpu_of(key, labels)
            if job_id is not None:
                gpu = Gpu(self._node(labels), index, value)
                known = found[number][job_id].setdefault((gpu.node, gpu.index), gpu)
                if value > (known.utilization or 0.0):
                    found[number][job_id][gpu.node, gpu.index] = gpu
        return [{job_id: tuple(gpus.values()) for job_id, gpus in jobs.items()} for jobs in found]

    def _gpu_of(self, key: str, labels: Mapping[str, str]) -> tuple[int | None, str]:
        """Give the job and the index of a GPU as the input's exporter names them; a slice shows its board's watts."""
        exporter, _, name = key.partition(":")
        if not name:
            return self._job_id(labels), labels.get(self._gpu_label, "")
        gpu = named_gpu(labels, self._exporters[exporter])
        return None if name == "job_watts" and gpu.is_slice else gpu.job_id, gpu.gpu

    def _values(
        self, key: str, series: Sequence[Series], ends: Sequence[float]
    ) -> Iterator[tuple[Mapping[str, str], int, float]]:
        """Give the plausible values: labels, number of the window, value."""
        item = self._questions[key].item
        for one in series:
            for time, text in one.values:
                value = item.plausible(text)
                if value is None:
                    self.rejected[f"{key} out of range"] += 1
                    continue
                number = round((time - ends[0]) / self.window)
                # An engine that shifts or adds evaluation times would write into windows that are not its own.
                if number in range(len(ends)) and abs(time - ends[number]) < _SAME_SECONDS:
                    yield one.metric, number, value

    def _node(self, labels: Mapping[str, str]) -> str:
        return self._names.of_labels(labels)

    def _job_id(self, labels: Mapping[str, str]) -> int | None:
        return job_id_of(labels.get(self._job_label, ""))


# key → exporter, what is asked of it. Keys of nodes and of jobs are told apart by their labels.
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
_JOB_KEYS = ("busy_cpus", "memory_bytes")
_NODE_KEYS = tuple(
    key for key in _INPUTS if key not in (*_JOB_KEYS, "gpu_utilization", "job_gpu_watts") and ":" not in key
)
# The keys of those that name a GPU's job: utilisation, watts.
_NAMED = tuple((f"{name}:job_utilization", f"{name}:job_watts") for name in named.WINDOW)
_Boards = Mapping[int, Mapping[str, Sequence[float]]]


def _boards(gpus: Mapping[int, Sequence[Gpu]]) -> _Boards:
    """Give the watts of each GPU that a job sees, by job and node."""
    boards: dict[int, dict[str, list[float]]] = {}
    for job_id, of_job in gpus.items():
        nodes = boards.setdefault(job_id, {})
        for gpu in of_job:
            nodes.setdefault(gpu.node, []).append(gpu.utilization or 0.0)
    return boards


def _nodes(
    seen: Mapping[str, Mapping[str, float]], own: _Boards, known: Mapping[str, NodePower]
) -> dict[str, NodePower]:
    """Put together what is known of each node."""
    names = {name for values in seen.values() for name in values} | {name for of_job in own.values() for name in of_job}
    return {name: _corrected(_node_power(name, seen), known.get(name)) for name in sorted(names)}


def _node_power(name: str, seen: Mapping[str, Mapping[str, float]]) -> NodePower:
    def of(key: str) -> float | None:
        return seen.get(key, _NOTHING).get(name)

    all_gpus = _first(of("dcgm_gpu_watts"), of("nvidia_gpu_watts"))
    gpus = _first(of("dcgm_gpus"), of("nvidia_gpus"))
    package, dram = of("package_watts"), of("dram_watts")
    cpus, resting = of("cpus"), of("resting_cpus")
    node = NodePower(
        watts=of("node_watts"),
        gpu_watts=all_gpus,
        static_watts=of("static_watts"),
        cpus=cpus,
        busy_cpus=None if cpus is None or resting is None else max(0.0, cpus - resting),
        memory_bytes=of("memory_total_bytes"),
        gpus=None if gpus is None else round(gpus),
        dram_share=dram / (package + dram) if package and dram is not None else None,
        covered=of("node_moments") or 0.0,
    )
    if node.watts is not None or not package:
        return node
    # Without a chassis metric the node is its processors, memory and GPUs.
    watts, covered = package + (dram or 0.0) + (all_gpus or 0.0), of("package_moments") or 0.0
    return replace(node, watts=watts, covered=covered, meter=METERS[1], lacks_gpus=all_gpus is None)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _corrected(measured: NodePower, known: NodePower | None) -> NodePower:
    if known is None:
        return measured
    said = {name: getattr(known, name) for name in _SAID}
    return replace(measured, **{name: value for name, value in said.items() if value is not None})
