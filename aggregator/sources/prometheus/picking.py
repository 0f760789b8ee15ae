"""Which series of a metric are those of a subject: of jobs, nodes, people, a file system, or of all of a cluster."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from aggregator.model.series import Subject
from aggregator.sources.prometheus.expression import (
    CLUSTER,
    JOB,
    NODE,
    OUR_CLUSTER,
    OURS,
    SLURM_NODE,
    TARGET,
    Expression,
    Metric,
)
from aggregator.sources.prometheus.nodes import NodeNames, one_of
from aggregator.sources.prometheus.promql import Matcher, quote, selector
from aggregator.sources.prometheus.render import Select, graph_promql, own_matchers
from aggregator.sources.prometheus.settings import ExporterSettings

# Job ids, or nodes, that one expression names: its length and cost stay bounded.
BATCH: Final = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """An expression, about whom it is asked, what picks their series, and how its exporter is scraped."""

    expression: Expression
    by: str
    subject: Subject
    settings: ExporterSettings

    def parts(self) -> Iterator[Subject]:
        """Cut the subject into parts of at most BATCH jobs or nodes."""
        if self.by == JOB:
            yield from (replace(self.subject, jobs=tuple(ids)) for ids in _batches(self.subject.jobs))
        elif self.by in (NODE, SLURM_NODE):
            yield from (replace(self.subject, nodes=tuple(nodes)) for nodes in _batches(self.subject.nodes))
        else:
            yield self.subject


@dataclass(frozen=True, slots=True)
class Picker:
    """How one cluster's series are picked; cluster is its name on this service's own gauges."""

    matchers: Mapping[str, str]
    exporters: Mapping[str, ExporterSettings]
    nodes: NodeNames
    cluster: str

    def queries(self, asked: Asked, step: float) -> Iterator[str]:
        """Write an expression for a step of so many seconds, once for each part of its subject."""
        for part in asked.parts():
            nodes = quote(self.nodes.capture(part.nodes)) if part.nodes else '""'
            select = self._select(asked, part)
            yield graph_promql(asked.expression, select, asked.settings, self.nodes.label, step, nodes)

    def _select(self, asked: Asked, part: Subject) -> Select:
        def select(metric: Metric) -> str:
            by = metric.by or asked.by
            if by in (OURS, OUR_CLUSTER):
                picked = () if by == OUR_CLUSTER else _labels(part, ExporterSettings(), "slurmjobid")
                return selector(metric.name, {"cluster": self.cluster}, *picked, *metric.matchers)
            owner = self.exporters.get(metric.exporter, asked.settings)
            picked = self._picked(part, by, owner, asked.expression.job_label)
            return selector(owner.metric(metric.name), self.matchers, *picked, *own_matchers(metric, owner))

        return select

    def _picked(self, part: Subject, by: str, owner: ExporterSettings, job_label: str) -> tuple[Matcher, ...]:
        """Match what picks the subject's series, as an exporter's settings name it."""
        if by == CLUSTER:
            return ()
        if by in (NODE, SLURM_NODE):
            names = replace(self.nodes, label=owner.label("node")) if by == SLURM_NODE else self.nodes
            return (names.matcher(part.nodes),)
        if by == TARGET:
            name = re.escape(dict(part.labels)["filesystem"])
            return ((owner.label("target"), "=~", f"{name}-(OST|MDT).*"),)
        return _labels(part, owner, job_label)


def _labels(part: Subject, owner: ExporterSettings, job_label: str) -> tuple[Matcher, ...]:
    """Match the jobs and the labels of a subject."""
    jobs = (one_of(owner.label(job_label), list(map(str, part.jobs))),) if part.jobs else ()
    # Who had the same job id before: series without the label are taken.
    others = ((owner.label("user"), "!~", "|".join(map(re.escape, part.not_of))),) if part.not_of else ()
    labels = (*((name, (value,)) for name, value in part.labels), *part.any_of)
    return (*jobs, *others, *(one_of(owner.label(name), values) for name, values in labels))


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[first : first + BATCH] for first in range(0, len(items), BATCH))
