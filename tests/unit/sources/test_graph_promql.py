"""Every graph of every exporter is PromQL, whatever a site calls its metrics and labels and whoever is asked about."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aggregator.model.series import Span, Subject
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusSeries
from aggregator.sources.prometheus.catalogue import GRAPHS
from aggregator.sources.prometheus.client import Endpoint, Series
from aggregator.sources.prometheus.expression import JOB, Graph
from aggregator.sources.prometheus.picking import BATCH

from .test_promql import HOSTILE, PLAIN, check_with_promtool

HOSTILE_NAME = 'o"} or up{x="\\n\n$job ${node} \N{ROCKET}'
KINDS = ("job", "node", "user", "account", "cluster", "software", "filesystem")
SCRATCH = {"scratch": ("mountpoint", "=", HOSTILE_NAME)}
LABELS = {"slurmjobid": "jobid", "user": "owner", "account": "project"}


class Recorder(PrometheusClient):
    """Answer nothing, and remember what was asked."""

    def __init__(self) -> None:
        super().__init__(Endpoint(key="prometheus", url="http://prometheus"))
        self.asked: list[str] = []

    async def query_range_with_warnings(
        self, promql: str, start: float, end: float, step: float
    ) -> tuple[Sequence[Series], Sequence[str]]:
        self.asked.append(promql)
        return (), ()


def graphs() -> Iterator[tuple[str, Graph]]:
    return ((kind, graph) for graphs in GRAPHS.values() for graph in graphs for kind in graph.by if kind in KINDS)


def ask(matchers: dict[str, str], settings: ExporterSettings, subject: Subject, step: float) -> dict[str, list[str]]:
    """Ask every graph of its subject, and give what Prometheus was asked."""
    asked = {}
    for kind, graph in graphs():
        client = Recorder()
        series = PrometheusSeries(client, matchers, dict.fromkeys(GRAPHS, settings), NodeNames(), 'na"rval')
        asyncio.run(series.read(kind, graph.name, subject, Span(0.0, 10 * step, step)))
        asked[f"{kind}/{graph.name}"] = client.asked
    return asked


SUBJECT = Subject(
    jobs=(1, 2), nodes=("n1", "n.2"), labels=tuple((name, HOSTILE_NAME) for name in ("user", "account", "filesystem"))
)


@pytest.mark.parametrize("matchers", [{}, PLAIN, HOSTILE], ids=["none", "plain", "hostile"])
@pytest.mark.parametrize("step", [30.0, 3600.0])
def test_every_graph_is_promql(matchers: dict[str, str], step: float, tmp_path: Path) -> None:
    renamed = ExporterSettings(
        labels=LABELS, metrics={"slurm_job_core_usage_total": "site:cores"}, matchers=SCRATCH
    )  # fmt: skip
    asked = ask(matchers, renamed, SUBJECT, step)
    outcome = check_with_promtool([each for expressions in asked.values() for each in expressions], tmp_path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_a_graph_of_many_jobs_asks_about_a_bounded_number_at_once() -> None:
    """A graph of nodes is of one job: the API refuses several."""
    asked = ask(
        PLAIN, ExporterSettings(matchers=SCRATCH), Subject(jobs=tuple(range(1, 251)), labels=SUBJECT.labels), 30.0
    )  # fmt: skip
    of_jobs = {f"job/{graph.name}" for kind, graph in graphs() if graph.by.get(kind) == JOB}
    for name, expressions in asked.items():
        assert len(expressions) <= 16, name
        if name not in of_jobs:
            continue
        named = [ids.split("|") for text in expressions for ids in re.findall(r'slurmjobid=~"([^"]*)"', text)]
        assert all(len(ids) <= BATCH for ids in named)
    assert len(asked["job/cpu"]) == 3
