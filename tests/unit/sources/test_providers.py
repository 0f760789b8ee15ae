"""Several exporters of jobs on one cluster: what each is asked, and what is there while one of them fails."""

from typing import Any

import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus, sample, vector

from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusUse
from aggregator.sources.prometheus.catalogue import PROVIDERS
from tests.builders import NOW
from tests.use import gpus_of, values_of

OURS, CGROUP, DCGM = "slurm_job_memory_rss", "cgroup_memory_rss_bytes", "DCGM_FI_DEV_GPU_UTIL"
CGROUP_UP, GPU = '{13})"})))[1h', "slurm_job_utilization_gpu{"
FAILURE = web.Response(status=500, text="oops")


def source(client: PrometheusClient, *names: str, **changes: Any) -> PrometheusUse:
    settings = {name: ExporterSettings() for name in names}
    return PrometheusUse(client, {"cluster": "narval"}, settings, NodeNames(), patience=300.0, **changes)


def cgroup(value: str, node: str = "node01:9306", job: str = "4711") -> tuple[dict[str, str], str]:
    return {"jobid": job, "instance": node}, value


async def test_no_exporter_is_asked_that_is_not_in_use_and_each_is_asked_once_however_many_jobs_there_are(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    asked = {}
    for jobs in (1, 300):
        prometheus.answers = {OURS: vector(*(sample("1", job=str(number)) for number in range(1, jobs + 1)))}
        for names in (("slurm_job_exporter",), ("slurm_job_exporter", "cgroup_exporter")):
            prometheus.queries.clear()
            await source(client, *names).fetch(NOW)
            asked[jobs, names] = sorted(form["query"] for form in prometheus.queries)
    for names in (("slurm_job_exporter",), ("slurm_job_exporter", "cgroup_exporter")):
        assert asked[1, names] == asked[300, names]
        assert any("cgroup_" in query for query in asked[1, names]) == ("cgroup_exporter" in names)
    of_cgroup = PROVIDERS["cgroup_exporter"]
    more = set(asked[1, ("slurm_job_exporter", "cgroup_exporter")]) - set(asked[1, ("slurm_job_exporter",)])
    assert len(more) == len(of_cgroup.values) + 1


@pytest.mark.parametrize(("first", "expected"), [({}, 5.0), ({"memory": ("cgroup_exporter",)}, 7.0)])
async def test_a_site_says_whose_value_it_is_where_both_show_it(
    prometheus: FakePrometheus, client: PrometheusClient, first: dict[str, Any], expected: float
) -> None:
    prometheus.answers = {OURS: vector(sample("5")), CGROUP: vector(cgroup("7"), cgroup("9", "node02:9306"))}
    use = await source(client, "slurm_job_exporter", "cgroup_exporter", first=first).fetch(NOW)
    assert values_of(use, "memory_bytes") == {4711: {"node01": expected, "node02": 9.0}}


async def test_what_one_of_them_failed_to_answer_is_as_it_was_and_the_others_are_new(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    both = source(client, "slurm_job_exporter", "cgroup_exporter")
    prometheus.answers = {OURS: vector(sample("5")), CGROUP: vector(cgroup("7", "node02:9306"))}
    await both.fetch(NOW)
    prometheus.answers = {OURS: vector(sample("6")), CGROUP: FAILURE}
    use = await both.fetch(NOW + 30)
    assert values_of(use, "memory_bytes") == {4711: {"node01": 6.0, "node02": 7.0}}
    assert (use.oldest, list(use.failed)) == (NOW, ["cgroup_exporter:memory_bytes"])
    times = {each.exporter: each.at for each in use.questions["memory_bytes"]}
    assert times == {"slurm_job_exporter": NOW + 30, "cgroup_exporter": NOW}


async def test_another_exporter_that_answers_does_not_vouch_for_gpus(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    """Its node has shown GPUs; the exporter that showed them is down, and would be needed to see that none is used."""
    both = source(client, "slurm_job_exporter", "cgroup_exporter")
    up = vector(({"instance": "node01:1"}, "1"))
    prometheus.answers = {GPU: vector(sample("50", gpu="0")), "exporter_port": up}
    use = await both.fetch(NOW)
    assert (use.gpu_nodes, use.healthy_nodes) == ({"node01"}, {"node01"})
    prometheus.answers = {CGROUP_UP: up}
    use = await both.fetch(NOW + 30)
    assert (use.gpu_nodes, use.healthy_nodes) == (frozenset(), {"node01"})
    assert gpus_of(use) == {}


async def test_where_nobody_vouches_for_gpus_nothing_is_said_of_those_that_have_no_series(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {DCGM: vector(({"hpc_job": "4711", "UUID": "GPU-1", "instance": "node01:9400"}, "50"))}
    use = await source(client, "dcgm_exporter").fetch(NOW)
    assert (use.gpu_nodes, use.healthy_nodes, use.values) == (None, None, {})
    assert [gpu.utilization for gpu in (gpus_of(use) or {})[4711]] == [0.5]
