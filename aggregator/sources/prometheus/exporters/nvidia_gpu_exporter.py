"""Inputs from nvidia_gpu_prometheus_exporter with its forks: every GPU of a node, and which job has it.

Slurm's prolog says which. There is a label `jobid` from v0.2.2 on, and nvidia_gpu_jobId by uuid in every release: that
one is read. With MIG a board's power is repeated for each slice, which is known by its own `MIG-` UUID, for releases up
to v0.2.0 have no label GPU_I_ID. A board that has gone is none after two scrapes.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.exporter import Exporter, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import Expression, Metric
from aggregator.sources.prometheus.gpu_activity import DRAM, OCCUPANCY, TENSOR, activities

_POWER = "nvidia_gpu_power_usage_milliwatts"
_BOARDS = {
    "boards": Metric(_POWER, (("uuid", "!~", "MIG.*"),)), "slices": Metric(_POWER, (("GPU_I_ID", "!=", ""),)),
}  # fmt: skip
_VALID = "($boards_valid unless $slices_valid)"


def _watts(name: str, metrics: Mapping[str, Metric], text: str) -> Expression:
    return Expression(name=name, metrics=metrics, text=text, scale=1e-3, low=1.0, high=1e5)


# Over a ledger window, and now, of which the power at rest is made.
WATTS = _watts(
    "gpu_watts", _BOARDS, f"sum by ($node) (max by ($node, $uuid) (avg_over_time({_VALID}[$moments])))"
)  # fmt: skip
WATTS_NOW = _watts("gpu_watts", _BOARDS, f"sum by ($node) (max by ($node, $uuid) ({_VALID}))")
GPUS = Expression(
    name="gpus", metrics=_BOARDS, low=1.0, high=1e3,
    text="count by ($node) (count by ($node, $uuid) (last_over_time($boards[$hold])"
    " unless last_over_time($slices[$hold])))",
)  # fmt: skip


def _of_job(value: str, jobs: str) -> str:
    """Put the job's id on the value of each of its GPUs."""
    named = f'count_values by ($node, $uuid) ("$hpc_job", {jobs} > 0) > bool 0'
    return f"max by ($node, $uuid) ({value}) * on ($node, $uuid) group_right () ({named})"


def _of_gpus(metric: str) -> Mapping[str, Metric]:
    return {"gpus": Metric(metric), "jobs": Metric("nvidia_gpu_jobId")}


_NOW = _of_job("$gpus and timestamp($gpus) >= time() - $age", "$jobs")
_MEAN = _of_job("avg_over_time($gpus_valid[$moments])", "last_over_time($jobs[$hold])")


def _of_jobs(name: str, metric: str, text: str, *, scale: float = 1.0, low: float = 0.0, high: float) -> Expression:
    return Expression(
        name=name, metrics=_of_gpus(metric), text=text, scale=scale, low=low, high=high, job_label="hpc_job",
        names_jobs=False,
    )  # fmt: skip


def _utilization(text: str) -> Expression:
    return _of_jobs("job_utilization", "nvidia_gpu_duty_cycle", text, scale=0.01, high=1.005)


# Of jobs now: utilisation, memory; over a ledger window: utilisation, watts of each board or slice.
OF_JOBS = (_utilization(_NOW), _of_jobs("job_memory", "nvidia_gpu_memory_used_bytes", _NOW, high=1e13))
WINDOW_OF_JOBS = (_utilization(_MEAN), _of_jobs("job_watts", _POWER, _MEAN, scale=1e-3, low=1.0, high=1e5))

PROVIDES = Provides(
    gpus=OF_JOBS, gpu_labels=("uuid",), slice="GPU_I_ID",
    of_windows=OfWindows(gpu_utilization=WINDOW_OF_JOBS[0], gpu_watts=WINDOW_OF_JOBS[1]),
)  # fmt: skip
INPUTS = (WATTS, WATTS_NOW, GPUS, *PROVIDES.asked)
NEEDED = (
    needed(_POWER, "the power of GPUs"),
    needed("nvidia_gpu_jobId", "which job has a GPU", always=False),
    needed("nvidia_gpu_duty_cycle", "GPUs used by jobs, where a job is named", always=False),
    needed("nvidia_gpu_memory_used_bytes", "GPU memory used by jobs, where a job is named", always=False),
)
# Of Hopper and newer GPUs, from v0.2.2 on. In spite of their names they are ratios.
ACTIVITIES = activities(
    "nvidia_gpu_prometheus_exporter",
    {
        OCCUPANCY: "nvidia_gpu_sm_occupancy_percent", TENSOR: "nvidia_gpu_any_tensor_util_percent",
        DRAM: "nvidia_gpu_dram_bw_util_percent",
    },
    "$uuid", job_label="jobid",
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, needed=NEEDED, provides=PROVIDES, job_gauges=ACTIVITIES)
