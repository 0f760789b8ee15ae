"""The same numbers from the same samples, whichever engine holds them: Prometheus 2, Prometheus 3, VictoriaMetrics."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol

import pytest

from aggregator.model.job_inputs import Use
from aggregator.model.readings import Readings
from aggregator.model.series import Lines, Span, Subject
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import (
    ExporterSettings,
    NodeNames,
    PrometheusClient,
    PrometheusPower,
    PrometheusSeries,
    PrometheusUse,
)
from aggregator.sources.prometheus.client import Endpoint
from aggregator.sources.prometheus.exporters.slurm_job_exporter import GRAPHS
from tests.lab.packages import prometheus_3
from tests.lab.prometheus import PrometheusServer
from tests.lab.remote_write import STALE, Written, remote_write
from tests.lab.victoriametrics import VictoriaMetrics
from tests.use import Gpu, comparable, gpus_of, values_of

ENGINES = ("prometheus-2", "prometheus-3", "victoriametrics")
INTERVAL, MINUTES = 30.0, 20
# A full hour that is over; samples lie a little beside it, for a range has one or both of its ends as the engine likes.
BEGIN = time.time() // 3600 * 3600 - 3600
BESIDE = 7.357
# When the job 4712 starts and the job 4713 ends, in seconds after BEGIN.
BIRTH, DEATH = 600.0, 800.0
EXPORTERS = {
    name: ExporterSettings(interval=INTERVAL)
    for name in ("slurm_job_exporter", "redfish_exporter", "node_exporter", "dcgm_exporter", "nvidia_gpu_exporter")
}
MATCHERS = {"cluster": "narval"}
NODES = NodeNames(addresses={"10.0.0.3": "n3"})


class History:
    """Series of one cluster, and a second cluster with the same names that nobody may see."""

    def __init__(self) -> None:
        self.series: list[Written] = []

    def add(
        self, name: str, value: float | Callable[[float], float], *, since: float = 0.0, until: float = 60.0 * MINUTES,
        ended: bool = False, **labels: str,
    ) -> None:  # fmt: skip
        """Write a series from `since` to `until` (seconds); value may be a function of the second."""
        samples = []
        second = since + BESIDE
        while second < until:
            samples.append((BEGIN + second, value(second) if callable(value) else value))
            second += INTERVAL
        if ended:
            samples.append((BEGIN + second, STALE))
        for cluster, factor in (("narval", 1.0), ("beluga", 3.0)):
            scaled = [(at, number * factor if number == number else STALE) for at, number in samples]
            self.series.append(({"__name__": name, "cluster": cluster, **labels}, scaled))


def add_job(of: History, job: str, node: str, *, cpus: int, since: float = 0.0, **more: Any) -> None:
    def add(name: str, value: float | Callable[[float], float], **labels: str) -> None:
        identity = {"instance": node, "job": "sje", "slurmjobid": job, "user": "u", "account": "a", **labels}
        of.add(name, value, since=since, **more, **identity)

    for core in range(cpus):
        add("slurm_job_core_usage_total", lambda at: 0.75e9 * (at - since) + 1e12, core=str(core))
    for kind in ("usage", "limit", "max", "cache", "rss"):
        add(f"slurm_job_memory_{kind}", lambda at: 1e9 + 1e6 * at)
    add("slurm_job_process_count", 5)
    add("slurm_job_threads_count", 7, state="running")
    add("slurm_job_threads_count", 9, state="sleeping")
    add("slurm_job_process_usage_total", lambda at: 0.5 * at, exe="/opt/sw/bin/simulate")


def add_gpus(of: History) -> None:
    job = {"instance": "n1:9798", "slurmjobid": "4711", "user": "u", "account": "a"}
    for index, kind, busy in (("0", "A100", 80.0), ("1", "A100", 0.0), ("MIG-3eb8", "3g.20gb", 40.0)):
        gpu = {**job, "gpu": index, "gpu_type": kind}
        of.add("slurm_job_utilization_gpu", lambda at, busy=busy: busy + at % 20 if busy else 0.0, **gpu)
        of.add("slurm_job_memory_usage_gpu", 2**34, **gpu)
        of.add("slurm_job_power_gpu", 250_000, **gpu)
        for direction in ("TX", "RX"):
            of.add("slurm_job_pcie_gpu", 5e7, **gpu, direction=direction)
    # What DCGM writes for "not supported".
    of.add("slurm_job_utilization_gpu", 1.40737488355328e16, **job, gpu="2", gpu_type="A100")


def add_nodes(of: History) -> None:
    for node in ("n1", "n2"):
        of.add("redfish_chassis_power_average_consumed_watts", lambda at: 300.0 + at % 90, instance=f"{node}-oob")
        for cpu in range(2):
            for mode, share in (("idle", 0.5), ("iowait", 0.25), ("user", 0.25)):
                of.add("node_cpu_seconds_total", lambda at, share=share: share * at, instance=f"{node}.example:9100",
                       cpu=str(cpu), mode=mode)  # fmt: skip
        of.add("node_memory_MemTotal_bytes", 2**37, instance=f"{node}:9100")
    zone = {"instance": "n3:9100", "index": "0"}
    for path in ("intel-rapl:0", "intel-rapl-mmio:0"):
        of.add("node_rapl_package_joules_total", lambda at: 80.0 * at, path=path, **zone)
    of.add("node_rapl_dram_joules_total", lambda at: 20.0 * at, path="intel-rapl:0", **zone)
    for uuid in ("GPU-a", "GPU-b"):
        for slice_id in ("1", "2"):
            of.add("DCGM_FI_DEV_POWER_USAGE", 250.0, instance="n1:9400", UUID=uuid, GPU_I_ID=slice_id)
    of.add("nvidia_gpu_power_usage_milliwatts", 90_000, instance="n2:9445", uuid="u")


def history() -> list[Written]:
    of = History()
    for node, up in (("n1:9798", 1), ("n2:9798", 1), ("10.0.0.3:9798", 1), ("n4:9798", 0)):
        of.add("up", up, instance=node, job="sje")
    add_job(of, "4711", "n1:9798", cpus=2)
    add_job(of, "4711", "10.0.0.3:9798", cpus=1)
    # The same job and node under a second account for a while, as pam_slurm_adopt makes it.
    for core in ("0", "1"):
        of.add("slurm_job_core_usage_total", lambda at: 0.75e9 * at + 1e12, until=700, ended=True, core=core,
               instance="n1:9798", job="sje", slurmjobid="4711", user="u", account="error")  # fmt: skip
    add_job(of, "4712", "n2:9798", cpus=1, since=BIRTH)
    add_job(of, "4713", "n2:9798", cpus=1, until=DEATH, ended=True)
    add_gpus(of)
    add_nodes(of)
    # What the shipped rule would have recorded, a little too large to be mistaken for the expression.
    for node, cpus in (("n1:9798", 1.5), ("10.0.0.3:9798", 0.75)):
        of.add("job_node:slurm_job_core_usage:deriv2m", 1.01e9 * cpus, slurmjobid="4711", instance=node)
    for since, job in ((BIRTH + 90, "4712"), (0.0, "4713")):
        until = DEATH if job == "4713" else 60.0 * MINUTES
        of.add("job_node:slurm_job_core_usage:deriv2m", 0.76e9, since=since, until=until, ended=job == "4713",
               slurmjobid=job, instance="n2:9798")  # fmt: skip
    return of.series


class Engine(Protocol):
    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Start the three engines, write the same samples to each, and give their addresses."""
    receive = ("--web.enable-remote-write-receiver",)
    victoria = VictoriaMetrics(tmp_path_factory.mktemp("victoria"))
    servers: dict[str, Engine] = {
        "prometheus-2": PrometheusServer(tmp_path_factory.mktemp("two"), flags=receive),
        "prometheus-3": PrometheusServer(tmp_path_factory.mktemp("three"), flags=receive, binary=prometheus_3()),
        "victoriametrics": victoria,
    }
    assert tuple(servers) == ENGINES
    try:
        for server in servers.values():
            server.start()
        written = history()
        for name, server in servers.items():
            remote_write(server.url + ("/api/v1/write"), written)
            assert name in ENGINES
        victoria.flush()
        yield {name: server.url for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()


@pytest.fixture
async def clients(engines: Mapping[str, str]) -> AsyncIterator[Mapping[str, PrometheusClient]]:
    made = {name: PrometheusClient(Endpoint(key="prometheus", url=url)) for name, url in engines.items()}
    yield made
    for client in made.values():
        await client.close()


def reference(found: Mapping[str, Any]) -> Any:
    """Take Prometheus 2's answers as what the others are compared with."""
    return found["prometheus-2"]


def flat(values: Any) -> Any:
    """Put approximate numbers in place of the numbers of a nested answer: VictoriaMetrics keeps about 15 digits."""
    if isinstance(values, float):
        return pytest.approx(values, rel=1e-9, abs=1e-9)
    if isinstance(values, dict):
        return {key: flat(value) for key, value in values.items()}
    if isinstance(values, tuple | list):
        return [flat(value) for value in values]
    return values


def use_fields(use: Use) -> dict[str, Any]:
    found = comparable(use)
    gpus = {
        job: {(gpu.node, gpu.index): [gpu.utilization, gpu.memory_bytes] for gpu in of_job}
        for job, of_job in (found["gpus"] or {}).items()
    }
    inputs = {name: values for name, values in found["values"].items() if name != "sampled_at"}
    names = ("healthy_nodes", "failed", "rejected", "cpu_window")
    return {**inputs, "gpus": gpus, **{name: found[name] for name in names}}


async def fetch(client: PrometheusClient, at: float, *, watched: float = 0.0) -> tuple[Use, dict[str, bool]]:
    """Fetch once, after having watched for some seconds if need be."""
    source = PrometheusUse(client, MATCHERS, {"slurm_job_exporter": EXPORTERS["slurm_job_exporter"]}, NODES)
    if watched:
        await source.fetch(at - watched)
    return await source.fetch(at), dict(source.features)


async def values_at(client: PrometheusClient, name: str, second: float) -> dict[int, dict[str, float]]:
    """Fetch once, so many seconds after the beginning, and give an input's values by job id and node."""
    use, _ = await fetch(client, BEGIN + second)
    values = values_of(use, name)
    assert values is not None
    return values


@pytest.mark.parametrize("second", [20.0, 100.0, 400.0, 620.0, 650.0, 790.0, 830.0, 1190.0])
async def test_every_input_of_the_refresh_is_the_same(clients: Mapping[str, PrometheusClient], second: float) -> None:
    """Early, in the middle, just after a job's start and end, and at the end of the samples."""
    found = {name: use_fields((await fetch(client, BEGIN + second))[0]) for name, client in clients.items()}
    assert reference(found)["memory_bytes"][4711]
    assert reference(found)["failed"] == {}
    for name in ENGINES:
        assert found[name] == flat(reference(found)), name


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_numbers_are_those_that_were_written(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    use, _ = await fetch(clients[engine], BEGIN + 500)
    assert values_of(use, "cpus") == {
        4711: {"n1": pytest.approx(1.5), "n3": pytest.approx(0.75)},
        4713: {"n2": pytest.approx(0.75)},
    }
    assert use.healthy_nodes == {"n1", "n2", "n3"}
    gpus = gpus_of(use)
    assert gpus
    assert {gpu.index: gpu.utilization is None for gpu in gpus[4711]} == {
        "0": False, "1": False, "2": True, "MIG-3eb8": False,
    }  # fmt: skip
    assert use.rejected == {"gpu_utilization out of range": 1}


@pytest.mark.parametrize("engine", ENGINES)
async def test_two_label_sets_of_a_job_are_one(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    """While its series have the account "error" beside its own, no core is counted twice."""
    during, after = [await values_at(clients[engine], "cpus", second) for second in (400, 1000)]
    assert during[4711]["n1"] == pytest.approx(after[4711]["n1"]) == pytest.approx(1.5)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_series_that_has_ended_is_gone_at_once(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    """The engines look back for five minutes, but not beyond the mark that a series has ended."""
    before, after = [await values_at(clients[engine], "memory_bytes", DEATH + second) for second in (-5, 30)]
    assert 4713 in before
    assert 4713 not in after


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_young_job_is_as_busy_as_it_is(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    """From two samples in a window for four."""
    cpus = await values_at(clients[engine], "cpus", BIRTH + 40)
    assert cpus[4712]["n2"] == pytest.approx(0.75)


@pytest.mark.parametrize("engine", ENGINES)
async def test_recorded_series_are_read(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    use, features = await fetch(clients[engine], BEGIN + 1100, watched=200.0)
    assert features == {"recorded:cpus": True}
    assert (values_of(use, "cpus") or {})[4711] == {"n1": pytest.approx(1.515), "n3": pytest.approx(0.7575)}


@pytest.mark.parametrize("engine", ENGINES)
async def test_recorded_series_that_stopped_are_not(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    """The last was written two minutes ago, which is within the engines' five."""
    _, features = await fetch(clients[engine], BEGIN + 60 * MINUTES + 120, watched=200.0)
    assert features == {"recorded:cpus": False}


def window_rows(readings: Readings) -> dict[str, list[Any]]:
    """Give the rows of each frame in one order."""
    frames = {"nodes": readings.nodes, "used": readings.used, "gpus": readings.gpus}
    return {name: frame.sort(frame.columns).to_dicts() for name, frame in frames.items()}


async def windows(client: PrometheusClient, count: int) -> Readings:
    power = PrometheusPower(client, MATCHERS, EXPORTERS, NODES, 60.0, {})
    # From when every rate has a whole window behind it.
    return await power.windows(BEGIN + 240, count)


async def test_the_ledgers_windows_are_the_same(clients: Mapping[str, PrometheusClient]) -> None:
    found = {name: window_rows(await windows(client, 14)) for name, client in clients.items()}
    first = {row["node"]: row for row in reference(found)["nodes"] if row["window"] == 0}
    watts = [row["watts"] for row in reference(found)["gpus"] if row["window"] == 0 and row["watts"] is not None]
    assert first["n1"]["watts"] > 300
    assert (first["n1"]["gpu_watts"], first["n1"]["gpus"]) == (500.0, 2)
    assert first["n3"]["watts"] == pytest.approx(100.0)
    assert watts == [250.0, 250.0]
    for name in ENGINES:
        assert found[name] == flat(reference(found)), name


def shown(lines: Lines) -> dict[tuple[tuple[str, str], ...], dict[float, float]]:
    return {tuple(sorted(line.labels.items())): dict(line.points) for line in lines.lines}


@pytest.mark.parametrize("step", [30.0, 120.0])
@pytest.mark.parametrize("graph", [graph.name for graph in GRAPHS if "job" in graph.by])
async def test_every_graph_is_the_same(clients: Mapping[str, PrometheusClient], graph: str, step: float) -> None:
    """Where a series has been there for a window: before, Prometheus extrapolates rates, VictoriaMetrics does not."""
    span, subject = Span(BEGIN + 240, BEGIN + 1180, step), Subject(jobs=(4711,))
    found = {}
    for name, client in clients.items():
        lines = await PrometheusSeries(client, MATCHERS, EXPORTERS, NODES).read("job", graph, subject, span)
        assert lines.warnings == ()
        found[name] = shown(lines)
    for name in ENGINES:
        assert found[name] == flat(reference(found)), name


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_sample_of_just_now_is_there(engines: Mapping[str, str], engine: str) -> None:
    """VictoriaMetrics would give what was 30 s ago, as if it were of now."""
    now = time.time()
    value = now % 1e6
    labels = {"__name__": "fresh", "cluster": "narval"}
    remote_write(engines[engine] + "/api/v1/write", [(labels, [(now - 20, 1.0), (now - 1, value)])])
    client = PrometheusClient(Endpoint(key="prometheus", url=engines[engine]))
    try:
        found: list[str] = []

        async def ask() -> None:
            found[:] = [one.value[1] for one in await client.query('fresh{cluster="narval"}', now)]

        deadline = time.monotonic() + 20
        while not found or float(found[0]) == 1.0:
            assert time.monotonic() < deadline, found
            await ask()
    finally:
        await client.close()
    assert float(found[0]) == pytest.approx(value)


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_the_engine_refuses_is_said(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    with pytest.raises(FetchError, match=r"prometheus: HTTP 4\d\d: .*") as error:
        await clients[engine].query("sum by (", BEGIN)
    assert "not the answer of a Prometheus API" not in str(error.value)


@pytest.mark.parametrize("engine", ENGINES)
async def test_no_other_cluster_is_seen(clients: Mapping[str, PrometheusClient], engine: str) -> None:
    found = await clients[engine].query("count by (cluster) (up)", BEGIN + 500)
    assert {one.metric["cluster"] for one in found} == {"narval", "beluga"}
    use, _ = await fetch(clients[engine], BEGIN + 500)
    assert Gpu("n1", "1", 0.0, 2.0**34) in (gpus_of(use) or {})[4711]
