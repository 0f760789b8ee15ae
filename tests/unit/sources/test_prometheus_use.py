from typing import Any

import pytest
from aiohttp import web
from fake_prometheus import KEY, FakePrometheus, make_source, sample, vector

from aggregator.model.job_inputs import OF_NODES
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import PrometheusClient
from tests.builders import GIB, NOW
from tests.use import Gpu, gpus_of, values_of

CORE, RSS, UTILIZATION = "slurm_job_core_usage_total", "slurm_job_memory_rss", "slurm_job_utilization_gpu{"
WINDOW, GPU_MEMORY, UP, THREADS = "deriv(", "slurm_job_memory_usage_gpu", "exporter_port", "slurm_job_threads_count"
FAILURE = web.Response(status=500, text="oops")


async def fetch(client: PrometheusClient, **changes: Any) -> Any:
    return await make_source(client, **changes).fetch(NOW)


async def test_nothing_to_see_is_empty_and_not_unknown(client: PrometheusClient) -> None:
    use = await fetch(client, interval=60.0)
    assert {name: values_of(use, name) for name in OF_NODES} == {name: {} for name in OF_NODES}
    assert gpus_of(use) == {}
    assert use.is_empty
    assert use.healthy_nodes == frozenset()
    assert (use.time, use.interval, use.cpu_window, use.failed, use.rejected) == (NOW, 60.0, 240.0, {}, {})


async def test_values_come_in_base_units_by_job_and_node(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers = {
        WINDOW: vector(sample("6.5e9"), sample("1e9", node="node02.example:9798")),
        CORE: vector(sample("3.6e12")),
        RSS: vector(sample("1024", job="4712")),
        THREADS: vector(sample("9")),
        UTILIZATION: vector(sample("50", gpu="0")),
        GPU_MEMORY: vector(sample(str(GIB), gpu="0")),
        UP: vector(({"instance": "node01:9798"}, "1"), ({"instance": "node02:9798"}, "1")),
    }
    source = make_source(client)
    use = await source.fetch(NOW)
    assert values_of(use, "cpus") == {4711: {"node01": pytest.approx(6.5), "node02": pytest.approx(1.0)}}
    assert values_of(use, "cpu_seconds") == {4711: {"node01": pytest.approx(3600.0)}}
    assert values_of(use, "memory_bytes") == {4712: {"node01": 1024.0}}
    assert values_of(use, "threads") == {4711: {"node01": 9.0}}
    assert gpus_of(use) == {4711: (Gpu("node01", "0", 0.5, float(GIB)),)}
    assert use.healthy_nodes == {"node01", "node02"}
    assert source.rows == 9


async def test_every_input_is_asked_once_at_one_time(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    await fetch(client)
    queries = [form["query"] for form in prometheus.queries]
    assert len(queries) == len(set(queries)) == 11
    assert {form["time"] for form in prometheus.queries} == {f"{NOW:.3f}"}
    assert all('cluster="narval"' in query for query in queries)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "1.40737488355328e+16", "1.40737488355329e+16",
                                   "9.223372036854776e+18", "", "abc", "101"])  # fmt: skip
async def test_an_impossible_utilisation_is_dropped_counted_and_the_gpu_still_seen(
    prometheus: FakePrometheus, client: PrometheusClient, value: str
) -> None:
    prometheus.answers[UTILIZATION] = vector(sample(value, gpu="0"), sample("100", gpu="1"))
    use = await fetch(client)
    assert gpus_of(use) == {4711: (Gpu("node01", "0", None), Gpu("node01", "1", 1.0))}
    assert use.rejected == {"gpu_utilization out of range": 1}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-5", "9.223372036854772e+18"])
async def test_an_impossible_memory_is_dropped_and_not_clamped(
    prometheus: FakePrometheus, client: PrometheusClient, value: str
) -> None:
    prometheus.answers[RSS] = vector(sample(value), sample("7", node="node02:9798"))
    use = await fetch(client)
    assert values_of(use, "memory_bytes") == {4711: {"node02": 7.0}}
    assert use.rejected == {"memory_bytes out of range": 1}


