"""Our own gauges answer for the time in which they are there, recorded sums before that, series of jobs in the end."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.series import Span, Subject
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusSeries
from aggregator.sources.prometheus.catalogue import OWN
from aggregator.sources.prometheus.client import Endpoint, Series

SPAN = Span(0.0, 40.0, 10.0)
ALICE = Subject(labels=(("user", "alice"),))
WHO = {"user": "alice", "account": "def-kim"}


class Answers(PrometheusClient):
    """Give what the test says of the first metric that a query names, within the range that is asked for."""

    def __init__(self, answers: dict[str, dict[float, float]]) -> None:
        super().__init__(Endpoint(key="prometheus", url="http://prometheus"))
        self.answers = answers
        self.asked: list[tuple[str, float, float]] = []
        self.error: FetchError | None = None

    async def query_range_with_warnings(
        self, promql: str, start: float, end: float, step: float
    ) -> tuple[Sequence[Series], Sequence[str]]:
        if self.error:
            raise self.error
        metric = next((name for name in self.answers if name in promql), "")
        self.asked.append((metric, start, end))
        points = {time: value for time, value in self.answers.get(metric, {}).items() if start <= time <= end}
        labels = {} if promql.startswith("max (") else WHO
        found = [Series(labels, [(time, str(value)) for time, value in points.items()])] if points else []
        return found, ()


def reader(client: PrometheusClient) -> PrometheusSeries:
    return PrometheusSeries(client, {"cluster": "n"}, {OWN: ExporterSettings()}, NodeNames(), "narval")


async def read(answers: dict[str, dict[float, float]]) -> tuple[dict[float, float], Answers]:
    client = Answers(answers)
    lines = await reader(client).read("user", "allocated_cpus", ALICE, SPAN)
    assert all(line.labels == WHO for line in lines.lines)
    return {time: value for line in lines.lines for time, value in line.points}, client


EVERY = dict.fromkeys((0.0, 10.0, 20.0, 30.0, 40.0), 1.0)
OURS, THERE = "hpc_user_allocated_cpus", "hpc_account_info"
RULES, RECORDED, RAW = "slurm_job:allocated_core:count_user_account", "slurm_job:used_core:sum", "slurm_job_core_usage"


async def test_where_ours_is_there_nobody_else_is_asked() -> None:
    points, client = await read({OURS: {10.0: 4.0}, THERE: EVERY, RULES: EVERY, RECORDED: EVERY, RAW: EVERY})
    assert points == {10.0: 4.0}, "that alice holds nothing then is known"
    assert {metric for metric, _, _ in client.asked} == {OURS, THERE}


async def test_before_ours_the_recorded_sums_answer_for_that_time_only() -> None:
    since = {30.0: 1.0, 40.0: 1.0}
    points, client = await read({OURS: {30.0: 8.0, 40.0: 8.0}, THERE: since, RULES: EVERY, RECORDED: EVERY, RAW: EVERY})
    assert points == {0.0: 1.0, 10.0: 1.0, 20.0: 1.0, 30.0: 8.0, 40.0: 8.0}
    assert (RULES, 0.0, 20.0) in client.asked
    assert RAW not in {metric for metric, _, _ in client.asked}


async def test_without_ours_and_without_rules_the_series_are_counted() -> None:
    points, _ = await read({RAW: EVERY})
    assert points == EVERY


async def test_an_outage_of_ours_is_filled_and_what_is_known_is_not_replaced() -> None:
    there = {0.0: 1.0, 40.0: 1.0}
    points, client = await read({OURS: {0.0: 9.0}, THERE: there, RULES: EVERY, RECORDED: EVERY})
    assert points == {0.0: 9.0, 10.0: 1.0, 20.0: 1.0, 30.0: 1.0}
    assert (RULES, 10.0, 30.0) in client.asked


async def test_nothing_anywhere_is_no_line() -> None:
    points, client = await read({})
    assert points == {}
    assert len(client.asked) == 5, "three expressions, two of which are asked whether they are there"


async def test_a_failure_in_the_middle_is_an_error_not_a_hole() -> None:
    client = Answers({})
    client.error = FetchError("clusters.narval.prometheus: timeout")
    with pytest.raises(FetchError, match="timeout"):
        await reader(client).read("user", "allocated_cpus", ALICE, SPAN)


class Texts(Answers):
    """Give the same texts as values whatever is asked, once under each of two names of one user."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__({})
        self.texts = texts

    async def query_range_with_warnings(
        self, promql: str, start: float, end: float, step: float
    ) -> tuple[Sequence[Series], Sequence[str]]:
        values = [(index * step, text) for index, text in enumerate(self.texts)]
        return ([] if promql.startswith("max (") else [Series(WHO, values), Series(dict(WHO), values)]), ()


ODD = st.sampled_from(["NaN", "+Inf", "-Inf", "9.223372036854776e+18", "-1", "", "x", "1e400"])


@given(st.lists(st.floats().map(str) | ODD, max_size=5))
def test_whatever_prometheus_says_a_value_is_one_that_can_be_or_a_gap_that_is_counted(texts: list[str]) -> None:
    lines = asyncio.run(reader(Texts(texts)).read("user", "used_memory", ALICE, SPAN))
    values = [value for line in lines.lines for _, value in line.points]
    assert all(0 <= value <= 1e18 for value in values)
    # Three sources are asked, each of which gives every value twice; two that are the same are one.
    assert 6 * len(values) + sum(lines.rejected.values()) == 6 * len(texts)
