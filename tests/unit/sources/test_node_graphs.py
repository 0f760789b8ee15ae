"""Graphs and inputs of hosts and of slurmctld's state: PromQL whatever the site is called, and values that can be."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aggregator.config.exporter import NodeExporter
from aggregator.model.node_inputs import Hosts
from aggregator.model.series import Span, Subject
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusHosts
from aggregator.sources.prometheus.exporters import node_exporter, slurm_exporter
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.series import PrometheusSeries
from tests.builders import HOSTILE_NAMES, NOW
from tests.lab.packages import promtool

from .fake_prometheus import FakePrometheus, vector

SETTINGS = ExporterSettings(matchers=NodeExporter(scratch_mount="/local $scratch").matchers)
GRAPHS = (*node_exporter.GRAPHS, *slurm_exporter.GRAPHS)


def test_every_expression_is_promql_whatever_the_site_is_called(tmp_path: Path) -> None:
    expressions = []
    # YAML, which carries the expressions, takes no control characters.
    names = (name for name in HOSTILE_NAMES if name.replace("\n", "").isprintable())
    for name in ("narval", *names):
        settings = ExporterSettings(matchers=NodeExporter.model_construct(scratch_mount=name).matchers)
        expressions += [promql(each, {"cluster": name}, settings, "instance") for each in node_exporter.HOST_INPUTS]
    file = tmp_path / "rules.yml"
    rules = [{"record": f"r{number}", "expr": text} for number, text in enumerate(expressions)]
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}, ensure_ascii=False))
    checked = subprocess.run([promtool(), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def shown(found: Hosts, name: str) -> dict[str, float]:
    """Give what is shown of an input, by host."""
    return dict(found.frame.select("node", name).drop_nulls().iter_rows())


def hosts(client: PrometheusClient) -> PrometheusHosts:
    return PrometheusHosts(client, {"cluster": "narval"}, SETTINGS, NodeNames())


async def test_a_host_has_one_name_and_its_largest_value(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    """A port that changed leaves two series of one host for a while."""
    prometheus.answers["node_load1"] = vector(
        ({"instance": "n1.example.org:9100"}, "2"), ({"instance": "n1:9101"}, "3"), ({"instance": "login1:9100"}, "1"),
    )  # fmt: skip
    found = await hosts(client).fetch(NOW)
    assert shown(found, "load1") == {"n1": 3.0, "login1": 1.0}
    assert len(prometheus.queries) == len(node_exporter.HOST_INPUTS)


async def test_values_that_cannot_be_are_dropped_and_counted(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    values = ("NaN", "+Inf", "-1", "1e300", "x")
    prometheus.answers["node_load1"] = vector(*(({"instance": f"n{n}"}, value) for n, value in enumerate(values)))
    found = await hosts(client).fetch(NOW)
    assert (shown(found, "load1"), found.rejected) == ({}, {"load1 out of range": 5})


async def test_an_input_fails_alone_and_all_of_them_are_a_failure(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    error: dict[str, Any] = {"status": "error", "errorType": "timeout", "error": "too slow"}
    prometheus.answers |= {"node_load1": error, "MemTotal": vector(({"instance": "n1"}, "64e9"))}
    found = await hosts(client).fetch(NOW)
    assert list(found.failed) == ["load1"]
    assert (shown(found, "load1"), shown(found, "memory_total_bytes")) == ({}, {"n1": 64e9})
    prometheus.answers = {"node_": error}
    with pytest.raises(FetchError, match="too slow"):
        await hosts(client).fetch(NOW)


async def test_an_account_with_an_infinite_level_has_no_line(client: PrometheusClient) -> None:
    """Infinity is no number to draw: the line would be nothing but gaps."""

    class Infinite:
        async def query_range_with_warnings(self, *_: object) -> tuple[list[object], list[str]]:
            series = [("rrg-lee", "+Inf"), ("def-kim", "1.5")]
            found = [type("S", (), {"metric": {"account": name}, "values": [(NOW, value)]}) for name, value in series]
            return found, []

    reader = PrometheusSeries(Infinite(), {}, {"slurm_exporter": ExporterSettings()}, NodeNames())  # type: ignore[arg-type]
    found = await reader.read("cluster", "levelfs", Subject(), Span(NOW, NOW, 60))
    assert [(dict(line.labels), line.points) for line in found.lines] == [({"account": "def-kim"}, ((NOW, 1.5),))]
    assert found.rejected == {"levelfs out of range": 1}
