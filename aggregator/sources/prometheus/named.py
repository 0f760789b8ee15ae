"""Which of two exporters' views of a job's GPUs on a node is believed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aggregator.model.use import Gpu
from aggregator.sources.prometheus.exporters import dcgm_exporter, nvidia_gpu_exporter
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.instant import job_id_of
from aggregator.sources.prometheus.settings import ExporterSettings

Gpus = Mapping[int, Sequence[Gpu]]
# What is read of the exporters that name the jobs of GPUs, now and over a ledger window; the last one wins.
NOW: Mapping[str, tuple[Expression, Expression]] = {
    "nvidia_gpu_exporter": nvidia_gpu_exporter.OF_JOBS,
    "dcgm_exporter": dcgm_exporter.OF_JOBS,
}
WINDOW: Mapping[str, tuple[Expression, Expression]] = {
    "nvidia_gpu_exporter": nvidia_gpu_exporter.WINDOW_OF_JOBS,
    "dcgm_exporter": dcgm_exporter.WINDOW_OF_JOBS,
}


class NamedGpu(NamedTuple):
    """A GPU as its series names it: the job (None: no number), which GPU it is, and whether it is a MIG slice."""

    job_id: int | None
    gpu: str
    is_slice: bool


def named_gpu(labels: Mapping[str, str], settings: ExporterSettings) -> NamedGpu:
    """Read the labels of dcgm-exporter or nvidia_gpu_exporter; a slice has its board's UUID in the former."""

    def label(name: str) -> str:
        return labels.get(settings.label(name), "")

    uuid, instance = label("UUID") or label("uuid") or label("gpu"), label("GPU_I_ID")
    is_mig = uuid.startswith("MIG-")
    index = f"{uuid}/{instance}" if instance and not is_mig else uuid
    return NamedGpu(job_id_of(label("hpc_job")), index, is_mig or bool(instance))


def prefer(named: Gpus, others: Gpus) -> dict[int, tuple[Gpu, ...]]:
    """Take, of each job on each node, the GPUs that name their job, unless others know of more of them."""
    chosen: dict[int, tuple[Gpu, ...]] = {job_id: tuple(gpus) for job_id, gpus in others.items()}
    for job_id, gpus in named.items():
        ours, theirs = _by_node(gpus), _by_node(others.get(job_id, ()))
        better = {node for node, found in ours.items() if _known(found) >= max(1, _known(theirs[node]))}
        kept = [gpu for gpu in others.get(job_id, ()) if gpu.node not in better]
        if better:
            chosen[job_id] = (*kept, *(gpu for gpu in gpus if gpu.node in better))
    return chosen


def _by_node(gpus: Sequence[Gpu]) -> Mapping[str, Sequence[Gpu]]:
    found: defaultdict[str, list[Gpu]] = defaultdict(list)
    for gpu in gpus:
        found[gpu.node].append(gpu)
    return found


def _known(gpus: Sequence[Gpu]) -> int:
    return sum(1 for gpu in gpus if gpu.utilization is not None)
