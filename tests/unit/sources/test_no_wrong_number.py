"""Whatever Prometheus holds, no number comes out that is not in a plausible sample of that job and node."""

import asyncio
import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.job_inputs import Use
from aggregator.model.readings import Readings
from aggregator.parts.jobs.use import USE
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusPower, PrometheusUse
from aggregator.sources.prometheus.client import Sample, Series
from aggregator.sources.prometheus.exporters.slurm_job_exporter import GPU_INPUTS, HEALTHY_NODES, JOB_INPUTS
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.vector import VectorQuery
from tests.builders import NOW, make_allocation, make_run
from tests.clusters import join_cluster
from tests.use import comparable, gpus_of, values_of

MATCHERS = {"cluster": "narval"}
INPUTS = {item.name: item for item in (*JOB_INPUTS, *GPU_INPUTS)}
# Every form of two nodes, and what is no node of the cluster.
NODES = st.sampled_from(["n1:9798", "n1.example:9798", "n1", "n1-oob", "n2:9798", "n2.example", "10.0.0.9:9798", ""])
JOBS = st.sampled_from(["4711", "4712", "", "error", "4711_3", "s1TXYZ"])
VALUES = st.sampled_from(
    ["0", "1", "50", "100", "100.4", "101", "-1", "-0.0", "NaN", "+Inf", "-Inf", "1e9", "1.40737488355328e+16",
     "9.223372036854776e+18", "1e300", "", "abc", "0x10"]
) | st.floats().map(repr)  # fmt: skip
ROWS = st.lists(st.tuples(st.sampled_from(list(INPUTS)), JOBS, NODES, st.sampled_from(["0", "1", "MIG-a"]), VALUES))
HEALTHY = st.lists(NODES, max_size=3)
Row = tuple[str, str, str, str, str]


def number(item: Expression, text: str) -> float | None:
    """Read a value by the rule's own words: inside the range after scaling, or nothing."""
    try:
        value = float(text) * item.scale
    except ValueError:
        return None
    return value if math.isfinite(value) and item.low <= value <= item.high else None


class Instant:
    """A client that gives these rows to the inputs that they are of."""

    def __init__(self, rows: Iterable[Row], healthy: Iterable[str]) -> None:
        settings = ExporterSettings()
        self._rows = list(rows)
        self._names = {promql(item, MATCHERS, settings, "instance"): item.name for item in INPUTS.values()}
        self._healthy = [({"instance": node}, "1") for node in healthy]
        self._health = promql(HEALTHY_NODES, MATCHERS, settings, "instance")

    async def query(self, *_: object) -> Sequence[Sample]:
        return []

    async def query_columns(self, query: VectorQuery, at: float) -> pl.DataFrame:
        own = (row for row in self._rows if row[0] == self._names.get(query.promql))
        series = [({"slurmjobid": job, "instance": node, "gpu": gpu}, value) for _, job, node, gpu, value in own]
        found = self._healthy if query.promql == self._health else series
        rows = [[*(labels.get(label, "") for label in query.labels.values()), value] for labels, value in found]
        return pl.DataFrame(rows, schema=dict.fromkeys((*query.labels, "value"), pl.String), orient="row")


def fetch(rows: Iterable[Row], healthy: Iterable[str]) -> Use:
    client: Any = Instant(rows, healthy)
    return asyncio.run(
        PrometheusUse(client, MATCHERS, {"slurm_job_exporter": ExporterSettings()}, NodeNames()).fetch(NOW)
    )


def plausible_of(rows: Sequence[Row], name: str) -> dict[tuple[int, str], list[float]]:
    found: dict[tuple[int, str], list[float]] = {}
    for row, job, node, _, text in rows:
        value = number(INPUTS[name], text)
        if row == name and job.isdecimal() and value is not None:
            found.setdefault((int(job), NodeNames().normalize(node)), []).append(value)
    return found


@given(ROWS, HEALTHY)
def test_each_number_is_the_largest_plausible_sample_of_its_job_and_node(rows: list[Row], healthy: list[str]) -> None:
    use = fetch(rows, healthy)
    for item in JOB_INPUTS:
        values = values_of(use, item.name) or {}
        shown = {(job, node): value for job, nodes in values.items() for node, value in nodes.items()}
        assert shown == {key: max(of) for key, of in plausible_of(rows, item.name).items()}


@given(ROWS, HEALTHY)
def test_a_gpu_is_one_of_its_job_and_node_however_often_it_is_shown(rows: list[Row], healthy: list[str]) -> None:
    use = fetch(rows, healthy)
    gpus = [row for row in rows if row[0].startswith("gpu") and row[1].isdecimal()]
    keys = {(int(job), NodeNames().normalize(node), gpu) for _, job, node, gpu, _ in gpus}
    found = gpus_of(use)
    assert found is not None
    assert sorted((job, gpu.node, gpu.index) for job, of in found.items() for gpu in of) == sorted(keys)
    for of in found.values():
        assert all(gpu.utilization is None or 0 <= gpu.utilization <= 1.005 for gpu in of)


