"""What is declared of an exporter: everything that is read of it, and which series it must show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aggregator.engine.column import Column
from aggregator.model.job_gauges import OverNodes
from aggregator.parts.jobs.declare import coverage, coverage_of, gauge
from aggregator.sources.prometheus.expression import Expression, Graph, largest
from aggregator.sources.prometheus.settings import ExporterSettings


@dataclass(frozen=True, slots=True)
class Needed:
    """Series that an exporter shows: any of `metrics` will do; `gives` is what is not known without all of them.

    Not every site has those that are not `always` there: nodes have no GPU, a kernel does not count peaks.
    """

    gives: str
    metrics: tuple[str, ...]
    always: bool = True


def needed(metric: str, gives: str, *, always: bool = True) -> Needed:
    """Say what is not known without one metric."""
    return Needed(gives, (metric,), always)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobGauge:
    """A number of each job that is a family, a column of `jobs` and a field of the API by the expression's name.

    The expression gives a value of each job on each of its nodes, by the labels $job and $node. of is the exporter as
    people call it. over_nodes says how the values of a job's nodes are put together.
    """

    expression: Expression
    help: str
    of: str
    over_nodes: OverNodes = "sum"

    @property
    def name(self) -> str:
        """Give the name of its column."""
        return self.expression.name

    @property
    def source(self) -> str:
        """Say where the values are from, as the exporter calls its metric."""
        return self.expression.source(self.of, ExporterSettings())

    @property
    def coverage(self) -> str:
        """Give the name of the column that has the share of the job's nodes that show it."""
        return coverage_of(self.name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Declare the number, and on which share of the job's nodes it rests."""
        return columns_of((self,))


def columns_of(same: Sequence[JobGauge]) -> tuple[Column, ...]:
    """Declare what exporters show under one name: the number, and on which share of the job's nodes it rests."""
    first = same[0]
    together = "avg" if first.over_nodes == "mean" else first.over_nodes
    number = gauge(
        first.name, first.help, "; ".join(each.source for each in same), cost="jobs that show it", inputs=(first.name,),
        promql=f"{together}(${first.name})", coverage=first.coverage,
    )  # fmt: skip
    return number, coverage(first.name, "the job's nodes that show it", first.name)


def newest(
    name: str, metric: str, *, help: str, of: str, unit: str, over_nodes: OverNodes = "sum", scale: float = 1.0,
    high: float = math.inf,
) -> JobGauge:  # fmt: skip
    """Declare the newest value of a metric with a job's id; of several series of a job on a node, the largest."""
    expression = largest(name, metric, "$job, $node", form="now", unit=unit, scale=scale, high=high)
    return JobGauge(expression=expression, help=help, of=of, over_nodes=over_nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfWindows:
    """What an exporter brings of jobs over a ledger window, as `Provides` has it of now; None for what it lacks.

    gpu_watts are of a whole board: a slice has none.
    """

    cpus: Expression | None = None
    memory: Expression | None = None
    gpu_utilization: Expression | None = None
    gpu_watts: Expression | None = None
    healthy_nodes: Expression | None = None

    @property
    def asked(self) -> tuple[Expression, ...]:
        """Give what there is."""
        of_all = (self.cpus, self.memory, self.gpu_utilization, self.gpu_watts, self.healthy_nodes)
        return tuple(item for item in of_all if item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provides:
    """What an exporter brings of each job on a node; several may bring the same (choosing.py).

    values are by job and node, under the names of the model's OF_NODES. gpus are the utilisation and the memory of each
    GPU of a job: the first of `gpu_labels` that a series has tells them apart, and within a board the label `slice`.
    A job without series uses nothing on nodes that are among healthy_nodes, and no GPU on those that are among
    gpu_nodes as well. Without these nobody is idle for the lack of a series.
    """

    values: tuple[Expression, ...] = ()
    gpus: tuple[Expression, ...] = ()
    gpu_labels: tuple[str, ...] = ("gpu",)
    slice: str = ""
    healthy_nodes: Expression | None = None
    gpu_nodes: Expression | None = None
    of_windows: OfWindows = OfWindows()

    @property
    def kinds(self) -> frozenset[str]:
        """Say what it brings, by the keys of the configuration."""
        names = {item.name for item in self.values}
        there = {"cpus": "cpus" in names, "memory": "memory_bytes" in names, "gpus": bool(self.gpus)}
        return frozenset(kind for kind, is_there in there.items() if is_there)

    @property
    def asked(self) -> tuple[Expression, ...]:
        """Give all that is asked for."""
        nodes = (item for item in (self.healthy_nodes, self.gpu_nodes) if item)
        return (*self.values, *self.gpus, *nodes, *self.of_windows.asked)


class Exporter(NamedTuple):
    """What refreshes and the ledger ask of an exporter, what may be asked over time, and which series are needed.

    What it `provides` of jobs is asked for beside `inputs`. What `job_gauges` show of jobs needs nothing else: it is at
    `/metrics`, in the API and in the documentation.
    """

    inputs: tuple[Expression, ...] = ()
    graphs: tuple[Graph, ...] = ()
    needed: tuple[Needed, ...] = ()
    job_gauges: tuple[JobGauge, ...] = ()
    provides: Provides | None = None

    @property
    def looked_for(self) -> tuple[Needed, ...]:
        """Give the series that are looked for: a job need not have a gauge."""
        return (*self.needed, *(needed(each.expression.main.name, each.help, always=False) for each in self.job_gauges))
