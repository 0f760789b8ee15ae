"""Graphs are read as they are, with what is wrong with them."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.series import Lines, Span, Subject
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusSeries
from aggregator.sources.prometheus.client import Series
from tests.builders import NOW

SPAN = Span(NOW - NOW % 60 - 600, NOW - NOW % 60, 60.0)
TIMES = [SPAN.start + 60 * number for number in range(SPAN.points)]
MEMORY = "slurm_job_utilization_gpu"


class Ranged:
    """A client that answers by the first metric that a query names; everything else is empty."""

    def __init__(self, answers: Mapping[str, tuple[Sequence[Series], Sequence[str]]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def query_range_with_warnings(self, query: str, *_: float) -> tuple[Sequence[Series], Sequence[str]]:
        self.asked.append(query)
        return next((answer for metric, answer in self._answers.items() if metric in query), ((), ()))


def read(answers: Any, name: str = "gpu_utilization", subject: Subject | None = None, **settings: Any) -> Lines:
    client: Any = Ranged(answers)
    reader = PrometheusSeries(
        client, {"cluster": "narval"}, {"slurm_job_exporter": ExporterSettings(**settings)}, NodeNames()
    )
    return asyncio.run(reader.read("job", name, subject or Subject(jobs=(4711,)), SPAN))


def gpu(value: str, node: str = "n1:9798", **labels: str) -> Series:
    return Series({"slurmjobid": "4711", "instance": node, "gpu": "0", **labels}, [(TIMES[0], value)])


def test_an_answer_that_is_not_whole_is_shown_with_its_warning_once() -> None:
    """A person looks at it, and half a graph is better than none; nothing is concluded from it."""
    lines = read({MEMORY: ([gpu("50")], ["store b: unavailable", "store b: unavailable"])})
    assert [line.points for line in lines.lines] == [((TIMES[0], 0.5),)]
    assert lines.warnings == ("not all data: store b: unavailable",)


def test_the_warnings_of_a_graphs_whole_are_its_own_too() -> None:
    answers = {"process_usage": ([], ["parts"]), "core_usage": ([], ["whole"])}
    assert read(answers, "applications").warnings == ("not all data: parts", "not all data: whole")


def test_a_whole_answer_has_no_warnings() -> None:
    assert read({MEMORY: ([gpu("50")], [])}).warnings == ()


def test_a_query_that_fails_fails_the_graph() -> None:
    class Failing:
        async def query_range_with_warnings(self, *_: object) -> Any:
            raise FetchError("clusters.narval.prometheus: HTTP 422: execution: too many samples")

    client: Any = Failing()
    reader = PrometheusSeries(client, {}, {"slurm_job_exporter": ExporterSettings()}, NodeNames())
    with pytest.raises(FetchError, match="too many samples"):
        asyncio.run(reader.read("job", "cpu", Subject(jobs=(4711,)), SPAN))


def test_the_sites_labels_are_read_back_as_the_exporters() -> None:
    renamed = Series({"jobid": "4711", "instance": "n1:9798", "gpu_index": "0"}, [(TIMES[0], "50")])
    lines = read({MEMORY: ([renamed], [])}, labels={"slurmjobid": "jobid", "gpu": "gpu_index"})
    assert [dict(line.labels) for line in lines.lines] == [{"slurmjobid": "4711", "node": "n1", "gpu": "0"}]
    assert 'jobid="4711"' in lines.queries[0]
    assert "gpu_index" in lines.queries[0]


def test_slices_have_lines_of_their_own() -> None:
    slices = [gpu("50", gpu="MIG-a", gpu_type="3g.20gb"), gpu("70", gpu="MIG-b", gpu_type="3g.20gb")]
    assert [line.labels["gpu"] for line in read({MEMORY: (slices, [])}).lines] == ["MIG-a", "MIG-b"]


VALUES = st.sampled_from(["0", "50", "100.4", "101", "-1", "NaN", "+Inf", "1.40737488355328e+16", "", "x"])
POINTS = st.lists(st.tuples(st.sampled_from(TIMES), VALUES), max_size=4, unique_by=lambda point: point[0])
SERIES = st.lists(
    st.tuples(st.sampled_from(["n1:9798", "n1.example:9798", "n2", ""]), st.sampled_from(["0", "MIG-a"]), POINTS)
)


@given(SERIES, st.randoms(use_true_random=False))
def test_each_point_is_the_largest_plausible_sample_of_its_line(series: Any, dice: random.Random) -> None:
    """Values that cannot be are gaps, and counted; two forms of a node are one line, in whatever order they come."""
    wanted: dict[tuple[str, str], dict[float, float]] = {}
    impossible: Counter[str] = Counter()
    for node, index, points in series:
        line = wanted.setdefault((NodeNames().normalize(node), index), {})
        for time, text in points:
            try:
                value = float(text) * 0.01
            except ValueError:
                value = math.nan
            if 0 <= value <= 1.005:
                line[time] = max(value, line.get(time, value))
            else:
                impossible["gpu_utilization out of range"] += 1
    found = [Series({"slurmjobid": "4711", "instance": node, "gpu": index}, points) for node, index, points in series]
    lines = read({MEMORY: (dice.sample(found, len(found)), [])})
    assert {(line.labels["node"], line.labels["gpu"]): dict(line.points) for line in lines.lines} == {
        key: points for key, points in wanted.items() if points
    }
    assert lines.rejected == impossible
