"""What the ledger reads of a real Prometheus: units, means, gaps, faults and node names of each exporter."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aggregator.model.readings import NodeSize, Readings
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusPower
from aggregator.sources.prometheus.client import Endpoint
from tests.lab.packages import program
from tests.lab.prometheus import PrometheusServer

# Ten minutes of samples that end a while ago, at a full hour plus ten minutes.
BEGIN = 1_795_000_000.0 - 1_795_000_000.0 % 3600
MINUTES = 10
EXPORTERS = {
    "slurm_job_exporter": ExporterSettings(interval=30.0),
    "redfish_exporter": ExporterSettings(interval=90.0),
    "node_exporter": ExporterSettings(interval=30.0),
    "dcgm_exporter": ExporterSettings(interval=30.0),
    "nvidia_gpu_exporter": ExporterSettings(interval=30.0),
}
REDFISH = "redfish_chassis_power_average_consumed_watts"


class History:
    """Samples in OpenMetrics, one family at a time."""

    def __init__(self) -> None:
        self.families: dict[str, list[str]] = {}

    def add(self, name: str, labels: str, step: float, value: object, since: float = 0.0, until: float = 600.0) -> None:
        """Write a series from `since` to `until` seconds; value may be a function of the second."""
        lines = self.families.setdefault(name, [])
        second = since
        while second <= until:
            number = value(second) if callable(value) else value
            lines.append(f'{name}{{cluster="narval",{labels}}} {number} {BEGIN + second:.3f}')
            second += step

    def text(self) -> str:
        return "\n".join(line for lines in self.families.values() for line in lines) + "\n# EOF\n"


def history() -> History:
    of = History()
    # One node with two PowerControl members, seen by two scrape jobs; one whose BMC falls silent; one that says 0.
    for job in ("redfish", "redfish-again"):
        for member, watts in (("0", 600.0), ("1", 100.0)):
            labels = f'instance="n1-oob",job="{job}",chassis_id="c",power_voltage_id="{member}"'
            of.add(REDFISH, labels, 90, watts)
    of.add(REDFISH, 'instance="n2-oob",chassis_id="c"', 90, 200.0, until=180)
    of.add(REDFISH, 'instance="n3-oob",chassis_id="c"', 90, 0)
    rapl = 'instance="n3:9100",index="0",path="/sys/class/powercap/intel-rapl'
    of.add("node_rapl_package_joules_total", f'{rapl}:0"', 30, lambda second: 80.0 * second)
    of.add("node_rapl_package_joules_total", f'{rapl}-mmio:0"', 30, lambda second: 80.0 * second)
    of.add("node_rapl_dram_joules_total", f'{rapl}:0"', 30, lambda second: 20.0 * second)
    for cpu in range(4):
        for mode, share in (("idle", 0.5), ("iowait", 0.25), ("user", 0.25)):
            labels = f'instance="n1:9100",cpu="{cpu}",mode="{mode}"'
            of.add("node_cpu_seconds_total", labels, 30, lambda second, share=share: share * second)
    of.add("node_memory_MemTotal_bytes", 'instance="n1:9100"', 30, 2**37)
    job = 'instance="n1:9798",slurmjobid="4711",user="a",account="b"'
    of.add("slurm_job_memory_usage", f'{job},job="sje"', 30, 1)
    of.add("up", 'instance="n1:9798",job="sje"', 30, 1)
    of.add("up", 'instance="n2:9798",job="sje"', 30, 0)
    of.add("slurm_job_core_usage_total", f'{job},core="0"', 30, lambda second: 1e9 * second)
    of.add("slurm_job_memory_rss", job, 30, lambda second: 2e9 if second <= 60 else 4e9)
    of.add("slurm_job_utilization_gpu", f'{job},gpu="0"', 30, lambda second: 100 if second % 60 else 0)
    of.add("slurm_job_utilization_gpu", f'{job},gpu="1"', 30, 1.40737488355328e16)
    of.add("slurm_job_power_gpu", f'{job},gpu="0"', 30, 250_000)
    of.add("slurm_job_power_gpu", f'{job},gpu="MIG-3eb8"', 30, 171_000)
    for uuid, power in (("GPU-a", 250.0), ("GPU-b", 60.0)):
        of.add("DCGM_FI_DEV_POWER_USAGE", f'instance="n1:9400",UUID="{uuid}",GPU_I_ID="1"', 30, power)
        of.add("DCGM_FI_DEV_POWER_USAGE", f'instance="n1:9400",UUID="{uuid}",GPU_I_ID="2"', 30, power)
        of.add("DCGM_FI_DEV_POWER_USAGE", f'instance="n6:9400",uuid="{uuid}"', 30, power)
    for member in ("0", "1"):
        of.add(REDFISH, f'instance="n6-oob",chassis_id="c",power_votage_id="{member}"', 90, 400.0)
    of.add("nvidia_gpu_power_usage_milliwatts", 'instance="n4:9445",uuid="u"', 30, 90_000)
    of.add("nvidia_gpu_power_usage_milliwatts", 'instance="n4:9445",uuid="MIG",GPU_I_ID="3"', 30, 90_000)
    return of


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder: Path = tmp_path_factory.mktemp("power")
    server = PrometheusServer(folder)
    (folder / "history.om").write_text(history().text())
    server.folder.mkdir()
    promtool = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*promtool, folder / "history.om", server.folder / "data"], check=True, capture_output=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(prometheus: PrometheusServer) -> AsyncIterator[PrometheusClient]:
    client = PrometheusClient(Endpoint(key="clusters.narval.prometheus", url=prometheus.url))
    yield client
    await client.close()


def make_power(
    client: PrometheusClient, known: dict[str, NodeSize] | None = None, **changes: object
) -> PrometheusPower:
    exporters = {name: settings for name, settings in {**EXPORTERS, **changes}.items() if settings}
    return PrometheusPower(client, {"cluster": "narval"}, exporters, NodeNames(), 60.0, known or {})


async def read(client: PrometheusClient, minute: int, **changes: Any) -> Readings:
    return await make_power(client, **changes).windows(BEGIN + 60 * minute, 1)


def nodes_of(readings: Readings, window: int = 0) -> Mapping[str, Any]:
    """Give the rows of a window by node."""
    return {row["node"]: row for row in readings.nodes.filter(window=window).iter_rows(named=True)}


def shown(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Give the rows in which all of these columns are known."""
    return sorted(frame.select(columns).drop_nulls().rows())


