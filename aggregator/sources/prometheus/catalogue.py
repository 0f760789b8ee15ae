"""Everything that is read of each exporter: for refreshes and the ledger, and for graphs."""

from collections.abc import Mapping, Sequence
from typing import Final

from aggregator.sources.prometheus.exporters import (
    aggregator,
    gpfs_exporter,
    gpu_exporters,
    lfs_quota_exporter,
    libvirtd_exporter,
    lustre_exporter,
    lustre_exporter_slurm,
    named_gpus,
    node_exporter,
    pcm_sensor_server,
    redfish_exporter,
    slurm_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.expression import Expression, Graph

# What this service itself has recorded, by way of the Prometheus that scrapes it.
OWN: Final = "hpc_aggregator"
_LUSTRE: Final = (*lustre_exporter.INPUTS.values(), *lustre_exporter.WHOLES.values(), lustre_exporter.COVERAGE)
INPUTS: Final[Mapping[str, Sequence[Expression]]] = {
    "slurm_job_exporter": (*slurm_job_exporter.INPUTS, *slurm_job_exporter.WINDOW_INPUTS),
    "slurm_exporter": (slurm_exporter.LEVELS, *slurm_exporter.ERRORS),
    "node_exporter": (*node_exporter.HOST_INPUTS, *node_exporter.WINDOW_INPUTS),
    # The proxy's series are those of the exporter with more labels.
    "lustre_exporter_slurm": _LUSTRE,
    "lustre_exporter": _LUSTRE,
    "redfish_exporter": redfish_exporter.INPUTS,
    "dcgm_exporter": (*gpu_exporters.DCGM, *named_gpus.NOW["dcgm_exporter"], *named_gpus.WINDOW["dcgm_exporter"]),
    "nvidia_gpu_exporter": (
        *gpu_exporters.NVIDIA, *named_gpus.NOW["nvidia_gpu_exporter"], *named_gpus.WINDOW["nvidia_gpu_exporter"]
    ),
    "libvirtd_exporter": (*libvirtd_exporter.INPUTS, *libvirtd_exporter.IDLE_INPUTS),
    "gpfs_exporter": (gpfs_exporter.FAILING,),
}  # fmt: skip
# Where two exporters offer a graph of the same name, the first that is in use has it.
GRAPHS: Final[Mapping[str, Sequence[Graph]]] = {
    "slurm_job_exporter": slurm_job_exporter.GRAPHS,
    OWN: aggregator.GRAPHS,
    "pcm_sensor_server": pcm_sensor_server.GRAPHS,
    "lustre_exporter_slurm": lustre_exporter_slurm.GRAPHS,
    "lustre_exporter": lustre_exporter.GRAPHS,
    "node_exporter": node_exporter.GRAPHS,
    "slurm_exporter": slurm_exporter.GRAPHS,
    "libvirtd_exporter": libvirtd_exporter.GRAPHS,
    "lfs_quota_exporter": lfs_quota_exporter.GRAPHS,
    "gpfs_exporter": gpfs_exporter.GRAPHS,
}
