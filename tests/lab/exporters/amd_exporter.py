"""The three exporters that show AMD's GPUs. None was run, for want of a GPU: all facts are from their sources.

**device-metrics-exporter** (port 5000; github.com/ROCm/device-metrics-exporter, v1.5: gpuagent_gpu_metrics.go,
docs/configuration/metricslist.md and configmap.md, docs/integrations/slurm-integration.md). All are gauges, with a
prefix that the site chooses (`MetricsFieldPrefix`, often `amd_`): gpu_gfx_activity and gpu_umc_activity in percent;
gpu_power_usage in W; gpu_package_power (MI3xx) or gpu_average_package_power (MI2xx) in W; gpu_energy_consumed in µJ,
cumulative; gpu_total_vram, gpu_used_vram and gpu_free_vram in "MB"; with ProfilerMetrics gpu_prof_sm_active,
gpu_prof_occupancy_percent and gpu_prof_tensor_active_percent in percent; gpu_nodes_total. Labels: gpu_id,
serial_number, card_model, gpu_partition_id, gpu_compute_partition_type, gpu_memory_partition_type, hostname, pod,
namespace, container, job_id, job_user, job_partition (those of jobs only if configured, in earlier releases); gpu_uuid
and others if configured. A prolog writes one job for each GPU. Power and energy of partitions other than 0 are 0
(etc/prometheus/rules/amd-device-metrics-gpu.rules of github.com/ceems-dev/ceems).

**amd_smi_exporter** (port 2021; github.com/amd/amd_smi_exporter: src/cpu_data.go, README.md). The GPU's index is in a
label that is called as the metric without `amd_`; `productname` came later. amd_gpu_use_percent and
amd_gpu_memory_use_percent (how busy the memory is, not how full) in percent; amd_gpu_power in µW (amd-smi-gpu.rules of
ceems) and declared a counter, as amd_gpu_power_avg before it; amd_num_gpus. It knows no jobs, no UUIDs and no bytes.

**omnistat** (port 8001; github.com/ROCm/omnistat: omnistat/collector_amdsmi.py and collector_rms.py, docs/metrics.md).
Gauges with the label `card`: rocm_utilization_percentage and rocm_vram_used_percentage in percent,
rocm_vram_total_bytes, rocm_average_socket_power_watts (and `source`, with amd-smi), rocm_energy_joules, and with
enable_cu_occupancy rocm_compute_unit_occupancy of rocm_num_compute_units. The job is on rmsjob_info only, one for the
whole node, with empty labels when none runs: jobs that share a node's GPUs cannot be told apart.

Not found: how device-metrics-exporter shows a GPU of several jobs; whether its "MB" are MiB or 10^6 bytes (MiB here);
which of several jobs of a node omnistat's squeue mode says (the newest here, as the prolog's file has).
"""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from tests.lab.behaviours import MIB
from tests.lab.exporters.activity import Activity
from tests.lab.exporters.boards import Unit
from tests.lab.exporters.text import Family, go_page

_MODEL = "AMD Instinct MI300X OAM"
_COMPUTE_UNITS = 304


def device_metrics_exporter(
    units: Sequence[Unit], *, prefix: str = "", job_labels: bool = True, profiler: bool = False
) -> str:
    """Write device-metrics-exporter's page; a slice is a partition, numbered from 0 on its board."""
    rows = [(_dme_labels(unit, units, job_labels=job_labels), _dme_values(unit, units)) for unit in units]
    if profiler:
        for (_, values), unit in zip(rows, units, strict=True):
            values |= {f"gpu_prof_{name}": 100 * unit.active(part) for name, part in _PROFILED.items()}
    names = [*rows[0][1]] if rows else []
    families = [
        Family(f"{prefix}{name}", "gauge", _DME_HELP[name], [(labels, values[name]) for labels, values in rows])
        for name in names
    ]
    count = [({"hostname": units[0].node}, len({unit.board for unit in units}))] if units else []
    return go_page([*families, Family(f"{prefix}gpu_nodes_total", "gauge", "Number of GPUs in the node", count)])


_PROFILED = {"sm_active": "sm", "occupancy_percent": "occupancy", "tensor_active_percent": "tensor"}
_DME_HELP = {
    "gpu_energy_consumed": "Accumulated energy consumed by the GPU in uJ",
    "gpu_free_vram": "Free VRAM memory of the GPU (in MB)",
    "gpu_gfx_activity": "Graphics engine usage in Percentage (0-100)",
    "gpu_package_power": "Current socket power in Watts",
    "gpu_power_usage": "GPU Power usage in Watts",
    "gpu_prof_occupancy_percent": "GPU Occupancy as Percentage of maximum",
    "gpu_prof_sm_active": "The percentage of GPUTime vector ALU instructions are processed",
    "gpu_prof_tensor_active_percent": "MFMA Utilization Unit percent",
    "gpu_total_vram": "Total VRAM memory of the GPU (in MB)",
    "gpu_umc_activity": "Memory engine usage in Percentage (0-100)",
    "gpu_used_vram": "Used VRAM memory of the GPU (in MB)",
}