async def test_a_blank_framebuffer_is_dropped(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers[GPU_MEMORY] = vector(sample("9.67e+24", gpu="0"))
    use = await fetch(client)
    assert gpus_of(use) == {4711: (Gpu("node01", "0"),)}
    assert use.rejected == {"gpu_memory_bytes out of range": 1}


@pytest.mark.parametrize("job", ["", "batch", "4711_3", "-1", "12345678901", "s1TXYZ"])
async def test_a_job_id_that_is_no_number_is_dropped_and_counted(
    prometheus: FakePrometheus, client: PrometheusClient, job: str
) -> None:
    prometheus.answers[RSS] = vector(sample("5", job=job), sample("7"))
    use = await fetch(client)
    assert values_of(use, "memory_bytes") == {4711: {"node01": 7.0}}
    assert use.rejected == {"job id is not a number": 1}


async def test_labels_that_are_missing_do_no_harm(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers = {RSS: vector(({}, "5")), UTILIZATION: vector(({"slurmjobid": "4711"}, "5"))}
    use = await fetch(client)
    assert values_of(use, "memory_bytes") == {}
    assert gpus_of(use) == {4711: (Gpu("", "", 0.05),)}


async def test_two_names_of_one_node_are_one_node(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers[RSS] = vector(sample("5"), sample("7", node="node01.example:9999"), sample("6", node="node01"))
    assert values_of(await fetch(client), "memory_bytes") == {4711: {"node01": 7.0}}


async def test_mig_slices_are_told_apart_by_their_index(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers[GPU_MEMORY] = vector(sample("5", gpu="MIG-a"), sample("6", gpu="MIG-b"))
    use = await fetch(client)
    assert gpus_of(use) == {4711: (Gpu("node01", "MIG-a", None, 5.0), Gpu("node01", "MIG-b", None, 6.0))}


async def test_gpu_zero_of_two_nodes_is_two_gpus(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers[UTILIZATION] = vector(sample("5", gpu="0"), sample("6", gpu="0", node="node02"))
    assert len((gpus_of(await fetch(client)) or {})[4711]) == 2


async def test_an_input_that_fails_is_unknown_and_named(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers = {RSS: FAILURE, THREADS: vector(sample("9"))}
    use = await fetch(client)
    assert values_of(use, "memory_bytes") is None
    assert values_of(use, "threads") == {4711: {"node01": 9.0}}
    assert use.failed.keys() == {"memory_bytes"}
    assert use.failed["memory_bytes"].startswith(KEY)


@pytest.mark.parametrize("flaw", [{"warnings": ["store b: unavailable"]}, {"isPartial": True}])
async def test_an_input_of_which_half_has_come_is_unknown_and_the_others_are_there(
    prometheus: FakePrometheus, client: PrometheusClient, flaw: dict[str, Any]
) -> None:
    """The jobs of the other half would have no GPU in use, and be accused of it."""
    prometheus.answers = {UTILIZATION: {**vector(sample("5", gpu="0")), **flaw}, THREADS: vector(sample("9"))}
    use = await fetch(client)
    assert gpus_of(use) is None
    assert values_of(use, "threads") == {4711: {"node01": 9.0}}
    assert "the answer is not whole" in use.failed["gpu_utilization"]


@pytest.mark.parametrize("failed", [UTILIZATION, GPU_MEMORY])
async def test_a_gpu_input_that_fails_makes_the_gpus_unknown(
    prometheus: FakePrometheus, client: PrometheusClient, failed: str
) -> None:
    prometheus.answers = {UTILIZATION: vector(sample("5", gpu="0")), failed: FAILURE}
    assert gpus_of(await fetch(client)) is None


async def test_a_failure_of_the_health_of_nodes_makes_it_unknown(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers[UP] = FAILURE
    use = await fetch(client)
    assert use.healthy_nodes is None
    assert use.failed.keys() == {"healthy_nodes"}


async def test_when_everything_fails_so_does_the_fetch(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.everything = lambda: web.Response(status=502, text="bad gateway")
    with pytest.raises(FetchError, match=KEY):
        await fetch(client)


async def test_the_sites_job_label_is_read(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers[RSS] = vector(({"jobid": "12", "instance": "node01:9798"}, "5"))
    use = await fetch(client, labels={"slurmjobid": "jobid"})
    assert values_of(use, "memory_bytes") == {12: {"node01": 5.0}}


async def test_the_base_of_a_job_is_what_its_counters_showed_first(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {
        "timestamp(": vector(sample(str(NOW + 10)), sample(str(NOW - 5), node="node02:9798"), sample("5", job="4712")),
        CORE: vector(sample("4e12"), sample("1e9", node="node03:9798")),
        "slurm_job_memory_max": vector(sample("NaN")),
    }
    base = await make_source(client).base_of(4711, NOW)
    assert base.to_dicts() == [
        {"node": "node01", "base_at": NOW + 10, "base_cpu_seconds": pytest.approx(4000.0), "base_peak_bytes": None}
    ]
    assert {form["time"] for form in prometheus.queries} == {f"{NOW + 45:.3f}"}
    assert all('slurmjobid="4711"' in form["query"] for form in prometheus.queries)


async def test_a_base_of_which_a_counter_cannot_be_read_is_none_of_all(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {"timestamp(": vector(sample(str(NOW + 10))), CORE: FAILURE}
    with pytest.raises(FetchError, match=KEY):
        await make_source(client).base_of(4711, NOW)