async def node(client: PrometheusClient, minute: int, name: str, **changes: Any) -> Any:
    return nodes_of(await read(client, minute, **changes))[name]


async def test_the_members_of_a_bmc_are_added_up_and_two_scrapes_of_it_are_one(client: PrometheusClient) -> None:
    assert (await node(client, 5, "n1"))["watts"] == 700.0


async def test_a_value_holds_for_two_intervals_and_no_longer(client: PrometheusClient) -> None:
    """The last sample is of second 180: it holds until 360, after that the time is not covered."""
    windows = await make_power(client).windows(BEGIN + 60, MINUTES)
    found = [nodes_of(windows, number).get("n2", {}) for number in range(MINUTES)]

    assert [each.get("watts") for each in found] == [200.0] * 6 + [None] * 4
    assert [each["covered"] for each in found[:6]] == [1.0] * 5 + [0.5]


async def test_a_bmc_that_says_0_is_not_believed_and_rapl_takes_its_place(client: PrometheusClient) -> None:
    found = await node(client, 5, "n3")

    assert found["watts"] == pytest.approx(100.0)
    assert found["dram_share"] == pytest.approx(0.2)
    assert (found["meter"], found["lacks_gpus"], found["covered"]) == ("rapl", True, 1.0)


async def test_the_size_and_the_busy_cpus_of_a_node(client: PrometheusClient) -> None:
    found = await node(client, 5, "n1")

    assert (found["cpus"], found["memory_bytes"]) == (4.0, 2.0**37)
    assert found["busy_cpus"] == pytest.approx(1.0)


