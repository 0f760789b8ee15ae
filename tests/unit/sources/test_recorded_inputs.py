"""A recorded series stands for its expression while it is fresh and whole, and never otherwise."""

from typing import Any

import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus, make_source, sample, vector

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusUse
from aggregator.sources.prometheus.exporters.slurm_job_exporter import JOB_INPUTS
from aggregator.sources.prometheus.render import promql, recorded_promql
from tests.builders import NOW
from tests.use import values_of

EXPRESSION, RECORDED, TOTAL = "deriv(", "job_node:slurm_job_core_usage:deriv", "slurm_job_core_usage_total"
CPUS = JOB_INPUTS[0]
# Four scrapes of 30 s for the slope, two for the rules.
SETTLED = 180.0
RETRY = 600.0
FAILURE = web.Response(status=500, text="oops")


@pytest.fixture
def source(prometheus: FakePrometheus, client: PrometheusClient) -> PrometheusUse:
    """Make a source whose expression gives 1 CPU, whose recorded series gives 2, and whose witness shows the job."""
    prometheus.answers = {
        EXPRESSION: vector(sample("1e9")),
        RECORDED: vector(sample("2e9")),
        TOTAL: vector(sample("5e12")),
    }
    return make_source(client)


async def cpus(source: PrometheusUse, at: float) -> Any:
    """Fetch; the CPUs by job and node, as numbers that tell where they are from."""
    use = await source.fetch(at)
    return values_of(use, "cpus")


async def settle(source: PrometheusUse) -> float:
    """Let the source see the witness for long enough; the time after that."""
    assert await cpus(source, NOW) == {4711: {"node01": 1.0}}
    return NOW + SETTLED


def asked(prometheus: FakePrometheus, part: str) -> int:
    return sum(part in form["query"] for form in prometheus.queries)


async def test_the_expression_is_asked_until_the_witness_could_notice_a_gap(
    prometheus: FakePrometheus, source: PrometheusUse
) -> None:
    for at in (NOW, NOW + 30, NOW + SETTLED - 1):
        assert await cpus(source, at) == {4711: {"node01": 1.0}}
        assert source.features == {"recorded:cpus": False}
    assert asked(prometheus, RECORDED) == 0


async def test_a_whole_recording_is_used_instead_of_the_expression(
    prometheus: FakePrometheus, source: PrometheusUse
) -> None:
    at = await settle(source)
    prometheus.queries.clear()
    assert await cpus(source, at) == {4711: {"node01": 2.0}}
    assert source.features == {"recorded:cpus": True}
    assert (asked(prometheus, RECORDED), asked(prometheus, EXPRESSION), len(prometheus.queries)) == (1, 0, 9)


async def test_a_slope_of_earlier_reaches_further_back(source: PrometheusUse) -> None:
    """The join leaves out slopes whose window reaches into a previous run of the id."""
    assert (await source.fetch(NOW)).cpu_window == 120.0
    assert (await source.fetch(NOW + SETTLED)).cpu_window == 180.0


@pytest.mark.parametrize(
    "recorded",
    [vector(), vector(sample("2e9", node="node02:9798")), vector(({}, "2e9")), FAILURE],
    ids=["nothing", "another node", "no labels", "an error"],
)
async def test_what_is_not_whole_is_not_used_and_the_expression_asked_in_the_same_fetch(
    prometheus: FakePrometheus, source: PrometheusUse, recorded: Any
) -> None:
    at = await settle(source)
    prometheus.answers[RECORDED] = recorded
    use = await source.fetch(at)
    assert values_of(use, "cpus") == {4711: {"node01": 1.0}}
    assert (use.failed, use.rejected, use.cpu_window) == ({}, {}, 120.0)
    assert source.features == {"recorded:cpus": False}


async def test_half_of_the_nodes_are_not_a_recording(prometheus: FakePrometheus, source: PrometheusUse) -> None:
    prometheus.answers[TOTAL] = vector(sample("5e12"), sample("5e12", node="node02:9798"))
    at = await settle(source)
    assert await cpus(source, at) == {4711: {"node01": 1.0}}


async def test_a_recording_that_loses_a_node_is_dropped_at_once(
    prometheus: FakePrometheus, source: PrometheusUse
) -> None:
    both = (sample("5e12"), sample("5e12", node="node02:9798"))
    prometheus.answers[TOTAL] = prometheus.answers[RECORDED] = vector(*both)
    at = await settle(source)
    assert len((await cpus(source, at))[4711]) == 2
    prometheus.answers[RECORDED] = vector(both[0])
    assert await cpus(source, at + 30) == {4711: {"node01": 1.0}}


async def test_a_job_that_has_just_begun_need_not_be_recorded_yet(
    prometheus: FakePrometheus, source: PrometheusUse
) -> None:
    at = await settle(source)
    prometheus.answers[TOTAL] = vector(sample("5e12"), sample("1", job="4712"))
    for later in (0, 30, SETTLED - 1):
        assert await cpus(source, at + later) == {4711: {"node01": 2.0}}
    assert await cpus(source, at + SETTLED) == {4711: {"node01": 1.0}}, "it should have been recorded by now"


