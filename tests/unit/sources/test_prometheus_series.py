"""Graphs from Prometheus: what is asked, how often, and what becomes of the answer."""

import re
from typing import Any

import pytest
from fake_prometheus import KEY, FakePrometheus, matrix
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.series import Line, Lines, Span, Subject
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusSeries

SPAN = Span(1000.0, 1060.0, 30.0)


class Reader:
    """The graphs of one cluster from a Prometheus that answers what the test says."""

    def __init__(self, fake: FakePrometheus, client: PrometheusClient) -> None:
        self.fake = fake
        self._client = client

    async def lines(self, metric: str, subject: Subject, span: Span = SPAN, **settings: Any) -> Lines:
        exporters = {"slurm_job_exporter": ExporterSettings(**settings)}
        series = PrometheusSeries(self._client, {"cluster": 'nar"val'}, exporters, NodeNames())
        return await series.read("job", metric, subject, span)

    @property
    def asked(self) -> list[str]:
        return [query["query"] for query in self.fake.queries]


@pytest.fixture
def reader(prometheus: FakePrometheus, client: PrometheusClient) -> Reader:
    return Reader(prometheus, client)


async def test_one_job_is_asked_for_by_equality_and_every_value_escaped(reader: Reader) -> None:
    await reader.lines("cpu", Subject(jobs=(4711,)))
    (query,) = reader.fake.queries
    assert 'slurm_job_core_usage_total{cluster="nar\\"val",slurmjobid="4711"}[120s]' in query["query"]
    assert (query["start"], query["end"], query["step"]) == ("1000.000", "1060.000", "30.000")


async def test_an_expression_names_a_hundred_jobs_at_most(reader: Reader) -> None:
    await reader.lines("processes", Subject(jobs=tuple(range(1, 251))))
    named = [re.search('slurmjobid=~"([0-9|]+)"', query["query"]) for query in reader.fake.queries]
    assert sorted(len(match[1].split("|")) for match in named if match) == [50, 100, 100]


async def test_a_long_range_is_asked_for_in_parts_and_comes_as_one_line(reader: Reader) -> None:
    span = Span(0.0, 30.0 * 29_999, 30.0)
    reader.fake.answers = {"process_count": matrix(({"slurmjobid": "1", "instance": "n1:9798"}, [(30.0, "2")]))}
    found = await reader.lines("processes", Subject(jobs=(1,)), span)
    assert found.lines == (Line({"slurmjobid": "1", "node": "n1"}, ((30.0, 2.0),)),)
    assert [float(query["start"]) for query in reader.fake.queries] == [0.0, 330_000.0, 660_000.0]


@pytest.mark.parametrize(
    ("step", "expected"), [(30.0, "($plain)"), (60.0, "($plain)"), (300.0, "(avg_over_time($plain[300s]))")]
)
async def test_a_gauge_is_averaged_over_a_step_that_is_longer_than_two_scrapes(
    reader: Reader, step: float, expected: str
) -> None:
    await reader.lines("processes", Subject(jobs=(1,)), Span(0.0, 600.0, step))
    plain = 'slurm_job_process_count{cluster="nar\\"val",slurmjobid="1"}'
    assert expected.replace("$plain", plain) in reader.fake.queries[0]["query"]


async def test_slopes_are_taken_many_times_in_a_step_and_not_more_often_the_longer_it_is(reader: Reader) -> None:
    for step, window in ((60.0, "[120s]"), (600.0, "[120s]"), (86_400.0, "[4320s]")):
        reader.fake.queries.clear()
        await reader.lines("cpu", Subject(jobs=(1,)), Span(0.0, 10 * step, step))
        query = reader.fake.queries[0]["query"]
        assert window in query
        assert query.startswith("avg_over_time(") == (step > 120)


async def test_a_value_that_cannot_be_is_a_gap_and_counted(reader: Reader) -> None:
    values = [(1000.0, "50"), (1030.0, "1.40737488355328e16"), (1060.0, "NaN")]
    labels = {"slurmjobid": "1", "instance": "n1:9798", "gpu": "0", "gpu_type": "A100"}
    reader.fake.answers = {"utilization_gpu": matrix((labels, values))}
    found = await reader.lines("gpu_utilization", Subject(jobs=(1,)))
    assert found.lines[0].points == ((1000.0, 0.5),)
    assert found.rejected == {"gpu_utilization out of range": 2}


async def test_names_of_the_sites_own_are_asked_for_and_shown_as_ours(reader: Reader) -> None:
    reader.fake.answers = {"procs": matrix(({"jobid": "1", "instance": "n1.example.org:9798"}, [(1000.0, "3")]))}
    found = await reader.lines(
        "processes", Subject(jobs=(1,)),
        metrics={"slurm_job_process_count": "site_procs"}, labels={"slurmjobid": "jobid"},
    )  # fmt: skip
    assert 'site_procs{cluster="nar\\"val",jobid="1"}' in reader.fake.queries[0]["query"]
    assert found.lines[0].labels == {"slurmjobid": "1", "node": "n1"}


async def test_two_targets_of_one_node_are_one_line(reader: Reader) -> None:
    series = [({"slurmjobid": "1", "instance": f"n1:{port}"}, [(1000.0, str(port))]) for port in (9798, 9799)]
    reader.fake.answers = {"process_count": matrix(*series)}
    found = await reader.lines("processes", Subject(jobs=(1,)))
    assert found.lines == (Line({"slurmjobid": "1", "node": "n1"}, ((1000.0, 9799.0),)),)


async def test_applications_come_with_what_is_unaccounted_for(reader: Reader) -> None:
    reader.fake.answers = {
        "process_usage": matrix(({"slurmjobid": "1", "application": "a"}, [(1000.0, "1")])),
        "core_usage": matrix(({"slurmjobid": "1", "instance": "n1:1"}, [(1000.0, "4e9")])),
    }
    found = await reader.lines("applications", Subject(jobs=(1,)))
    assert {line.labels["application"]: line.points for line in found.lines} == {
        "a": ((1000.0, 1.0),),
        "_unaccounted": ((1000.0, 3.0),),
    }


async def test_a_part_that_fails_fails_the_whole(reader: Reader) -> None:
    """Lines with holes would look as if nothing had run."""
    reader.fake.answers = {"core_usage": {"status": "error", "errorType": "timeout", "error": "too slow"}}
    with pytest.raises(FetchError, match=f"{KEY}: .*too slow"):
        await reader.lines("applications", Subject(jobs=(1,)))


async def test_without_jobs_or_nodes_nothing_is_asked(reader: Reader) -> None:
    """An empty alternation would match every series."""
    assert (await reader.lines("cpu", Subject())).lines == ()
    assert reader.fake.queries == []


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


@given(NAMES, st.sampled_from(["", ":9798", ".example.org", ".example.org:9100", "-oob", "-oob.bmc"]), NAMES)
def test_the_matcher_of_a_node_takes_what_means_that_node_and_nothing_else(node: str, tail: str, other: str) -> None:
    rule = NodeNames()
    _, operator, pattern = rule.matcher([node])
    assert operator == "=~"
    value = other + tail
    if not other.endswith("-oob"):
        assert bool(re.fullmatch(pattern, value)) == (rule.normalize(value) == node)
    assert re.fullmatch(pattern, node + tail)