async def test_a_board_counts_once_whatever_its_slices_say(client: PrometheusClient) -> None:
    readings = await read(client, 5)
    nodes = nodes_of(readings)

    assert (nodes["n1"]["gpu_watts"], nodes["n1"]["gpus"]) == (310.0, 2)
    assert (nodes["n4"]["gpu_watts"], nodes["n4"]["gpus"]) == (90.0, 1)
    assert shown(readings.gpus, "job_id", "node", "watts") == [(4711, "n1", 250.0)]


async def test_both_spellings_of_a_label_are_read(client: PrometheusClient) -> None:
    """Without its label two boards, or two members of a BMC, would be one."""
    found = await node(client, 5, "n6")

    assert (found["watts"], found["gpu_watts"], found["gpus"]) == (800.0, 310.0, 2)


async def test_means_over_the_window_and_impossible_values(client: PrometheusClient) -> None:
    readings = await read(client, 2)

    assert shown(readings.gpus, "job_id", "node", "utilization") == [(4711, "n1", 0.5)]
    assert shown(readings.used, "job_id", "node", "used_cpus") == [(4711, "n1", pytest.approx(1.0))]


async def test_who_answers_vouches_for_what_its_jobs_do_not_show(client: PrometheusClient) -> None:
    """Of GPUs only an exporter that has shown one."""
    nodes = nodes_of(await read(client, 2))
    vouch = {name: [row[f"vouches_{of}"] for of in ("cpus", "memory", "gpus")] for name, row in nodes.items()}

    assert {name for name, of in vouch.items() if any(of)} == {"n1"}
    assert vouch["n1"] == [True, True, True]


async def test_the_power_at_rest_is_asked_at_the_full_hour(client: PrometheusClient) -> None:
    """It is that of the host, without its GPUs. At the hour itself there was one sample, which is its own quantile."""
    windows = await make_power(client).windows(BEGIN + 60, MINUTES)

    assert set(windows.nodes.filter(node="n1")["static_watts"]) == {700.0 - 310.0}


async def test_what_the_configuration_says_of_a_node_wins(client: PrometheusClient) -> None:
    found = await node(client, 5, "n1", known={"n1": NodeSize(cpus=2.0, static_watts=75.0)})

    assert (found["cpus"], found["static_watts"]) == (2.0, 75.0)
    assert found["memory_bytes"] == 2.0**37


async def test_windows_read_at_once_and_one_by_one_are_equal(client: PrometheusClient) -> None:
    """Or a service that catches up would come to other totals than one that was never stopped."""
    together = await make_power(client).windows(BEGIN + 60, MINUTES)
    for number in range(MINUTES):
        alone = await read(client, number + 1)
        for name in ("nodes", "used", "gpus"):
            part = getattr(together, name).filter(window=number).with_columns(window=pl.lit(0, dtype=pl.Int32))
            assert_frame_equal(part, getattr(alone, name), check_row_order=False, check_exact=True)


async def test_exporters_that_are_not_configured_are_not_asked(client: PrometheusClient) -> None:
    found = (await read(client, 5, redfish_exporter=None, node_exporter=None, dcgm_exporter=None)).nodes

    assert found["watts"].null_count() == len(found)
    assert set(found["node"]) == {"n1", "n4"}


async def test_a_time_of_which_prometheus_holds_nothing_is_empty(client: PrometheusClient) -> None:
    readings = await make_power(client).windows(BEGIN - 86_400, 1)

    assert (len(readings.nodes), len(readings.used), len(readings.gpus)) == (0, 0, 0)


async def test_one_query_that_fails_fails_all(client: PrometheusClient) -> None:
    """Half of the inputs would be added up for ever."""
    broken = ExporterSettings(interval=90.0, metrics={"node_watts": "no metric at all("})
    with pytest.raises(FetchError, match="bad_data"):
        await asyncio.wait_for(make_power(client, redfish_exporter=broken).windows(BEGIN + 60, 1), 60)
