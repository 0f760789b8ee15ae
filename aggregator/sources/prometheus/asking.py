"""How a site is asked for an input of its jobs: of all of them, and of one job."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aggregator.model.question import Question
from aggregator.sources.prometheus.exporters import slurm_job_exporter
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.promql import Matcher
from aggregator.sources.prometheus.render import promql, recorded_promql
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import VectorQuery

# A query that names more nodes is too long to be read; the job id alone picks the series then.
_MOST_NODES: Final = 100


@dataclass(frozen=True, slots=True)
class Asking:
    """One input; labels are those that are read of its series beside the node's (column → label)."""

    item: Expression
    matchers: Mapping[str, str]
    settings: ExporterSettings
    nodes: NodeNames
    labels: Mapping[str, str]

    @property
    def query(self) -> VectorQuery:
        """Give the query for all jobs."""
        return VectorQuery(self._write(False), {**self.labels, "node": self.nodes.label})

    def question(self, at: float, *, recorded: bool = False) -> Question:
        """Say what was asked as of `at`."""
        # Exporters of GPUs put the job's id in by other means than a label of the metric.
        label = self.labels.get("job")
        of_job = partial(self._of_job, recorded, label) if label else None
        return Question(
            "prometheus", self._write(recorded), at, recorded, low=self.item.low, high=self.item.high, of_job=of_job
        )

    def _write(self, recorded: bool, picked: tuple[Matcher, ...] = ()) -> str:
        found = recorded_promql(self.item, self.matchers, self.settings, picked) if recorded else None
        return found or promql(self.item, self.matchers, self.settings, self.nodes.label, picked=picked)

    def _of_job(self, recorded: bool, label: str, job_id: int, nodes: Sequence[str]) -> str:
        on_nodes = (self.nodes.matcher(nodes),) if 0 < len(nodes) <= _MOST_NODES else ()
        text = self._write(recorded, ((label, "=", str(job_id)), *on_nodes))
        return f"({text})" if self.item.scale == 1 else f"({text}) * {self.item.scale!r}"


def inputs_of_jobs(
    matchers: Mapping[str, str], exporter: ExporterSettings, nodes: NodeNames
) -> Iterator[tuple[str, Asking]]:
    """Give what is asked of slurm-job-exporter at each refresh, by the input's name."""
    job = {"job": exporter.label("slurmjobid")}
    of_gpu = {**job, "gpu": exporter.label("gpu")}
    for items, labels in (
        (slurm_job_exporter.JOB_INPUTS, job),
        (slurm_job_exporter.GPU_INPUTS, of_gpu),
        ((slurm_job_exporter.HEALTHY_NODES,), {}),
    ):
        for item in items:
            yield item.name, Asking(item, matchers, exporter, nodes, labels)
