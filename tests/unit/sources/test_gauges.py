"""The gauges of jobs that exporters declare: what is asked, and which values are taken."""

import pytest
from aiohttp import web

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusGauges, gauges
from aggregator.sources.prometheus.catalogue import JOB_GAUGES, gauge_columns
from aggregator.sources.prometheus.exporter import Exporter, JobGauge, newest
from aggregator.sources.prometheus.expression import Expression, Metric
from tests.builders import NOW

from .fake_prometheus import FakePrometheus, sample, vector

FILES = newest("open_files", "io_files", help="Files.", of="io-job-exporter", unit="files", high=1e6)
LARGEST = newest("largest_file", "io_largest", help="Size.", of="io-job-exporter", unit="bytes", over_nodes="max")


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "JOB_GAUGES", {"io_job_exporter": (FILES, LARGEST)})


@pytest.fixture
def source(client: PrometheusClient) -> PrometheusGauges:
    settings = {"io_job_exporter": ExporterSettings(interval=30.0), "node_exporter": ExporterSettings()}
    return PrometheusGauges(client, {"cluster": "narval"}, settings, NodeNames(), patience=60.0)


async def test_a_gauge_is_one_query_by_job_and_node(prometheus: FakePrometheus, source: PrometheusGauges) -> None:
    prometheus.answers["io_files"] = vector(sample("3"), sample("5", "NODE02.example.org:9100"), sample("4", "node02"))
    found = (await source.fetch(NOW)).values
    asked = {form["query"] for form in prometheus.queries}
    assert len(asked) == 2
    assert any(query.startswith('max by (slurmjobid, instance) ((io_files{cluster="narval"} and ') for query in asked)
    # A node with two names for a while is one node.
    assert sorted(found["open_files"].frame.iter_rows()) == [(4711, "node01", 3.0), (4711, "node02", 5.0)]
    assert (found["open_files"].since, found["largest_file"].over_nodes) == (NOW - 120, "max")
    assert (source.rows, source.features) == (2, {"open_files": True, "largest_file": False})


async def test_what_was_asked_is_said_with_the_time_of_what_is_kept(
    prometheus: FakePrometheus, source: PrometheusGauges
) -> None:
    prometheus.answers["io_files"] = vector(sample("3"))
    await source.fetch(NOW)
    prometheus.answers["io_files"] = web.Response(status=500)
    questions = (await source.fetch(NOW + 30)).questions
    assert {name: [each.at for each in found] for name, found in questions.items()} == {
        "open_files": [NOW], "largest_file": [NOW + 30],
    }  # fmt: skip
    (files,) = questions["open_files"]
    assert files.text in {form["query"] for form in prometheus.queries}
    assert files.of_job is not None
    assert files.of_job(4711, ("n1",)).count('{cluster="narval",slurmjobid="4711",instance=~"(?i)(n1)') == 2
    assert FILES.columns[0].promql == "sum($open_files)"