def _partition(unit: Unit, units: Sequence[Unit]) -> int:
    return [each.device for each in units if each.board == unit.board].index(unit.device)


def _dme_labels(unit: Unit, units: Sequence[Unit], *, job_labels: bool) -> dict[str, str]:
    job = unit.jobs[-1] if unit.jobs else None
    of_job = {
        "job_id": str(job.key) if job else "", "job_user": job.user if job else "",
        "job_partition": job.partition if job else "",
    }  # fmt: skip
    return {
        "gpu_id": str(units.index(unit)), "serial_number": unit.serial, "card_model": "102-G30211-0C",
        "gpu_partition_id": str(_partition(unit, units)), "gpu_memory_partition_type": "nps1", "hostname": unit.node,
        "gpu_compute_partition_type": "cpx" if unit.device.slice else "spx",
        "container": "", "namespace": "", "pod": "",
        **(of_job if job_labels else {}),
    }  # fmt: skip


def _dme_values(unit: Unit, units: Sequence[Unit]) -> dict[str, float]:
    first = not _partition(unit, units)
    used, total = unit.memory // MIB, unit.memory_total // MIB
    watts = unit.watts if first else 0.0
    return {
        "gpu_gfx_activity": unit.utilization, "gpu_umc_activity": 100 * unit.active("dram"),
        "gpu_package_power": watts, "gpu_power_usage": watts,
        "gpu_energy_consumed": 1e6 * unit.joules if first else 0.0,
        "gpu_total_vram": total, "gpu_used_vram": used, "gpu_free_vram": total - used,
    }  # fmt: skip


def amd_smi_exporter(units: Sequence[Unit], *, older: bool = False) -> str:
    """Write amd_smi_exporter's page; an *older* one has no label `productname`, no use, and other names of power."""
    values: dict[str, tuple[str, list[float]]] = {
        "gpu_power_avg" if older else "gpu_power": ("counter", [round(1e6 * unit.watts) for unit in units]),
    }
    if not older:
        values["gpu_use_percent"] = ("gauge", [round(unit.utilization) for unit in units])
        values["gpu_memory_use_percent"] = ("gauge", [round(100 * unit.active("dram")) for unit in units])
    product = {} if older else {"productname": _MODEL}
    families = [
        Family(f"amd_{name}", kind, "AMD Params", [
            ({name: str(index), **product}, value) for index, value in enumerate(numbers)
        ])
        for name, (kind, numbers) in values.items()
    ]  # fmt: skip
    return go_page([*families, Family("amd_num_gpus", "gauge", "AMD Params", [({"num_gpus": ""}, len(units))])])


def omnistat(units: Sequence[Unit], jobs: Sequence[Activity], *, amd_smi: bool = True) -> Iterator[Metric]:
    """Yield omnistat's families, with occupancy; *amd_smi* is its collector that says the source of the power."""
    yield GaugeMetricFamily("rocm_num_gpus", "# of GPUS available on host", value=len(units))
    shown: Mapping[str, Sequence[float]] = {
        "rocm_utilization_percentage": [round(unit.utilization) for unit in units],
        "rocm_vram_total_bytes": [unit.memory_total for unit in units],
        "rocm_vram_used_percentage": [round(100 * unit.memory / unit.memory_total, 4) for unit in units],
        "rocm_energy_joules": [unit.joules for unit in units],
        "rocm_num_compute_units": [_COMPUTE_UNITS for _ in units],
        "rocm_compute_unit_occupancy": [round(_COMPUTE_UNITS * unit.active("occupancy")) for unit in units],
    }
    for name, values in shown.items():
        family = GaugeMetricFamily(name, name.removeprefix("rocm_"), labels=("card",))
        for index, value in enumerate(values):
            family.add_metric((str(index),), value)
        yield family
    source = ("source",) if amd_smi else ()
    power = GaugeMetricFamily("rocm_average_socket_power_watts", "average_socket_power", labels=("card", *source))
    for index, unit in enumerate(units):
        power.add_metric((str(index), *(("current_socket_power",) if amd_smi else ())), round(unit.watts))
    yield power
    yield _rmsjob_info(jobs)


def _rmsjob_info(jobs: Sequence[Activity]) -> Metric:
    labels = ("jobid", "user", "partition", "nodes", "batchflag", "jobstep", "type")
    family = GaugeMetricFamily("rmsjob_info", "RMS job details", labels=labels)
    if jobs:
        newest = min(jobs, key=lambda job: (job.elapsed, job.key))
        family.add_metric((str(newest.key), newest.user, newest.partition, "1", "1", "-1", "slurm"), 1)
    else:
        family.add_metric(("",) * len(labels), 1)
    return family
