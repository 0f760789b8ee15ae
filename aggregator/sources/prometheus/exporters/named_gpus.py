"""Inputs from exporters that say which job has a GPU: dcgm-exporter in `hpc_job`, nvidia_gpu_exporter by GPU.

Slurm's prolog tells them. They read the very board, where slurm-job-exporter with NVML may read another one (board 0
for each job of one GPU). nvidia_gpu_exporter has a label `jobid` from v0.2.2 on, and nvidia_gpu_jobId by uuid in every
release: that one is read. dcgm-exporter writes a line for each job of a GPU. In MIG mode it has no GPU_UTIL.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.inputs import Input

JOB = "hpc_job"
_DCGM = f"$node, {JOB}, UUID, uuid, GPU_I_ID, gpu"
_NAMED = {"named": (JOB, "!=", "")}
_NOW = "{0} and timestamp({0}) >= time() - $age"
_MEAN = "avg_over_time({0}_valid[$moments])"


def _dcgm(of: str, fall_back: bool = False) -> str:
    whole = f"max by ({_DCGM}) ({of.format('$named')})"
    return f"{whole} or 100 * max by ({_DCGM}) ({of.format('$engine')})" if fall_back else whole


def _nvidia(of: str, jobs: str) -> str:
    named = f'count_values by ($node, uuid) ("{JOB}", {jobs} > 0) > bool 0'
    return f"max by ($node, uuid) ({of.format('$series')}) * on ($node, uuid) group_right () ({named})"


def _utilization(exporter: str, of: str, jobs: str) -> Input:
    if exporter == "dcgm_exporter":
        return Input(
            name="job_utilization", metric="DCGM_FI_DEV_GPU_UTIL", expression=_dcgm(of, fall_back=True),
            selectors=_NAMED, beside={"engine": "DCGM_FI_PROF_GR_ENGINE_ACTIVE"}, scale=0.01, high=1.005,
        )  # fmt: skip
    return Input(
        name="job_utilization", metric="nvidia_gpu_duty_cycle", expression=_nvidia(of, jobs),
        beside={"jobs": "nvidia_gpu_jobId"}, scale=0.01, high=1.005,
    )  # fmt: skip


_DCGM_MEMORY = Input(
    name="job_memory", metric="DCGM_FI_DEV_FB_USED", expression=_dcgm(_NOW), selectors=_NAMED, scale=2.0**20, high=1e13
)
_NVIDIA_MEMORY = Input(
    name="job_memory", metric="nvidia_gpu_memory_used_bytes", expression=_nvidia(_NOW, "$jobs"),
    beside={"jobs": "nvidia_gpu_jobId"}, high=1e13,
)  # fmt: skip
_LAST_JOBS = "last_over_time($jobs[$hold])"

# exporter → its inputs of now: (utilisation, memory). dcgm-exporter wins over the other.
NOW: Mapping[str, tuple[Input, Input]] = {
    "nvidia_gpu_exporter": (_utilization("nvidia_gpu_exporter", _NOW, "$jobs"), _NVIDIA_MEMORY),
    "dcgm_exporter": (_utilization("dcgm_exporter", _NOW, "$jobs"), _DCGM_MEMORY),
}
# exporter → its means over a ledger window: (utilisation, watts of each board or slice).
WINDOW: Mapping[str, tuple[Input, Input]] = {
    "nvidia_gpu_exporter": (
        _utilization("nvidia_gpu_exporter", _MEAN, _LAST_JOBS),
        Input(
            name="job_watts", metric="nvidia_gpu_power_usage_milliwatts", expression=_nvidia(_MEAN, _LAST_JOBS),
            beside={"jobs": "nvidia_gpu_jobId"}, scale=1e-3, low=1.0, high=1e5,
        ),
    ),
    "dcgm_exporter": (
        _utilization("dcgm_exporter", _MEAN, _LAST_JOBS),
        Input(
            name="job_watts", metric="DCGM_FI_DEV_POWER_USAGE", expression=_dcgm(_MEAN), selectors=_NAMED,
            low=1.0, high=1e5,
        ),
    ),
}  # fmt: skip
