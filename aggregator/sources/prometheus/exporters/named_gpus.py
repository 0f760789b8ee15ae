"""Inputs from exporters that say which job has a GPU: dcgm-exporter in `hpc_job`, nvidia_gpu_exporter by GPU.

Slurm's prolog tells them. They read the very board, where slurm-job-exporter with NVML may read another one (board 0
for each job of one GPU). nvidia_gpu_exporter has a label `jobid` from v0.2.2 on, and nvidia_gpu_jobId by uuid in every
release: that one is read. dcgm-exporter writes a line for each job of a GPU. In MIG mode it has no GPU_UTIL.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.expression import Expression, Metric

JOB = "hpc_job"
_DCGM = "$node, $hpc_job, $UUID, $uuid, $GPU_I_ID, $gpu"
_NAMED = ((JOB, "!=", ""),)
_NOW = "{0} and timestamp({0}) >= time() - $age"
_MEAN = "avg_over_time({0}_valid[$moments])"
_JOBS = {"jobs": Metric("nvidia_gpu_jobId")}
_LAST_JOBS = "last_over_time($jobs[$hold])"


def _dcgm(of: str) -> str:
    return f"max by ({_DCGM}) ({of.format('$named')})"


def _or_engine(of: str) -> str:
    return f"{_dcgm(of)} or 100 * max by ({_DCGM}) ({of.format('$engine')})"


def _nvidia(of: str, jobs: str) -> str:
    named = f'count_values by ($node, $uuid) ("$hpc_job", {jobs} > 0) > bool 0'
    return f"max by ($node, $uuid) ({of.format('$gpus')}) * on ($node, $uuid) group_right () ({named})"


def _utilization(metrics: Mapping[str, Metric], text: str) -> Expression:
    return Expression(name="job_utilization", metrics=metrics, text=text, scale=0.01, high=1.005)


def _watts(metrics: Mapping[str, Metric], text: str, scale: float = 1.0) -> Expression:
    return Expression(name="job_watts", metrics=metrics, text=text, scale=scale, low=1.0, high=1e5)


_DCGM_UTILIZATION = {
    "named": Metric("DCGM_FI_DEV_GPU_UTIL", _NAMED), "engine": Metric("DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
}  # fmt: skip
_NVIDIA_UTILIZATION = {"gpus": Metric("nvidia_gpu_duty_cycle"), **_JOBS}

# exporter → its inputs of now: (utilisation, memory). dcgm-exporter wins over the other.
NOW: Mapping[str, tuple[Expression, Expression]] = {
    "nvidia_gpu_exporter": (
        _utilization(_NVIDIA_UTILIZATION, _nvidia(_NOW, "$jobs")),
        Expression(
            name="job_memory", metrics={"gpus": Metric("nvidia_gpu_memory_used_bytes"), **_JOBS},
            text=_nvidia(_NOW, "$jobs"), high=1e13,
        ),
    ),
    "dcgm_exporter": (
        _utilization(_DCGM_UTILIZATION, _or_engine(_NOW)),
        Expression(
            name="job_memory", metrics={"named": Metric("DCGM_FI_DEV_FB_USED", _NAMED)}, text=_dcgm(_NOW),
            scale=2.0**20, high=1e13,
        ),
    ),
}  # fmt: skip
# exporter → its means over a ledger window: (utilisation, watts of each board or slice).
WINDOW: Mapping[str, tuple[Expression, Expression]] = {
    "nvidia_gpu_exporter": (
        _utilization(_NVIDIA_UTILIZATION, _nvidia(_MEAN, _LAST_JOBS)),
        _watts(
            {"gpus": Metric("nvidia_gpu_power_usage_milliwatts"), **_JOBS}, _nvidia(_MEAN, _LAST_JOBS), scale=1e-3
        ),
    ),
    "dcgm_exporter": (
        _utilization(_DCGM_UTILIZATION, _or_engine(_MEAN)),
        _watts({"named": Metric("DCGM_FI_DEV_POWER_USAGE", _NAMED)}, _dcgm(_MEAN)),
    ),
}  # fmt: skip
