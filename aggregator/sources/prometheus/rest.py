"""The power of hosts at rest: a low quantile over a day of what a node draws without its GPUs, at each full hour."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from aggregator import executors
from aggregator.sources.prometheus.client import PrometheusClient, Series
from aggregator.sources.prometheus.exporters import (
    dcgm_exporter,
    nvidia_gpu_exporter,
    redfish_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings

HOUR = 3600.0
_DAY = 24 * HOUR
# How far apart the moments are that are looked at.
_STEP = 600.0
# Low enough to be rest, high enough not to be a fault of the meter.
_QUANTILE = 0.05
# The hours that a service catches up with at once, and some.
_KEPT_HOURS = 48
_Points = Mapping[str, Mapping[float, float]]
# By exporter.
_INPUTS: Mapping[str, Expression] = {
    "redfish_exporter": redfish_exporter.NODE_WATTS_NOW,
    "dcgm_exporter": dcgm_exporter.WATTS_NOW,
    "nvidia_gpu_exporter": nvidia_gpu_exporter.WATTS_NOW,
    "slurm_job_exporter": slurm_job_exporter.GPU_WATTS_NOW,
}


class RestPower:
    """Read the power at rest of one cluster's hosts; what it was at a full hour is asked once."""

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        names: NodeNames,
    ) -> None:
        self._client = client
        self._names = names
        self._hours: dict[float, Mapping[str, float]] = {}
        self._queries = {
            key: (item, promql(item, matchers, exporters[key], names.label))
            for key, item in _INPUTS.items()
            if key in exporters
        }

    async def at(self, time: float) -> Mapping[str, float]:
        """Give the watts of each host at rest in the day before the last full hour; empty without any chassis power.

        Raises FetchError.
        """
        hour = math.floor(time / HOUR) * HOUR
        if "redfish_exporter" not in self._queries:
            return {}
        if hour not in self._hours:
            answers = await asyncio.gather(*(self._ask(query, hour) for _, query in self._queries.values()))
            read = dict(zip(self._queries, answers, strict=True))
            rest = await executors.run(executors.REFRESH, self._rest, read)
            if not rest:
                # An answer without series may be a fault, and is not kept.
                return {}
            self._hours[hour] = rest
            for old in sorted(self._hours)[:-_KEPT_HOURS]:
                del self._hours[old]
        return self._hours[hour]

    async def _ask(self, query: str, hour: float) -> Sequence[Series]:
        return await self._client.query_range(query, hour - _DAY + _STEP, hour, _STEP)

    def _rest(self, answers: Mapping[str, Sequence[Series]]) -> Mapping[str, float]:
        points = {key: self._points(self._queries[key][0], series) for key, series in answers.items()}
        gpus = _merged([points[key] for key in ("dcgm_exporter", "nvidia_gpu_exporter") if key in points])
        rest = {}
        for node, chassis in points["redfish_exporter"].items():
            host = _host(chassis, gpus.get(node), points.get("slurm_job_exporter", {}).get(node, {}))
            if host:
                rest[node] = _quantile(host)
        return rest

    def _points(self, item: Expression, series: Sequence[Series]) -> _Points:
        points: dict[str, dict[float, float]] = defaultdict(dict)
        for one in series:
            of_node = points[self._names.of_labels(one.metric)]
            for time, text in one.values:
                value = item.plausible(text)
                if value is not None:
                    of_node[time] = max(value, of_node.get(time, value))
        return points


def _merged(several: Sequence[_Points]) -> _Points:
    """Take each node's points from the first exporter that has any."""
    return {node: points for one in reversed(several) for node, points in one.items()}


def _host(
    chassis: Mapping[float, float], gpus: Mapping[float, float] | None, own: Mapping[float, float]
) -> list[float]:
    """Give what the node drew without its GPUs, where both are known.

    Where no exporter shows all GPUs of the node, only those of jobs are not the host's, as in the attribution.
    """
    if gpus is None:
        left = [watts - own.get(time, 0.0) for time, watts in chassis.items()]
    else:
        left = [watts - gpus[time] for time, watts in chassis.items() if time in gpus]
    return [watts for watts in left if watts > 0]


def _quantile(values: Sequence[float]) -> float:
    """Give the quantile as Prometheus computes it: between two values on a straight line."""
    ordered = sorted(values)
    rank = _QUANTILE * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
