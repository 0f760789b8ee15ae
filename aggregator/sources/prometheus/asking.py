"""How a site is asked for an input of its jobs: of all of them, and of one job."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aggregator.model.question import Question
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.exporter import Provides
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.promql import Matcher
from aggregator.sources.prometheus.render import promql, recorded_promql
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import VectorQuery

# A query that names more nodes is too long to be read; the job id alone picks the series then.
_MOST_NODES: Final = 100
# What `Provides.gpus` are, in its order.
GPU_INPUTS: Final = ("gpu_utilization", "gpu_memory_bytes")
HEALTHY_NODES: Final = "healthy_nodes"
GPU_NODES: Final = "gpu_nodes"


@dataclass(frozen=True, slots=True)
class Asking:
    """One input; labels are those that are read of its series beside the node's (column → label)."""

    item: Expression
    matchers: Mapping[str, str]
    settings: ExporterSettings
    nodes: NodeNames
    labels: Mapping[str, str]
    exporter: str = ""
    numbers: JobNumbers | None = None

    @property
    def query(self) -> VectorQuery:
        """Give the query for all jobs."""
        return VectorQuery(self._write(False), {**self.labels, "node": self.nodes.label})

    def of_job(self, job_id: int) -> VectorQuery:
        """Give the query for one job."""
        return VectorQuery(self._write(False, (self._called(self.labels["job"], job_id),)), self.query.labels)

    def question(self, at: float, *, recorded: bool = False) -> Question:
        """Say what was asked as of `at`."""
        # Some exporters of GPUs say the job's id by other means than a label of the metric.
        label = self.labels.get("job") if self.item.names_jobs else None
        of_job = partial(self._on_nodes, recorded, label) if label else None
        return Question(
            "prometheus", self._write(recorded), at, recorded, low=self.item.low, high=self.item.high, of_job=of_job,
            exporter=self.exporter, meaning=self.item.meaning,
        )  # fmt: skip

    def _write(self, recorded: bool, picked: tuple[Matcher, ...] = ()) -> str:
        found = recorded_promql(self.item, self.matchers, self.settings, picked) if recorded else None
        return found or promql(self.item, self.matchers, self.settings, self.nodes.label, picked=picked)

    def _called(self, label: str, job_id: int) -> Matcher:
        """Match a job by its number, or by its SLUID where that is known."""
        number, *others = self.numbers.names_of(job_id) if self.numbers else (str(job_id),)
        return (label, "=~", "|".join((number, *others))) if others else (label, "=", number)

    def _on_nodes(self, recorded: bool, label: str, job_id: int, nodes: Sequence[str]) -> str:
        on_nodes = (self.nodes.matcher(nodes),) if 0 < len(nodes) <= _MOST_NODES else ()
        text = self._write(recorded, (self._called(label, job_id), *on_nodes))
        return f"({text})" if self.item.scale == 1 else f"({text}) * {self.item.scale!r}"


def inputs_of_jobs(
    exporter: str,
    provides: Provides,
    matchers: Mapping[str, str],
    settings: ExporterSettings,
    nodes: NodeNames,
    numbers: JobNumbers | None = None,
) -> Iterator[tuple[str, Asking]]:
    """Give what an exporter is asked of jobs at each refresh, by the input's name."""
    of_gpu = {label: settings.label(label) for label in (*provides.gpu_labels, provides.slice) if label}
    named: dict[str, tuple[Expression, Mapping[str, str]]] = {
        **{item.name: (item, {}) for item in provides.values},
        **{name: (item, of_gpu) for name, item in zip(GPU_INPUTS, provides.gpus, strict=False)},
    }
    for name, (item, more) in named.items():
        labels = {"job": settings.label(item.job_label), **more}
        yield name, Asking(item, matchers, settings, nodes, labels, exporter, numbers)
    if provides.healthy_nodes:
        yield HEALTHY_NODES, Asking(provides.healthy_nodes, matchers, settings, nodes, {}, exporter)
