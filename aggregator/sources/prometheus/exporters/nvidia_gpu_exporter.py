"""Inputs from nvidia_gpu_prometheus_exporter with its forks: every GPU of a node, and which job has it.

Slurm's prolog says which, of one job for a GPU. There is a label `jobid` from v0.2.2 on: a series is of one job then,
and so is its mean over a window. Before, nvidia_gpu_jobId has the id as its value, by uuid. With MIG a board's power is
repeated for each slice, which is known by its own `MIG-` UUID, for releases up to v0.2.0 have no label GPU_I_ID. In MIG
mode there is no duty_cycle: newer GPUs (GPM) have graphics_util_percent, a ratio in spite of its name. A board that has
gone is none after two scrapes.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.exporter import Exporter, Needed, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import Expression, Metric
from aggregator.sources.prometheus.gpu_activity import DRAM, OCCUPANCY, TENSOR, activities
from aggregator.sources.prometheus.promql import ANY, extracted

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


# Releases that name the job on each series, and older ones.
_LABELLED, _PLAIN = (("jobid", "!=", ""),), (("jobid", "=", ""),)


def _of_gpus(*metrics: str) -> Mapping[str, Metric]:
    """Give metrics under own0, own1 … with the job as a label, and under gpus0, gpus1 … without, and who has a GPU."""
    labelled = {f"own{number}": Metric(name, _LABELLED) for number, name in enumerate(metrics)}
    plain = {f"gpus{number}": Metric(name, _PLAIN) for number, name in enumerate(metrics)}
    return {**plain, **labelled, "jobs": Metric("nvidia_gpu_jobId", _PLAIN)}


def _of_job(value: str, jobs: str) -> str:
    """Write a value with the job's id on it; {0} stands for series of either kind."""
    own = f"max by ($node, $uuid, $jobid) ({value.format('own')})"
    named = f'count_values by ($node, $uuid) ("$hpc_job", {jobs} > 0) > bool 0'
    joined = f"max by ($node, $uuid) ({value.format('gpus')}) * on ($node, $uuid) group_right () ({named})"
    return f"max by ($node, $uuid, $hpc_job) ({extracted(own, '$hpc_job', '$jobid', ANY)}) or {joined}"


_RECENT = "(${{0}}{0} and timestamp(${{0}}{0}) >= time() - $age)"
_OVER = "avg_over_time(${{0}}{0}_valid[$moments])"


def _now(value: str = _RECENT.format(0)) -> str:
    return _of_job(value, "$jobs")


def _mean(value: str = _OVER.format(0)) -> str:
    return _of_job(value, "last_over_time($jobs[$hold])")


def _busy(form: str) -> str:
    """Write the utilisation in percent; where there is none, the time in which the graphics engine works."""
    return f"{form.format(0)} or 100 * {form.format(1)}"


def _of_jobs(name: str, text: str, *metrics: str, scale: float = 1.0, low: float = 0.0, high: float) -> Expression:
    return Expression(
        name=name, metrics=_of_gpus(*metrics), text=text, scale=scale, low=low, high=high, job_label="hpc_job",
        names_jobs=False,
    )  # fmt: skip


def _utilization(text: str) -> Expression:
    busy = ("nvidia_gpu_duty_cycle", "nvidia_gpu_graphics_util_percent")
    return _of_jobs("job_utilization", text, *busy, scale=0.01, high=1.005)


# Of jobs now: utilisation, memory; over a ledger window: utilisation, watts of each board or slice.
OF_JOBS = (
    _utilization(_now(_busy(_RECENT))),
    _of_jobs("job_memory", _now(), "nvidia_gpu_memory_used_bytes", high=1e13),
)
WINDOW_OF_JOBS = (
    _utilization(_mean(_busy(_OVER))),
    _of_jobs("job_watts", _mean(), _POWER, scale=1e-3, low=1.0, high=1e5),
)

PROVIDES = Provides(
    gpus=OF_JOBS, gpu_labels=("uuid",),
    of_windows=OfWindows(gpu_utilization=WINDOW_OF_JOBS[0], gpu_watts=WINDOW_OF_JOBS[1]),
)  # fmt: skip
INPUTS = (WATTS, WATTS_NOW, GPUS, *PROVIDES.asked)
NEEDED = (
    needed(_POWER, "the power of GPUs"),
    needed("nvidia_gpu_jobId", "which job has a GPU", always=False),
    Needed(
        "GPUs used by jobs, where a job is named",
        ("nvidia_gpu_duty_cycle", "nvidia_gpu_graphics_util_percent"),
        always=False,
    ),
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
