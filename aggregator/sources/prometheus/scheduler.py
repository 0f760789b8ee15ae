"""Fetch what slurmctld says of nodes, CPUs, GPUs and jobs: one query, whichever exporters show it and how they name it.

What is reported twice (two exporters, two replicas of one) counts once. What an exporter is known to get wrong is
put right from what it shows node by node, or left out, and said.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from aggregator import executors
from aggregator.model.node_inputs import SAID_OF_NODES, SAID_OF_PARTITIONS, Scheduler, by_state
from aggregator.model.nodestate import parse_state
from aggregator.sources.base import NoSamples
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters import slurm_exporter as names
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.promql import any_of
from aggregator.sources.prometheus.settings import ExporterSettings

_LARGEST = 1e18
# The labels that tell one number of a metric from another; all others come from the scrape.
_OWN_LABELS = (
    "node", "partition", "state", "status", "account", "features", "collector", "user", "username", "reason",
    "gres_type", "active_feature_set",
)  # fmt: skip
# States in which a node takes no jobs first: a node that is shown in two is not available.
_WORST = ("down", "fail", "failing", "error", "drained", "draining", "maintenance", "unknown")
_Labels = Mapping[str, str]
# What is said of each node by columns of SAID_OF_NODES; what is not said is not there.
_Nodes = Mapping[str, Mapping[str, Any]]
_Partitions = Mapping[str, Mapping[str, float]]


@dataclass(slots=True)
class _Report:
    """The samples by our metric names: labels → value, each once."""

    samples: dict[str, dict[tuple[str, ...], tuple[_Labels, float]]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    repairs: list[str] = field(default_factory=list)

    def of(self, metric: str) -> Iterator[tuple[_Labels, float]]:
        return iter(self.samples.get(metric, {}).values())

    def add(self, metric: str, labels: _Labels, value: float) -> None:
        known = self.samples.setdefault(metric, {})
        key = tuple(labels.get(label, "") for label in _OWN_LABELS)
        known[key] = labels, max(value, known[key][1]) if key in known else value

    def drop(self, metric: str, why: str) -> None:
        if self.samples.pop(metric, None):
            self.rejected[why] += 1

    def total(self, metric: str) -> float | None:
        values = [value for _, value in self.of(metric)]
        return sum(values) if values else None

    def is_by_partition(self, metric: str) -> bool:
        return any(labels.get("partition") for labels, _ in self.of(metric))


class PrometheusScheduler:
    """Read slurmctld's state of one cluster."""

    name = "scheduler"

    def __init__(
        self, client: PrometheusClient, matchers: Mapping[str, str], exporter: ExporterSettings, nodes: NodeNames
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._client = client
        self._nodes = nodes
        self._own = {exporter.metrics.get(metric, metric): metric for metric in names.METRICS}
        self._labels = {stored: label for label, stored in exporter.labels.items()}
        self._query = any_of(self._own, matchers)

    async def fetch(self, at: float) -> Scheduler:
        """Evaluate at `at`.

        Raises FetchError, NoSamples when no exporter says anything.
        """
        vector = await self._client.query(self._query, at)
        if not vector:
            text = "no sample of any node, job or CPU: check prometheus.matchers, its tenant, and slurm_exporter"
            raise NoSamples(text, ("slurm_exporter",))
        return await executors.run(executors.REFRESH, self.read, at, vector)

    def read(self, at: float, vector: Sequence[Sample]) -> Scheduler:
        """Make sense of what was reported."""
        self.rows = len(vector)
        report = self._sorted(vector)
        self.features = {f"slurm_{kind}": not report.samples.keys().isdisjoint(of) for kind, of in names.KINDS.items()}
        _drop_failed(report)
        return _scheduler(at, report)

    def _sorted(self, vector: Iterable[Sample]) -> _Report:
        report = _Report()
        for sample in vector:
            metric = self._own.get(sample.metric.get("__name__", ""))
            if metric is None:
                continue
            value, labels = _number(sample.value[1]), self._named(sample.metric)
            if value is None:
                report.rejected[f"{metric} out of range"] += 1
            elif names.counts(metric, labels):
                report.add(metric, labels, value)
        return report

    def _named(self, metric: _Labels) -> _Labels:
        """Give a sample's labels by the exporter's own names, and its node by the one name that it has."""
        labels = {self._labels.get(name, name): text for name, text in metric.items()}
        if "node" in labels:
            labels["node"] = self._nodes.normalize(labels["node"])
        return labels


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= _LARGEST else None


def _drop_failed(report: _Report) -> None:
    """Leave out what a collector shows that says of itself that it has failed: those are zeros."""
    failed = {labels.get("collector", "") for metric in names.FAILURES for labels, value in report.of(metric) if value}
    for collector in sorted(failed & names.COLLECTED.keys()):
        for metric in [name for name in report.samples if name.startswith(names.COLLECTED[collector])]:
            report.drop(metric, f"collector {collector} failed")


def _scheduler(at: float, report: _Report) -> Scheduler:
    nodes = _nodes(report)
    _put_right_power_states(report, nodes)
    partitions = _partitions(report)
    states = Counter(node["state"] for node in nodes.values() if "state" in node)
    numbers = _numbers(report, by_node=bool(states))
    cpus = _with_nodes(numbers["cpus"], nodes, ("cpus_allocated", "cpus_idle", "cpus"))
    _judge_cpu_sum(report, cpus, nodes, partitions)
    _judge_gpus(report, numbers["gpus"], nodes, partitions)
    gpus = _with_nodes(numbers["gpus"], nodes, ("gpus_allocated", "", "gpus"))
    counted = {"cpus": cpus, "gpus": gpus, "nodes": states or numbers["nodes"], "jobs": numbers["jobs"]}
    return Scheduler(
        time=at,
        nodes=pl.DataFrame([{"node": name, **said} for name, said in nodes.items()], schema=SAID_OF_NODES),
        states=by_state(counted),
        partitions=pl.DataFrame(
            [{"partition": name, **said} for name, said in partitions.items()], schema=SAID_OF_PARTITIONS
        ),
        repairs=tuple(report.repairs),
        rejected=report.rejected,
    )


def _nodes(report: _Report) -> _Nodes:
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for metric, (name, factor) in names.NODE_NUMBERS.items():
        for labels, value in report.of(metric):
            of_node = found[labels.get("node", "")]
            of_node[name] = max(of_node.get(name, 0.0), value * factor)
    for metric, name in names.NODE_GPUS.items():
        for node, gpus in _gpus(report, metric).items():
            found[node].setdefault(name, gpus)
    for node, (state, flags) in _states(report).items():
        found[node].update(state=state, flags=list(flags))
    for labels, _ in report.of(names.NODE_FEATURES):
        if labels.get("features", "") not in names.NOTHING:
            found[labels.get("node", "")]["features"] = labels["features"]
    return {name: said for name, said in found.items() if name}


def _gpus(report: _Report, metric: str) -> dict[str, float]:
    """Add up the GPUs of each node by their types; it is there once for each of the node's partitions."""
    by_type: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for labels, value in report.of(metric):
        kind, of_node = labels.get("gres_type", ""), by_type[labels.get("node", "")]
        if kind.partition(":")[0] == "gpu":
            of_node[kind] = max(value, of_node.get(kind, 0.0))
    # Those without a type are others, or all of them once more.
    return {
        node: max(of_type.get("gpu", 0.0), sum(number for kind, number in of_type.items() if kind != "gpu"))
        for node, of_type in by_type.items()
        if of_type
    }


def _states(report: _Report) -> dict[str, tuple[str, tuple[str, ...]]]:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for metric, label in names.NODE_STATES.items():
        for labels, value in report.of(metric):
            node, state = labels.get("node", ""), parse_state(labels.get(label, ""))
            # An info series is 1; a number that is carried by the state may be anything.
            if not state[0] or (metric in names.STATE_INFOS and not value):
                continue
            if node not in found or _rank(state[0]) < _rank(found[node][0]):
                found[node] = state
    return found


def _rank(state: str) -> tuple[int, str]:
    return (_WORST.index(state) if state in _WORST else len(_WORST)), state


def _numbers(report: _Report, *, by_node: bool) -> dict[str, dict[str, float]]:
    """Collect the cluster's numbers by kind; of two exporters that show the same thing the first in the table wins.

    by_node: the nodes are counted by their own states.
    """
    found: dict[str, dict[str, float]] = {"cpus": {}, "gpus": {}, "jobs": {}, "nodes": {}}
    for metric, (kind, key) in names.CLUSTER_NUMBERS.items():
        total = report.total(metric)
        if kind == "nodes" and report.is_by_partition(metric):
            # A node of two partitions would count twice.
            if not by_node:
                report.rejected[f"{metric} by partition"] += 1
        elif total is not None:
            found[kind].setdefault(key, total)
    for metric, kind in names.BY_STATE.items():
        for state, value in _by_state(report, metric).items():
            found[kind].setdefault(state, value)
    return found


def _by_state(report: _Report, metric: str) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for labels, value in report.of(metric):
        state = labels.get("state", "")
        word = state.lower() if metric in names.JOB_STATES else parse_state(state)[0]
        if word and (metric not in names.JOB_STATES or word in names.LIVE):
            found[word] += value
    return found


def _with_nodes(numbers: Mapping[str, float], nodes: _Nodes, columns: tuple[str, str, str]) -> dict[str, float]:
    """Add up the nodes where nobody shows the cluster's own numbers."""
    found = dict(numbers)
    for key, name in zip(("allocated", "idle", "total"), columns, strict=True):
        values = [node[name] for node in nodes.values() if name in node]
        if values and key not in found:
            found[key] = sum(values)
    return found


def _judge_cpu_sum(report: _Report, cpus: dict[str, float], nodes: _Nodes, partitions: _Partitions) -> None:
    """Use slurmctld's own sum where it cannot have wrapped, and say where it has."""
    said = report.total(names.OWN_CPU_SUM)
    if said is None:
        return
    of_nodes = sum(node.get("cpus_allocated", 0.0) for node in nodes.values())
    if of_nodes >= names.WRAPPED_AT > said:
        report.rejected[f"{names.OWN_CPU_SUM} wrapped"] += 1
        report.repairs.append(
            f"{names.OWN_CPU_SUM} says {said:g} CPUs, for it counts in 16 bits; the nodes say {of_nodes:g}"
        )
    elif "allocated" not in cpus:
        most = sum(numbers.get("cpus", float("inf")) for numbers in partitions.values()) if partitions else float("inf")
        if most < names.WRAPPED_AT:
            cpus["allocated"] = said
        else:
            report.rejected[f"{names.OWN_CPU_SUM} may have wrapped"] += 1


def _judge_gpus(report: _Report, gpus: dict[str, float], nodes: _Nodes, partitions: _Partitions) -> None:
    """Leave out numbers of GPUs that are fewer than those of one partition, or of the nodes: types were not read."""
    of_partitions = (_gpus_of(each) for each in partitions.values())
    most = max(0.0, sum(node.get("gpus", 0.0) for node in nodes.values()), *of_partitions)
    said = gpus.get("total")
    if said is not None and said < most:
        report.rejected["slurm_gpus_total too small"] += 1
        report.repairs.append(f"slurm_gpus_total says {said:g} GPUs; partitions or nodes say {most:g}")
        gpus.clear()


def _gpus_of(partition: Mapping[str, float]) -> float:
    return partition.get("gpus", partition.get("gpus_allocated", 0.0) + partition.get("gpus_idle", 0.0))


def _partitions(report: _Report) -> _Partitions:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for metric, key in names.PARTITION_NUMBERS.items():
        sums: defaultdict[str, float] = defaultdict(float)
        for labels, value in report.of(metric):
            sums[labels.get("partition", "")] += value
        for partition, value in sums.items():
            known = found[partition]
            if metric == names.WRAPPED_PARTITION and known.get("cpus", float("inf")) >= names.WRAPPED_AT:
                report.rejected[f"{metric} may have wrapped"] += 1
            else:
                known.setdefault(key, value)
    found.pop("", None)
    return dict(found)


def _put_right_power_states(report: _Report, nodes: _Nodes) -> None:
    """Rename what slurmctld's own endpoint shows under the wrong name, and count the nodes that power up, if it can."""
    # osc has no such number: whoever shows it is the endpoint. One that shows both, and differently, is a better one.
    wrong, down = report.total(names.MIXED_UP), report.total(names.POWERING_DOWN)
    if wrong is None or (down is not None and down != wrong):
        return
    report.drop(names.MIXED_UP, f"{names.MIXED_UP} shows nodes that power down")
    report.add(names.POWERING_DOWN, {}, wrong)
    said = f"{names.MIXED_UP} says {wrong:g}, which are the nodes that power down"
    shown = [(node["state"], *node["flags"]) for node in nodes.values() if "state" in node]
    if shown:
        right = sum("powering_up" in words for words in shown)
        report.add(names.MIXED_UP, {}, float(right))
        said += f"; by their states {right} power up"
    report.repairs.append(said)