async def test_a_job_that_has_ended_may_be_recorded_still(prometheus: FakePrometheus, source: PrometheusUse) -> None:
    at = await settle(source)
    prometheus.answers[RECORDED] = vector(sample("2e9"), sample("3e9", job="4000"))
    assert await cpus(source, at) == {4711: {"node01": 2.0}, 4000: {"node01": 3.0}}


async def test_without_its_witness_nothing_recorded_is_used(prometheus: FakePrometheus, source: PrometheusUse) -> None:
    at = await settle(source)
    prometheus.answers[TOTAL] = FAILURE
    use = await source.fetch(at)
    assert values_of(use, "cpus") == {4711: {"node01": 1.0}}
    assert use.failed.keys() == {"cpu_seconds"}


async def test_a_recording_that_fell_short_is_tried_again_ten_minutes_later(
    prometheus: FakePrometheus, source: PrometheusUse
) -> None:
    at = await settle(source)
    whole, prometheus.answers[RECORDED] = prometheus.answers[RECORDED], vector()
    await source.fetch(at)
    prometheus.answers[RECORDED] = whole
    assert await cpus(source, at + RETRY - 1) == {4711: {"node01": 1.0}}
    assert await cpus(source, at + RETRY) == {4711: {"node01": 2.0}}


async def test_when_both_fail_the_input_has_failed(prometheus: FakePrometheus, source: PrometheusUse) -> None:
    at = await settle(source)
    prometheus.answers |= {RECORDED: FAILURE, EXPRESSION: FAILURE}
    use = await source.fetch(at)
    assert values_of(use, "cpus") is None
    assert use.failed.keys() == {"cpus"}
    assert not source.features["recorded:cpus"]


async def test_when_everything_fails_so_does_the_fetch(prometheus: FakePrometheus, source: PrometheusUse) -> None:
    at = await settle(source)
    prometheus.everything = lambda: web.Response(status=502, text="bad gateway")
    with pytest.raises(FetchError):
        await source.fetch(at)


async def test_nothing_to_see_is_not_a_recording(prometheus: FakePrometheus, source: PrometheusUse) -> None:
    prometheus.answers = {}
    assert await cpus(source, NOW) == {}
    assert await cpus(source, NOW + SETTLED) == {}
    assert source.features == {"recorded:cpus": False}


@pytest.mark.parametrize(
    ("matchers", "settings"),
    [
        ({"cluster": ""}, ExporterSettings()),
        ({"cluster": "narval", "env": ""}, ExporterSettings()),
        ({"cluster": "narval"}, ExporterSettings(metrics={"cpus": "site_core_usage_total"})),
        ({"cluster": "narval"}, ExporterSettings(metrics={"slurm_job_core_usage_total": "site_core_usage_total"})),
        ({"cluster": "narval"}, ExporterSettings(metrics={"slurm_job_memory_usage": "site_memory_usage"})),
    ],
    ids=["empty matcher", "one of two is empty", "renamed input", "renamed metric", "renamed metric beside"],
)
async def test_what_the_rules_cannot_have_recorded_is_never_asked_for(
    prometheus: FakePrometheus, client: PrometheusClient, matchers: dict[str, str], settings: ExporterSettings
) -> None:
    source = PrometheusUse(client, matchers, {"slurm_job_exporter": settings}, NodeNames())
    prometheus.answers = {TOTAL: vector(sample("5e12")), RECORDED: vector(sample("2e9"))}
    await source.fetch(NOW)
    await source.fetch(NOW + 10 * RETRY)
    assert asked(prometheus, RECORDED) == 0
    assert source.features == {"recorded:cpus": False}


def test_only_what_costs_most_is_recorded() -> None:
    assert {item.name: item.witness for item in JOB_INPUTS if item.recorded} == {"cpus": "cpu_seconds"}


@pytest.mark.parametrize(
    ("interval", "window"), [(30.0, "2m"), (60.0, "4m"), (15.0, "1m"), (1.0, "15s"), (22.5, "1m30s"), (30.1, "2m1s")]
)
def test_the_window_is_part_of_the_name_so_that_another_one_is_not_read(interval: float, window: str) -> None:
    text = recorded_promql(CPUS, {"cluster": "narval"}, ExporterSettings(interval=interval))
    assert text is not None
    assert text.startswith(f'job_node:slurm_job_core_usage:deriv{window}{{cluster="narval"}} and timestamp(')


def test_only_samples_of_the_last_two_intervals_are_asked_for() -> None:
    text = recorded_promql(CPUS, {}, ExporterSettings(interval=60.0))
    assert text is not None
    assert text.endswith(" >= time() - 120.000")


def test_hostile_matchers_are_quoted() -> None:
    text = recorded_promql(CPUS, {"cluster": 'a"} or up #'}, ExporterSettings())
    assert text is not None
    assert text.count('{cluster="a\\"} or up #"}') == 2


def test_the_expression_stays_as_it_is() -> None:
    assert "job_node:" not in promql(CPUS, {}, ExporterSettings(), "instance")
