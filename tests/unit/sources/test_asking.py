"""What a fetch says that it asked: the very query, of which time its answer is, and the same of one job."""

from typing import Any

import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus, make_source, sample, vector

from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusUse
from aggregator.sources.prometheus.asking import inputs_of_jobs
from aggregator.sources.prometheus.catalogue import PROVIDERS
from tests.builders import NOW

TOTAL, RECORDED, RSS = "max by (slurmjobid, instance, core) (slurm_job_core", "job_node:", "slurm_job_memory_rss"
GPU, FAILURE = "slurm_job_utilization_gpu{", web.Response(status=500, text="oops")
EXPORTER = "slurm_job_exporter"
SETTINGS = {EXPORTER: ExporterSettings()}
INPUTS = dict(inputs_of_jobs(EXPORTER, PROVIDERS[EXPORTER], {"cluster": "narval"}, SETTINGS[EXPORTER], NodeNames()))


def of_job(name: str, nodes: tuple[str, ...] = ("n1",), **changes: Any) -> str:
    asked = INPUTS[name].question(NOW, **changes)
    assert asked.of_job is not None
    return asked.of_job(4711, nodes)


async def test_what_is_said_is_what_was_sent(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    use = await make_source(client).fetch(NOW)
    said = {each.text for found in use.questions.values() for each in found}
    assert said == {form["query"] for form in prometheus.queries} - {
        text for text in (form["query"] for form in prometheus.queries) if text.startswith("count(up")
    }
    assert {each.at for found in use.questions.values() for each in found} == {NOW}


async def test_a_kept_value_has_its_own_time_and_what_was_never_read_no_question(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    source = PrometheusUse(client, {"cluster": "narval"}, SETTINGS, NodeNames(), patience=300.0)
    prometheus.answers = {RSS: vector(sample("5")), GPU: FAILURE}
    assert "gpu_utilization" not in (await source.fetch(NOW)).questions
    prometheus.answers = {RSS: FAILURE, GPU: vector(sample("50", gpu="0"))}
    questions = (await source.fetch(NOW + 30)).questions
    assert [each.at for each in questions["memory_bytes"]] == [NOW]
    assert [each.at for each in questions["gpu_utilization"]] == [NOW + 30]


async def test_a_recorded_series_is_said_to_be_one(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers = {RECORDED: vector(sample("2e9")), TOTAL: vector(sample("5e12"))}
    source = make_source(client)
    (before,) = (await source.fetch(NOW)).questions["cpus"]
    (after,) = (await source.fetch(NOW + 600)).questions["cpus"]
    assert (before.recorded, after.recorded) == (False, True)
    assert after.text in {form["query"] for form in prometheus.queries}
    assert of_job("cpus", recorded=True).count('slurmjobid="4711",instance=~"(?i)(n1)') == 2


def test_a_job_is_picked_in_every_series_of_a_query() -> None:
    for name in ("cpus", "threads", "gpu_utilization"):
        assert of_job(name).count('slurmjobid="4711",instance=~"') == INPUTS[name].question(NOW).text.count("cluster=")


@pytest.mark.parametrize("nodes", [(), tuple(f"n{number}" for number in range(101))])
def test_where_nodes_are_not_known_or_too_many_the_id_picks_alone(nodes: tuple[str, ...]) -> None:
    assert "instance=~" not in of_job("memory_bytes", nodes)
    assert 'slurmjobid="4711"' in of_job("memory_bytes", nodes)


def test_values_are_in_base_units() -> None:
    assert of_job("cpu_seconds").endswith(") * 1e-09")
    assert of_job("memory_bytes").endswith(")")


def test_what_is_about_nodes_cannot_be_asked_of_one_job() -> None:
    assert INPUTS["healthy_nodes"].question(NOW).of_job is None


def test_a_question_knows_what_is_plausible() -> None:
    asked = INPUTS["gpu_utilization"].question(NOW)
    assert (asked.low, asked.high) == (0.0, 1.005)
