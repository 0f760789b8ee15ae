"""The lab's simulators print what the programs printed that they stand for (tests/data/expositions)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

from tests.lab.behaviours import MIB, Behaviour
from tests.lab.exporters.activity import Activity
from tests.lab.exporters.boards import Device, Meter, Slice, Unit, units
from tests.lab.exporters.cgroup_exporter import Cgroups, plazonic, treydock
from tests.lab.exporters.nvidia_gpu_exporter import Style, nvidia_gpu_exporter
from tests.lab.exporters.slurm_job_exporter import slurm_job_exporter
from tests.lab.feed import NodeShare
from tests.unit.lab.shapes import helps, shape

RECORDED = Path(__file__).resolve().parents[2] / "data" / "expositions"
V1 = Cgroups(version=1)


def job(key: int, uid: int, behaviour: Behaviour, *, cpus: int = 4, gpus: tuple[int, ...] = ()) -> Activity:
    share = NodeShare(tuple(range(cpus)), 1024 * MIB, len(gpus), gpus)
    return Activity(key, "", "def-bio", 1800.0, share, behaviour, uid)


# Of the page: an hour of CPU time, 300 and 200 MiB in memory, 100 and 50 MiB of files.
JOBS = [
    job(64, 1001, Behaviour(cpu=0.5, rss_per_cpu=75 * MIB, cache=100 * MIB)),
    job(65, 1002, Behaviour(cpu=0.5, rss_per_cpu=50 * MIB, cache=50 * MIB)),
]
# One board for a job, and one in two slices of which the prolog names only the board.
DEVICES = (Device(0), Device(1, Slice(1, "3g.20gb", 3 / 7)), Device(1, Slice(2, "3g.20gb", 3 / 7)))
ON_GPUS = [
    job(67, 1001, Behaviour(gpu=(20.0,)), gpus=(0,)),
    job(68, 1004, Behaviour(gpu=(30.0,)), gpus=(1,)),
]


def gpus(jobs: list[Activity]) -> list[Unit]:
    return units("gpu01", DEVICES, jobs, Meter(), 0.0)


PAGES: dict[str, Callable[[], str]] = {
    "cgroup-exporter-plazonic": lambda: plazonic(JOBS, V1),
    "cgroup-exporter-treydock": lambda: treydock(JOBS, V1, processes=True),
    "nvidia-gpu-exporter-b": lambda: nvidia_gpu_exporter(gpus([]), style=Style.VALUE),
    "nvidia-gpu-exporter-head-mig": lambda: nvidia_gpu_exporter(gpus(ON_GPUS), slices_named=False),
}


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.prom").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_metrics_types_and_labels_of_the_real_one(name: str) -> None:
    page = PAGES[name]()
    assert shape(page) == shape(recorded(name))
    assert helps(page) == helps(recorded(name))


def test_numbers_are_written_as_the_program_writes_them() -> None:
    """Line by line, for what the tree of cgroups had: no modes of CPU time, no limits."""
    metrics = ("cpu_total_seconds", "cpus", "memory_cache_bytes", "memory_fail_count", "memory_rss_bytes", "uid")
    wanted = [line for line in recorded("cgroup-exporter-plazonic").splitlines() if line.startswith(
        tuple(f"cgroup_{name}{{" for name in metrics))]  # fmt: skip
    page = plazonic(JOBS, V1).splitlines()
    assert len(wanted) == 2 * len(metrics)
    assert [line for line in wanted if line not in page] == []


class _Families:
    """What the encoder takes for a registry."""

    def collect(self) -> Iterator[Metric]:
        return slurm_job_exporter([replace(each, user="alice") for each in ON_GPUS], blank=False)


def test_slurm_job_exporters_page_has_the_metrics_types_and_labels_of_the_real_one() -> None:
    """But for executables, which it shows after a minute of CPU time."""
    page = shape(generate_latest(_Families()).decode())
    del page["slurm_job_process_usage_total"]
    assert page == shape(recorded("slurm-job-exporter-dcgm"))
