"""What Prometheus is asked is compared word by word with what it was asked before."""

from pathlib import Path

import pytest

from .every_query import Site, default_site, metrics_of, page, renamed_site, site_of_inputs
from .test_promql import check_with_promtool

PAGES = Path(__file__).parents[2] / "data" / "queries"
# Every label of an exporter that is read.
LABELS = """
    slurmjobid user account core gpu gpu_type state exe direction jobid target operation component fs node cpu mode
    device port mountpoint fstype path index socket thread source power_voltage power_votage power_voltage_id
    power_votage_id chassis_id UUID uuid GPU_I_ID hpc_job collector vcpu interface instance_name project_name
    user_name instance_type fileset group cgroup step task gpuuuid gpuiid
    manager job_id gpu_compute_partition_type gpu_uuid gpu_id serial_number
"""
# What a site may rename by what is read of it, not by the metric.
INPUTS = """
    cpus cpu_seconds sampled_at memory_bytes memory_peak_bytes threads gpu_utilization gpu_memory_bytes healthy_nodes
    gpu_nodes job_gpu_watts read write metadata coverage load1 memory_total_bytes memory_available_bytes scratch_bytes
    node_watts gpu_watts gpus job_utilization job_memory job_watts account_levelfs package_watts dram_watts
"""


def renamed() -> Site:
    """Rename all that a site may rename."""
    metrics = metrics_of((PAGES / "default.txt").read_text())
    return renamed_site({name: f"site:{name}" for name in metrics}, {name: f"site_{name}" for name in LABELS.split()})


SITES = {"default": default_site, "renamed": renamed, "inputs": lambda: site_of_inputs(INPUTS.split())}


@pytest.mark.parametrize("name", SITES)
async def test_what_prometheus_is_asked_stays_as_it_is_and_is_promql(
    name: str, update_golden: bool, tmp_path: Path
) -> None:
    queries = await SITES[name]().queries()
    asked, file = page(queries), PAGES / f"{name}.txt"
    if update_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(asked)
    assert asked.splitlines() == file.read_text().splitlines(), "run pytest --update-golden tests/unit/sources"
    result = check_with_promtool([query for each in queries.values() for query in dict.fromkeys(each)], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_page_names_each_metric_that_is_asked_for() -> None:
    text = (PAGES / "default.txt").read_text()
    assert {"slurm_job_core_usage_total", "gpfs_fileset_limit_files", "OS_ID", "slurm_nodes_mix"} <= {*metrics_of(text)}
    assert not {name for name in metrics_of(text) if name.startswith("hpc_") or name == "up"}