@given(ROWS, HEALTHY)
def test_every_sample_that_is_dropped_is_counted(rows: list[Row], healthy: list[str]) -> None:
    use = fetch(rows, healthy)
    no_job = sum(1 for row in rows if not row[1].isdecimal())
    impossible = sum(1 for name, job, _, _, text in rows if number(INPUTS[name], text) is None)
    assert use.rejected.get("job id is not a number", 0) == no_job
    assert sum(use.rejected.values()) - no_job <= impossible
    assert sum(use.rejected.values()) >= sum(
        1 for name, job, _, _, text in rows if job.isdecimal() and number(INPUTS[name], text) is None
    )


@given(ROWS, HEALTHY, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(rows: list[Row], healthy: list[str], dice: random.Random) -> None:
    shuffled = dice.sample(rows, len(rows))
    first, second = fetch(rows, healthy), fetch(shuffled, healthy)
    assert comparable(first) == comparable(second)


@given(ROWS, HEALTHY)
def test_what_comes_twice_counts_once(rows: list[Row], healthy: list[str]) -> None:
    once, twice = comparable(fetch(rows, healthy)), comparable(fetch(rows * 2, healthy * 2))
    assert {**twice, "rejected": {reason: count / 2 for reason, count in twice["rejected"].items()}} == once


@given(ROWS, HEALTHY, st.floats(-30, 30), st.integers(0, 400))
def test_a_run_gets_no_more_than_its_nodes_show_and_wastes_no_more_than_it_holds(
    rows: list[Row], healthy: list[str], skew: float, age: int
) -> None:
    """Also while the clocks of slurmctld and Prometheus are half a minute apart."""
    use = fetch(rows, healthy)
    run = make_run(start=NOW - age + skew, nodes=("n1",), allocated=make_allocation(gpus={"a100": 2}))
    row = join_cluster([run], use)["jobs"].row(0, named=True)
    if age - skew < use.interval:
        assert {row[name] for name in USE if name != "run_id"} == {None}
        return
    columns = {
        "cpus": "used_cpus", "cpu_seconds": "cpu_seconds", "memory_bytes": "memory_used_bytes",
        "memory_peak_bytes": "memory_peak_bytes", "threads": "running_threads",
    }  # fmt: skip
    for field, column in columns.items():
        of_node = plausible_of(rows, field).get((run.job_id, "n1"))
        assert row[column] is None or (of_node is not None and row[column] == max(of_node)), field
    for name in ("cpus", "gpus", "memory_bytes"):
        assert row[f"wasted_{name}"] is None or 0 <= row[f"wasted_{name}"] <= row[f"granted_{name}"]


EXPORTERS = {
    name: ExporterSettings()
    for name in ("slurm_job_exporter", "redfish_exporter", "node_exporter", "dcgm_exporter", "nvidia_gpu_exporter")
}
BEGIN = NOW - NOW % 3600
ENDS = [BEGIN + 60 * number for number in range(1, 4)]
# On the evaluation times that were asked for, and on others that an engine may come up with.
TIMES = st.sampled_from([*ENDS, BEGIN, BEGIN + 30.0, BEGIN + 240.0, BEGIN - 3600])
POINTS = st.lists(st.tuples(TIMES, VALUES), max_size=4)
MATRIX = st.lists(st.tuples(JOBS, NODES, st.sampled_from(["0", "1", "MIG-a"]), POINTS), max_size=6)


class Ranged:
    """A client that gives the same series to each question."""

    def __init__(self, series: Iterable[tuple[str, str, str, list[tuple[float, str]]]]) -> None:
        self._series = [
            Series({"slurmjobid": job, "instance": node, "gpu": gpu}, points) for job, node, gpu, points in series
        ]

    async def query(self, *_: object) -> Sequence[Sample]:
        return []

    async def query_range(self, *_: object) -> Sequence[Series]:
        return self._series


def read_windows(series: Any) -> Readings:
    client: Any = Ranged(series)
    power = PrometheusPower(client, MATCHERS, EXPORTERS, NodeNames(), 60.0, {})
    return asyncio.run(power.windows(ENDS[0], len(ENDS)))


@given(MATRIX)
def test_a_window_has_plausible_values_of_its_own_time_only(series: Any) -> None:
    found = read_windows(series)
    for number, end in enumerate(ENDS):
        texts = [text for _, _, _, points in series for time, text in points if time == end]
        nodes, gpus = found.nodes.filter(window=number), found.gpus.filter(window=number)
        if not texts:
            assert (len(nodes), len(gpus)) == (0, 0)
        for name in ("watts", "gpu_watts", "static_watts", "cpus", "busy_cpus", "memory_bytes"):
            assert all(0 <= value <= 1e15 for value in nodes[name].drop_nulls())
        assert len(gpus.drop_nulls("utilization")) <= len({(job, node, gpu) for job, node, gpu, _ in series})
        assert all(0 <= value <= 1.005 for value in gpus["utilization"].drop_nulls())


@given(MATRIX, st.randoms(use_true_random=False))
def test_the_order_of_the_series_does_not_matter_to_a_window(series: Any, dice: random.Random) -> None:
    def comparable(found: Readings) -> list[Any]:
        return [frame.sort(frame.columns).to_dicts() for frame in (found.nodes, found.used, found.gpus)]

    assert comparable(read_windows(series)) == comparable(read_windows(dice.sample(series, len(series))))


@given(st.lists(VALUES), st.sampled_from(list(INPUTS.values())))
def test_many_values_are_read_as_each_alone(texts: list[str], item: Expression) -> None:
    assert item.plausible_values(texts).to_list() == [item.plausible(text) for text in texts]
