"""What the expressions of clouds and quotas give, evaluated by Prometheus' own engine."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.sources.prometheus.exporters import gpfs_exporter, lfs_quota_exporter
from aggregator.sources.prometheus.exporters import libvirtd_exporter as libvirtd
from aggregator.sources.prometheus.expression import Expression, Graph
from aggregator.sources.prometheus.nodes import one_of
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings
from tests.lab.packages import promtool

SETTINGS = ExporterSettings(interval=30.0)
INPUTS = {item.name: item for item in libvirtd.NOW_INPUTS}
IDLE = {item.name: item for item in libvirtd.IDLE_INPUTS}
STALE = "stale"
# Half a CPU: 15 s of it every 30 s, in nanoseconds.
HALF = 15_000_000_000


def vcpu(hypervisor: str, values: str, name: str = "web", number: str = "0") -> dict[str, str]:
    labels = f'uuid="u",instance_name="{name}",project_name="p",instance="{hypervisor}:9474",vcpu="{number}"'
    return {"series": f"libvirtd_domain_vcpu_time{{{labels}}}", "values": values}


def gpfs(value: str, fileset: str, number: float, instance: str = "n1", group: str = "g") -> dict[str, str]:
    labels = f'fs="project",fileset="{fileset}",group="{group}",instance="{instance}:9303"'
    return {"series": f"gpfs_group_{value}_bytes{{{labels}}}", "values": f"{number}x20"}


def failed(kind: str, instance: str) -> dict[str, str]:
    labels = f'collector="mmrepquota",instance="{instance}:9303"'
    return {"series": f"gpfs_exporter_collect_{kind}{{{labels}}}", "values": "1x20"}


def check(
    folder: Path, item: Expression, series: list[dict[str, str]], at: str, expected: Mapping[str, float], *picked: Any
) -> None:
    """Let promtool evaluate a graph's expression at a time, and compare its samples by their labels."""
    expression = promql(item, {}, SETTINGS, "instance", 6000.0, picked)
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    test = {"interval": "30s", "input_series": series,
            "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": samples}]}  # fmt: skip
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "30s", "tests": [test]}))
    result = subprocess.run([promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "series",
    [
        [vcpu("hv01", f"0+{HALF}x20")],
        [vcpu("hv01", f"_x16 1000+{HALF}x4")],
        [vcpu("hv01", f"0+{HALF}x20"), vcpu("hv02", f"0+{HALF}x20")],
        [vcpu("hv01", f"0+{HALF}x18 {STALE}"), vcpu("hv02", f"_x18 0+{HALF}x2")],
        [vcpu("hv01", f"0+{HALF}x18 {STALE}", "old name"), vcpu("hv01", f"_x18 {19 * HALF}+{HALF}x2", "new name")],
    ],
    ids=["steady", "came within the window", "on two hypervisors", "moved", "renamed"],
)
def test_half_a_cpu_is_half_a_cpu(tmp_path: Path, series: list[dict[str, str]]) -> None:
    check(tmp_path, INPUTS["used_cpus"], series, "10m", {'{uuid="u"}': 5e8})


def test_a_reboot_is_no_use_below_zero_nor_a_jump(tmp_path: Path) -> None:
    """Over a reset the rate is right, and it counts from 0."""
    series = [vcpu("hv01", f"{HALF * 1000}+{HALF}x18 0+{HALF}x2")]
    # Five samples in two minutes: 4 steps, of which the one of the reset is 0.
    check(tmp_path, INPUTS["used_cpus"], series, "10m", {'{uuid="u"}': 3.75e8})


def test_vcpus_are_counted_once(tmp_path: Path) -> None:
    series = [vcpu(hypervisor, "5x20", number=number) for hypervisor in ("hv01", "hv02") for number in ("0", "1")]
    check(tmp_path, INPUTS["vcpus"], series, "10m", {'{uuid="u"}': 2.0})


def test_an_instance_that_moved_did_what_it_did_on_both_hypervisors(tmp_path: Path) -> None:
    """Else one that was busy until it moved would look idle."""
    series = [vcpu("hv01", f"0+{HALF}x200 {STALE}"), vcpu("hv02", "_x201 0x50")]
    assert "[6000s:60s]" in promql(IDLE["cpu_seconds"], {}, SETTINGS, "instance", 6000.0)
    check(tmp_path, IDLE["cpu_seconds"], series, "100m", {'{uuid="u"}': 200.0 * HALF})


def test_points_of_an_instance_that_came_lately_are_few(tmp_path: Path) -> None:
    state = {"series": 'libvirtd_domain_domain_state{uuid="u",instance="hv01"}', "values": "_x180 1x20"}
    check(tmp_path, IDLE["seen"], [state], "100m", {'{uuid="u"}': 11.0})


def graph(name: str, kind: str = "gpfs_group") -> Graph:
    return next(
        each for each in (*gpfs_exporter.GRAPHS, *lfs_quota_exporter.GRAPHS) if each.name == name and kind in each.by
    )


def test_filesets_are_added_up_each_once_though_two_nodes_show_them(tmp_path: Path) -> None:
    series = [gpfs("used", fileset, size, node) for fileset, size in (("a", 5), ("b", 7)) for node in ("n1", "n2")]
    check(tmp_path, graph("used_bytes"), series, "5m", {'{group="g"}': 12.0}, ("fs", "=", "project"))
    check(tmp_path, graph("used_bytes"), series, "5m", {'{group="g"}': 7.0}, one_of("fileset", ["b", "c"]))


def test_a_sum_of_limits_of_which_one_is_none_is_none(tmp_path: Path) -> None:
    some = [gpfs("quota", "a", 5), gpfs("quota", "b", 0), gpfs("quota", "a", 9, group="h")]
    check(tmp_path, graph("quota_bytes"), some, "5m", {'{group="h"}': 9.0})


@pytest.mark.parametrize("kind", ["error", "timeout"])
def test_what_a_node_shows_beside_a_failed_collection_does_not_count(tmp_path: Path, kind: str) -> None:
    series = [gpfs("used", "a", 5, "n1"), gpfs("used", "a", 4, "n2"), failed(kind, "n1")]
    check(tmp_path, graph("used_bytes"), series, "5m", {'{group="g"}': 4.0}, ("fs", "=", "project"))
    check(tmp_path, gpfs_exporter.FAILING, series, "5m", {'{instance="n1:9303"}': 1.0})


def test_a_quota_that_two_exporters_show_counts_once(tmp_path: Path) -> None:
    series = [
        {"series": f'lfs_quota_kbytes{{path="/p/",group="g",instance="{node}"}}', "values": "7x20"} for node in "ab"
    ]
    check(tmp_path, graph("used_bytes", "lfs_group"), series, "5m", {'{group="g"}': 7.0})


@pytest.mark.parametrize(
    "series",
    [
        [vcpu("hv01", f"0+{HALF}x200")],
        [vcpu("hv01", f"0+{HALF}x100 {STALE}"), vcpu("hv02", f"_x100 0+{HALF}x100")],
        [vcpu("hv01", f"0+{HALF}x100 {STALE}"), vcpu("hv01", f"_x100 {HALF * 100}+{HALF}x100", "new name")],
    ],
    ids=["steady", "moved", "renamed"],
)
def test_two_replicas_of_prometheus_make_no_instance_busier(tmp_path: Path, series: list[dict[str, str]]) -> None:
    """Nor does an instance lose what it did under another name or elsewhere."""
    item = {each.name: each for each in libvirtd.IDLE_INPUTS}["cpu_seconds"]
    copies = [
        {**each, "series": each["series"].replace("{", f'{{prometheus_replica="{replica}",')}
        for each in series
        for replica in ("a", "b")
    ]
    expression = promql(item, {}, SETTINGS, "instance", 6000.0)
    # 100 min at half a CPU; the step over the change is in no series.
    test = {"interval": "30s", "input_series": copies, "promql_expr_test": [
        {"expr": f"{expression} > bool 2.9e12 and {expression} < 3.1e12", "eval_time": "100m",
         "exp_samples": [{"labels": '{uuid="u"}', "value": 1}]}]}  # fmt: skip
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "30s", "tests": [test]}))
    result = subprocess.run([promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
