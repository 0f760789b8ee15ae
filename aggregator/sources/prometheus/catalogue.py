"""Everything that is read of each exporter, for refreshes and the ledger and for graphs, and what it must show."""

from collections.abc import Mapping
from typing import Final

from aggregator.sources.prometheus.exporter import Exporter
from aggregator.sources.prometheus.exporters import (
    aggregator,
    dcgm_exporter,
    gpfs_exporter,
    lfs_quota_exporter,
    libvirtd_exporter,
    lustre_exporter,
    lustre_exporter_slurm,
    node_exporter,
    nvidia_gpu_exporter,
    pcm_sensor_server,
    redfish_exporter,
    slurm_exporter,
    slurm_job_exporter,
)

# What this service itself has recorded, by way of the Prometheus that scrapes it.
OWN: Final = "hpc_aggregator"
# Where two exporters offer a graph of the same name, the first that is in use has it.
EXPORTERS: Final[Mapping[str, Exporter]] = {
    "slurm_job_exporter": slurm_job_exporter.EXPORTER,
    OWN: aggregator.EXPORTER,
    "pcm_sensor_server": pcm_sensor_server.EXPORTER,
    "lustre_exporter_slurm": lustre_exporter_slurm.EXPORTER,
    "lustre_exporter": lustre_exporter.EXPORTER,
    "node_exporter": node_exporter.EXPORTER,
    "slurm_exporter": slurm_exporter.EXPORTER,
    "libvirtd_exporter": libvirtd_exporter.EXPORTER,
    "lfs_quota_exporter": lfs_quota_exporter.EXPORTER,
    "gpfs_exporter": gpfs_exporter.EXPORTER,
    "redfish_exporter": redfish_exporter.EXPORTER,
    "dcgm_exporter": dcgm_exporter.EXPORTER,
    "nvidia_gpu_exporter": nvidia_gpu_exporter.EXPORTER,
}
INPUTS: Final = {name: exporter.inputs for name, exporter in EXPORTERS.items() if exporter.inputs}
GRAPHS: Final = {name: exporter.graphs for name, exporter in EXPORTERS.items() if exporter.graphs}
NEEDED: Final = {name: exporter.needed for name, exporter in EXPORTERS.items() if exporter.needed}
