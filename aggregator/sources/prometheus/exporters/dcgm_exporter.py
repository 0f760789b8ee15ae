"""Inputs from dcgm-exporter, which shows every GPU of a node, and in `hpc_job` which job has it, by Slurm's prolog.

It writes UUID or uuid: without either label the boards of a node would be one. With MIG it repeats a board's power for
each slice: the largest value of a board is the board's. There is a line for each job of a GPU. In MIG mode it has no
GPU_UTIL. It reads the very board, where slurm-job-exporter with NVML may read another one (board 0 for each job of one
GPU). A board that has gone is none after two scrapes.
"""

from aggregator.sources.prometheus.exporter import Exporter, Needed, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import Expression, Metric
from aggregator.sources.prometheus.gpu_activity import DRAM, OCCUPANCY, TENSOR, activities

_BOARD = "$node, $UUID, $uuid, $gpu"
_JOB = "$node, $hpc_job, $UUID, $uuid, $GPU_I_ID, $gpu"
_NAMED = (("hpc_job", "!=", ""),)
_POWER = {"boards": Metric("DCGM_FI_DEV_POWER_USAGE")}
_UTILIZATION = {
    "named": Metric("DCGM_FI_DEV_GPU_UTIL", _NAMED), "engine": Metric("DCGM_FI_PROF_GR_ENGINE_ACTIVE", _NAMED),
}  # fmt: skip
# Of metrics of which the job is named: the newest sample, and the mean over a ledger window.
_NOW = "max by ({1}) (${0} and timestamp(${0}) >= time() - $age)"
_MEAN = "max by ({1}) (avg_over_time(${0}_valid[$moments]))"


def _watts(text: str) -> Expression:
    return Expression(name="gpu_watts", metrics=_POWER, text=text, low=1.0, high=1e5)


def _utilization(over: str) -> Expression:
    text = f"{over.format('named', _JOB)} or 100 * {over.format('engine', _JOB)}"
    return Expression(
        name="job_utilization", metrics=_UTILIZATION, text=text, scale=0.01, high=1.005, job_label="hpc_job"
    )  # fmt: skip


# Over a ledger window, and now, of which the power at rest is made.
WATTS = _watts(f"sum by ($node) (max by ({_BOARD}) (avg_over_time($boards_valid[$moments])))")
WATTS_NOW = _watts(f"sum by ($node) (max by ({_BOARD}) ($boards_valid))")
GPUS = Expression(
    name="gpus", metrics=_POWER, low=1.0, high=1e3,
    text=f"count by ($node) (count by ({_BOARD}) (last_over_time($boards[$hold])))",
)  # fmt: skip
# Of jobs now: utilisation, memory; over a ledger window: utilisation, watts of each board or slice.
OF_JOBS = (
    _utilization(_NOW),
    Expression(
        name="job_memory", metrics={"named": Metric("DCGM_FI_DEV_FB_USED", _NAMED)}, text=_NOW.format("named", _JOB),
        scale=2.0**20, high=1e13, job_label="hpc_job",
    ),
)  # fmt: skip
WINDOW_OF_JOBS = (
    _utilization(_MEAN),
    Expression(
        name="job_watts", metrics={"named": Metric("DCGM_FI_DEV_POWER_USAGE", _NAMED)},
        text=_MEAN.format("named", _JOB), low=1.0, high=1e5, job_label="hpc_job",
    ),
)  # fmt: skip

PROVIDES = Provides(
    gpus=OF_JOBS, gpu_labels=("UUID", "uuid", "gpu"), slice="GPU_I_ID",
    of_windows=OfWindows(gpu_utilization=WINDOW_OF_JOBS[0], gpu_watts=WINDOW_OF_JOBS[1]),
)  # fmt: skip
INPUTS = (WATTS, WATTS_NOW, GPUS, *PROVIDES.asked)
NEEDED = (
    needed("DCGM_FI_DEV_POWER_USAGE", "the power of GPUs"),
    Needed("GPUs used by jobs, where a job is named", ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"), False),
    needed("DCGM_FI_DEV_FB_USED", "GPU memory used by jobs, where a job is named", always=False),
)
# Occupancy is not among the fields that dcgm-exporter shows by default.
ACTIVITIES = activities(
    "dcgm-exporter",
    {
        OCCUPANCY: "DCGM_FI_PROF_SM_OCCUPANCY", TENSOR: "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        DRAM: "DCGM_FI_PROF_DRAM_ACTIVE",
    },
    "$UUID, $uuid, $GPU_I_ID, $gpu", job_label="hpc_job",
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, needed=NEEDED, provides=PROVIDES, job_gauges=ACTIVITIES)
