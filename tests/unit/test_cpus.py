"""The CPUs that a container has, from a tree of files as the kernel shows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aggregator.cpus import limit_polars, usable_cpus


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


def tree(root: Path, membership: str, **files: str) -> Path:
    """Write /proc/self/cgroup, and files by their path below /sys/fs/cgroup."""
    for path, text in {"proc/self/cgroup": membership, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("5000 100000\n", 1), ("max 100000\n", 16),
     ("9900000 100000\n", 16),
     ("0 100000\n", 16), ("100000 0\n", 16), ("", 16), ("nonsense\n", 16), ("1 2 3\n", 16)],
)  # fmt: skip
def test_a_container_has_the_cpus_of_its_limit(tmp_path: Path, limit: str, cpus: int) -> None:
    assert usable_cpus(tree(tmp_path, "0::/\n", **{"cpu.max": limit})) == cpus


def test_the_smallest_limit_of_the_groups_above_counts(tmp_path: Path) -> None:
    tree(tmp_path, "0::/kubepods/pod1/one\n", **{"kubepods/pod1/one/cpu.max": "800000 100000\n"})
    assert usable_cpus(tmp_path) == 8
    tree(tmp_path, "0::/kubepods/pod1/one\n", **{"kubepods/pod1/cpu.max": "300000 100000\n"})
    assert usable_cpus(tmp_path) == 3
    tree(tmp_path, "0::/kubepods/pod1/one\n", **{"kubepods/cpu.max": "max 100000\n", "other/cpu.max": "1 1\n"})
    assert usable_cpus(tmp_path) == 3


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
@pytest.mark.parametrize("folder", ["docker/abc/", ""])
def test_version_1_has_two_files(tmp_path: Path, controllers: str, folder: str) -> None:
    top = f"{controllers}/{folder}"
    files = {f"{top}cpu.cfs_quota_us": "400000\n", f"{top}cpu.cfs_period_us": "100000\n"}
    membership = f"4:memory:/docker/abc\n3:{controllers}:/docker/abc\n0::/\n"
    assert usable_cpus(tree(tmp_path, membership, **files)) == 4
    assert usable_cpus(tree(tmp_path, membership, **{f"{top}cpu.cfs_quota_us": "-1\n"})) == 16


def test_without_control_groups_the_bound_cpus_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cpus(tmp_path) == 16
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_cpus(tree(tmp_path, "0::/\n", **{"cpu.max": "800000 100000\n"})) == 1


def test_a_path_out_of_the_tree_is_no_path(tmp_path: Path) -> None:
    """A process of another name space is shown with "..", as the kernel writes it."""
    assert usable_cpus(tree(tmp_path, "0::/../../other\n", **{"cpu.max": "100000 100000\n"})) == 1


def test_polars_has_as_many_threads_as_there_are_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    limit_polars()
    assert os.environ["POLARS_MAX_THREADS"] == str(usable_cpus())
    monkeypatch.setenv("POLARS_MAX_THREADS", "5")
    limit_polars()
    assert os.environ["POLARS_MAX_THREADS"] == "5"


def test_polars_obeys() -> None:
    program = "from aggregator import cpus; cpus.limit_polars(); import polars; print(polars.thread_pool_size())"
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