async def test_a_gauge_may_be_any_expression_by_job_and_node(
    prometheus: FakePrometheus, client: PrometheusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = Expression(
        name="read_bytes_per_second", text="sum by ($job, $node) (rate($read[$window]))", unit="bytes per second",
        metrics={"read": Metric("io_read_bytes_total")},
    )  # fmt: skip
    gauge = JobGauge(expression=rate, help="Bytes that it reads.", of="io-job-exporter")
    monkeypatch.setattr(gauges, "JOB_GAUGES", {"io_job_exporter": (gauge,)})
    settings = {"io_job_exporter": ExporterSettings(interval=30.0, labels={"slurmjobid": "jobid"})}
    await PrometheusGauges(client, {}, settings, NodeNames()).fetch(NOW)
    (asked,) = prometheus.queries
    assert asked["query"] == "sum by (jobid, instance) (rate(io_read_bytes_total[120s]))"
    assert [each.name for each in gauge.columns] == ["read_bytes_per_second", "read_bytes_per_second_coverage_ratio"]


async def test_of_two_exporters_the_one_that_is_believed_first_counts_for_each_node(
    prometheus: FakePrometheus, client: PrometheusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of two of them are never put together; where one fails, the other's are taken."""
    names = {"slurm_job_exporter": "slurm_files", "dcgm_exporter": "dcgm_files"}
    shown = {
        name: (newest("open_files", metric, help="Files.", of=name, unit="files"),) for name, metric in names.items()
    }
    monkeypatch.setattr(gauges, "JOB_GAUGES", shown)
    source = PrometheusGauges(client, {}, dict.fromkeys(names, ExporterSettings(interval=30.0)), NodeNames())
    prometheus.answers |= {
        "slurm_files": vector(sample("1"), sample("2", "node02")), "dcgm_files": vector(sample("7"), sample("8", "n3")),
    }  # fmt: skip
    found = await source.fetch(NOW)
    assert sorted(found.values["open_files"].frame.iter_rows()) == [
        (4711, "n3", 8.0), (4711, "node01", 7.0), (4711, "node02", 2.0),
    ]  # fmt: skip
    assert [each.exporter for each in found.questions["open_files"]] == ["dcgm_exporter", "slurm_job_exporter"]
    prometheus.answers["dcgm_files"] = web.Response(status=500)
    alone = await source.fetch(NOW + 1)
    assert sorted(alone.values["open_files"].frame.iter_rows()) == [(4711, "node01", 1.0), (4711, "node02", 2.0)]
    assert alone.failed.keys() == {"dcgm_exporter:open_files"}


async def test_what_a_site_believes_first_is_believed_first(
    prometheus: FakePrometheus, client: PrometheusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"slurm_job_exporter": "slurm_files", "dcgm_exporter": "dcgm_files"}
    shown = {of: (newest("open_files", metric, help="Files.", of=of, unit="files"),) for of, metric in names.items()}
    monkeypatch.setattr(gauges, "JOB_GAUGES", shown)
    settings = dict.fromkeys(names, ExporterSettings(interval=30.0))
    source = PrometheusGauges(client, {}, settings, NodeNames(), first=("slurm_job_exporter",))
    prometheus.answers |= {"slurm_files": vector(sample("1")), "dcgm_files": vector(sample("7"))}
    assert (await source.fetch(NOW)).values["open_files"].frame.rows() == [(4711, "node01", 1.0)]


@pytest.mark.parametrize(
    ("exporter", "metric", "gauge", "written"),
    [
        ("slurm_job_exporter", "slurm_job_sm_occupancy_gpu", "gpu_sm_occupancy_ratio", "25"),
        ("slurm_job_exporter", "slurm_job_tensor_gpu", "gpu_tensor_active_ratio", "25"),
        ("slurm_job_exporter", "slurm_job_utilization_gpu_memory", "gpu_dram_active_ratio", "25"),
        ("dcgm_exporter", "DCGM_FI_PROF_SM_OCCUPANCY", "gpu_sm_occupancy_ratio", "0.25"),
        ("dcgm_exporter", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "gpu_tensor_active_ratio", "0.25"),
        ("dcgm_exporter", "DCGM_FI_PROF_DRAM_ACTIVE", "gpu_dram_active_ratio", "0.25"),
        ("nvidia_gpu_exporter", "nvidia_gpu_sm_occupancy_percent", "gpu_sm_occupancy_ratio", "0.25"),
        ("nvidia_gpu_exporter", "nvidia_gpu_any_tensor_util_percent", "gpu_tensor_active_ratio", "0.25"),
        ("nvidia_gpu_exporter", "nvidia_gpu_dram_bw_util_percent", "gpu_dram_active_ratio", "0.25"),
    ],
)
async def test_the_activity_of_gpus_is_a_ratio_whoever_shows_it(
    prometheus: FakePrometheus, client: PrometheusClient, monkeypatch: pytest.MonkeyPatch, exporter: str, metric: str,
    gauge: str, written: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(gauges, "JOB_GAUGES", JOB_GAUGES)
    source = PrometheusGauges(client, {}, {exporter: ExporterSettings(interval=30.0)}, NodeNames())
    label = {"slurm_job_exporter": "slurmjobid", "dcgm_exporter": "hpc_job", "nvidia_gpu_exporter": "jobid"}[exporter]
    prometheus.answers[metric] = vector(({label: "4711", "instance": "node01"}, written))
    found = (await source.fetch(NOW)).values
    assert {name: each.frame.rows() for name, each in found.items() if len(each)} == {gauge: [(4711, "node01", 0.25)]}


def test_every_gauge_is_one_column_whoever_shows_it() -> None:
    columns = [column.name for column in gauge_columns()]
    assert len(columns) == len({*columns})
    assert "gpu_sm_occupancy_ratio" in columns


async def test_what_cannot_be_is_dropped_and_counted(prometheus: FakePrometheus, source: PrometheusGauges) -> None:
    prometheus.answers["io_files"] = vector(
        sample("1e9"), sample("NaN", "node02"), sample("-1", "node03"), sample("2", job="none"), sample("7", ""),
        sample("3", job="sBR1JB8J1YM400"),
        sample("8", "node08"),
    )  # fmt: skip
    found = await source.fetch(NOW)
    assert found.values["open_files"].frame.rows() == [(4711, "node08", 8.0)]
    assert found.rejected == {
        "open_files out of range": 3, "job id is not a number": 1, "SLUID is of no known job": 1,
    }  # fmt: skip


async def test_one_that_fails_is_as_it_last_was_and_its_samples_are_that_old(
    prometheus: FakePrometheus, source: PrometheusGauges
) -> None:
    prometheus.answers |= {"io_files": vector(sample("3")), "io_largest": vector(sample("9"))}
    await source.fetch(NOW)
    prometheus.answers["io_files"] = {"status": "error", "errorType": "execution", "error": "too many samples"}
    found = await source.fetch(NOW + 30)
    assert found.failed.keys() == {"open_files"}
    assert (found.values["open_files"].since, found.values["largest_file"].since) == (NOW - 120, NOW - 90)
    assert "open_files" not in (await source.fetch(NOW + 90)).values


async def test_all_of_them_failing_is_an_error(prometheus: FakePrometheus, source: PrometheusGauges) -> None:
    failed = {"status": "error", "errorType": "execution", "error": "too many samples"}
    prometheus.answers |= {"io_files": failed, "io_largest": failed}
    with pytest.raises(FetchError, match="too many samples"):
        await source.fetch(NOW)


def test_its_series_are_looked_for_and_need_not_be_there() -> None:
    (look,) = Exporter(job_gauges=(FILES,)).looked_for
    assert (look.metrics, look.always) == (("io_files",), False)
