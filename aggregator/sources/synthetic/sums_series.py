"""Lines of a synthetic cluster's users, accounts and software: what its runs add up to, an hour back."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from aggregator.model.series import Line, Span, Subject
from aggregator.sources.prometheus.exporters.aggregator import GRAPHS
from aggregator.sources.prometheus.graphs import Graph
from aggregator.sources.synthetic.scheduler import LiveRun
from aggregator.sources.synthetic.use import gpus_of, node_uses

_HOUR: Final = 3600.0
# What executables that are short or idle leave to nobody.
_ACCOUNTED: Final = 0.95
_OF_RUN: Final[Mapping[str, Callable[[LiveRun, float], float]]] = {
    "allocated_cpus": lambda live, at: live.run.allocated.cpus,
    "used_cpus": lambda live, at: sum(use.cpus for use in node_uses(live, at)),
    "allocated_memory": lambda live, at: live.run.allocated.memory_bytes or 0,
    "used_memory": lambda live, at: sum(use.memory_bytes for use in node_uses(live, at)),
    "allocated_gpus": lambda live, at: live.run.allocated.gpu_count,
    "used_gpus": lambda live, at: sum(gpu.utilization or 0.0 for gpu in gpus_of(live, at)),
    "executables": lambda live, at: sum(use.cpus for use in node_uses(live, at)) * _ACCOUNTED,
    "gpu_executables": lambda live, at: live.run.allocated.gpu_count,
}


def sums_graphs(subject: str) -> Iterator[Graph]:
    """Give the graphs of users, accounts, a cluster and its software that the model knows."""
    return (graph for graph in GRAPHS if subject in graph.by and graph.name in _OF_RUN and subject != "job")


def sums_lines(kind: str, name: str, runs: Iterable[LiveRun], subject: Subject, span: Span) -> Iterator[Line]:
    """Add up the runs that hold something at each time."""
    times = [time for index in range(span.points) if (time := span.start + index * span.step) >= span.end - _HOUR]
    sums: defaultdict[tuple[tuple[str, str], ...], defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for live in runs:
        owner = {"user": live.run.user, "account": live.run.account}
        if subject.labels and not set(subject.labels) <= owner.items():
            continue
        points = sums[tuple(_labels(kind, owner, live).items())]
        for time in times:
            if (live.run.start or span.end) <= time <= (live.run.end or span.end):
                points[time] += _OF_RUN[name](live, time)
    return (Line(dict(labels), tuple(sorted(points.items()))) for labels, points in sums.items() if points)


def _labels(kind: str, owner: Mapping[str, str], live: LiveRun) -> Mapping[str, str]:
    if kind == "software":
        return {"exe": f"/cvmfs/soft/bin/{live.run.name.partition(' ')[0]}"}
    return {} if kind == "cluster" else owner
