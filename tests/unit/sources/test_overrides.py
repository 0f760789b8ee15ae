"""Any metric and any label of any exporter may be stored under another name: every input and graph follows."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

import pytest

from aggregator.model.series import Span, Subject
from aggregator.sources.prometheus import NodeNames, PrometheusSeries, power
from aggregator.sources.prometheus.exporters import lustre_exporter, slurm_exporter, slurm_job_exporter
from aggregator.sources.prometheus.graphs import Graph
from aggregator.sources.prometheus.inputs import ExporterSettings, Input, promql
from aggregator.sources.prometheus.series import GRAPHS, OWN
from tests.lab.packages import promtool

from .test_graph_promql import Recorder

REFRESH = (*slurm_job_exporter.JOB_INPUTS, *slurm_job_exporter.GPU_INPUTS, slurm_job_exporter.HEALTHY_NODES)
INPUTS = {
    **{f"refresh-{item.name}": item for item in REFRESH},
    **{f"levels-{item.name}": item for item in (slurm_exporter.LEVELS, *slurm_exporter.ERRORS)},
    **{f"lustre-{item.name}": item for item in (*lustre_exporter.INPUTS, lustre_exporter.COVERAGE)},
    **{f"ledger-{key}": make(ExporterSettings()) for key, (_, make) in power._INPUTS.items()},
}
ALL_GRAPHS = {f"{exporter}-{graph.name}": graph for exporter, graphs in GRAPHS.items() for graph in graphs}
# Words of an expression that are labels: they stand in the lists of `by` and its like.
LISTS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) ?\(([^()]*)\)")


def labels_of(template: str, matchers: Mapping[str, tuple[str, ...]]) -> set[str]:
    listed = {word.strip() for found in LISTS.findall(template) for word in found.split(",")}
    return {name for name in listed | set(matchers) if re.fullmatch(r"[A-Za-z_]\w*", name)}


def settings_for(metrics: set[str], labels: set[str]) -> ExporterSettings:
    """Rename everything; a metric's name may hold the name of another one."""
    return ExporterSettings(
        metrics={metric: f"site:m{number}" for number, metric in enumerate(sorted(metrics))},
        labels={label: f"site_l{number}" for number, label in enumerate(sorted({*labels, "slurmjobid"}))},
        matchers={"scratch": ("site_mount", "=", "/scratch")},
    )


def words(expression: str) -> set[str]:
    """Give the names of an expression: without what is in quotes, but for the source label of label_replace."""
    sources = re.findall(r'label_replace\(.*?"(\w+)", "[^"]*"\)', expression)
    return {*re.findall(r"[A-Za-z_:][\w:]*", re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)), *sources}


# Our own gauges, and sums of them, carry our names.
_GAUGE = r"hpc_\w+\{[^{}]*\}"
OURS = re.compile(
    r"(sum by \([^()]*\) \()?max by \(user, account, filesystem\) "
    rf"\(\({_GAUGE} and count_over_time\({_GAUGE}\[\w+\]\)\)\)"
)


def check(expression: str, metrics: set[str], labels: set[str]) -> None:
    left = words(OURS.sub("", expression)) & {*metrics, *labels, "slurmjobid", "instance"}
    # `job` of the scrape is Prometheus's own, and a graph may name a line's label as the exporter names one.
    assert left <= {"job"}, expression


@pytest.mark.parametrize("item", INPUTS.values(), ids=list(INPUTS))
def test_every_input_follows_the_sites_names(item: Input) -> None:
    metrics = {item.metric, *item.beside.values()}
    labels = labels_of(item.expression, {matcher[0]: matcher for matcher in item.selectors.values()}) - {"job"}
    expression = promql(item, {"cluster": "c"}, settings_for(metrics, labels), "node", 60.0)
    check(expression, metrics, labels)
    assert expression.count('cluster="c"') == len(re.findall(r"site:m\d+\{|\bup\{", expression))


def asked(exporter: str, graph: Graph, settings: ExporterSettings, step: float = 60.0) -> str:
    """Give the queries of a graph, each on a line."""
    client = Recorder()
    reader = PrometheusSeries(client, {"cluster": "c"}, {exporter: settings}, NodeNames(label="node"), "c")
    labels = (("filesystem", "scratch"),) if "filesystem" in graph.by else ()
    kind = next(iter(graph.by))
    asyncio.run(reader.read(kind, graph.name, Subject(jobs=(1,), nodes=("n1",), labels=labels), Span(0.0, step, step)))
    return "\n".join(client.asked)


# Our own gauges carry our own names.
RENAMED = [name for name, graph in ALL_GRAPHS.items() if not name.startswith(OWN) and not graph.is_ours]


@pytest.mark.parametrize("name", RENAMED)
def test_every_graph_follows_the_sites_names(name: str) -> None:
    exporter, _, _ = name.partition("-")
    graph = ALL_GRAPHS[name]
    own = [series for series in graph.series.values() if not series.by and not series.exporter]
    metrics = {series.metric for series in own}
    labels = labels_of(graph.expression, {match[0]: match for one in own for match in one.matchers})
    # What label_replace makes is a label of the answer, not of the exporter.
    made = set(re.findall(r'label_replace\([^"]*"(\w+)"', Template(graph.expression).template))
    made |= set(re.findall(r', "(\w+)", "\$\$1"', graph.expression))
    labels -= made
    expression = asked(exporter, graph, settings_for(metrics, labels))
    check(expression, metrics, labels - made)
    assert all(name in expression for name in settings_for(metrics, labels).metrics.values())


def expressions() -> Iterator[str]:
    for item in INPUTS.values():
        labels = labels_of(item.expression, {matcher[0]: matcher for matcher in item.selectors.values()})
        yield promql(item, {}, settings_for({item.metric}, labels), "node", 60.0)
    for name in RENAMED:
        graph = ALL_GRAPHS[name]
        metrics = {series.metric for series in graph.series.values()}
        labels = labels_of(graph.expression, {})
        yield from asked(name.partition("-")[0], graph, settings_for(metrics, labels)).splitlines()


def test_the_renamed_expressions_are_promql(tmp_path: Path) -> None:
    rules = [{"record": f"r{number}", "expr": text} for number, text in enumerate(expressions())]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    done = subprocess.run([promtool(), "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_functions_and_the_templates_own_names_are_not_labels() -> None:
    settings = ExporterSettings(labels={"by": "x", "sum": "y", "job": "z", "core": "cpu_core"})
    assert settings.relabelled("sum by ($job, core) (max by (core) (rate($core[5m])))") == (
        "sum by ($job, cpu_core) (max by (cpu_core) (rate($core[5m])))"
    )


def test_whose_a_job_is_does_not_come_from_its_series() -> None:
    """An exporter writes the account "error" where it does not know: slurmacct knows the owner by the job's id."""
    # The Lustre proxy's names are second to what slurmacct says of the job.
    every = {name: item for name, item in INPUTS.items() if not name.startswith(("levels", "lustre"))}
    assert [name for name, item in every.items() if labels_of(item.expression, {}) & {"user", "account"}] == []


def test_what_is_a_rate_already_is_not_rated_again() -> None:
    """PCIe and NVLink come as bytes per second, in gauges."""
    for name in ("slurm_job_exporter-gpu_pcie", "slurm_job_exporter-gpu_nvlink"):
        text = asked("slurm_job_exporter", ALL_GRAPHS[name], ExporterSettings(), 600.0)
        assert re.search(r"\b(i?rate|deriv|increase)\(", text) is None
        assert "avg_over_time(" in text
