"""How busy the units of a job's GPUs are, where profiling shows it: a GPU that is busy all the time may do little."""

from collections.abc import Mapping
from typing import Final

from aggregator.sources.prometheus.exporter import JobGauge
from aggregator.sources.prometheus.expression import Expression, Metric

OCCUPANCY: Final = "gpu_sm_occupancy_ratio"
TENSOR: Final = "gpu_tensor_active_ratio"
DRAM: Final = "gpu_dram_active_ratio"
_HELP: Final = {
    OCCUPANCY: "Warps on the SMs ÷ warps that fit, mean of its nodes' GPUs: a GPU can be busy and nearly empty.",
    TENSOR: "Share of the time in which the tensor pipes work, mean of its nodes' GPUs.",
    DRAM: "Share of the time in which the GPU's memory is read or written, mean of its nodes' GPUs.",
}


def activities(
    of: str, metrics: Mapping[str, str], gpu: str, *, scale: float = 1.0, job_label: str = "slurmjobid"
) -> tuple[JobGauge, ...]:
    """Declare the newest values of metrics with a job's label, by the gauge's name; gpu are the labels of one GPU.

    scale makes ratios of them. Of several series of a GPU the largest counts. Each node counts alike.
    """
    return tuple(
        JobGauge(
            expression=Expression(
                name=name, metrics={"gpus": Metric(metric, ((job_label, "!=", ""),))}, unit="ratio", scale=scale,
                high=1.005, text=f"avg by ($job, $node) (max by ($job, $node, {gpu}) ($gpus_now))", job_label=job_label,
            ),
            help=_HELP[name], of=of, over_nodes="mean",
        )
        for name, metric in metrics.items()
    )  # fmt: skip
