"""Everything that is read of each exporter, for refreshes and the ledger and for graphs, and what it must show."""

import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import chain
from typing import Final

from aggregator.engine.column import Column
from aggregator.sources.prometheus import exporters
from aggregator.sources.prometheus.exporter import Exporter, JobGauge, Provides, columns_of
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
# Where two exporters have a graph of the same name, the first that is in use has it.
_IN_ORDER: Final[Mapping[str, Exporter]] = {
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


def _others() -> Iterator[tuple[str, Exporter]]:
    """Give the exporters whose files are there and not listed: those that share no graph with another."""
    for module in pkgutil.iter_modules(exporters.__path__):
        if module.name not in _IN_ORDER and module.name != aggregator.__name__.rpartition(".")[2]:
            yield module.name, import_module(f"{exporters.__name__}.{module.name}").EXPORTER


EXPORTERS: Final[Mapping[str, Exporter]] = {**_IN_ORDER, **dict(_others())}
PROVIDERS: Final[Mapping[str, Provides]] = {
    name: exporter.provides for name, exporter in EXPORTERS.items() if exporter.provides
}
# What is taken from one exporter for each job on a node, by the key of the configuration, and who is believed first
# where several bring it; the others follow by their names.
PREFERRED: Final[Mapping[str, tuple[str, ...]]] = {
    "cpus": ("slurm_job_exporter",),
    "memory": ("slurm_job_exporter",),
    "gpus": ("dcgm_exporter", "nvidia_gpu_exporter"),
}
INPUTS: Final = {name: exporter.inputs for name, exporter in EXPORTERS.items() if exporter.inputs}
GRAPHS: Final = {name: exporter.graphs for name, exporter in EXPORTERS.items() if exporter.graphs}
NEEDED: Final = {name: exporter.looked_for for name, exporter in EXPORTERS.items() if exporter.looked_for}
JOB_GAUGES: Final[Mapping[str, tuple[JobGauge, ...]]] = {
    name: exporter.job_gauges for name, exporter in EXPORTERS.items() if exporter.job_gauges
}


def gauge_columns() -> Iterator[Column]:
    """Declare the columns of all gauges of jobs; those of one name are one column, whoever shows it."""
    same: dict[str, list[JobGauge]] = {}
    for each in chain.from_iterable(JOB_GAUGES.values()):
        same.setdefault(each.name, []).append(each)
    return chain.from_iterable(map(columns_of, same.values()))


def in_order(kind: str, names: Iterable[str], first: Iterable[str] = ()) -> tuple[str, ...]:
    """Give those that bring a kind of value (PREFERRED), as they are believed: `first` go first."""
    known, used = sorted(PROVIDERS), set(names)
    ordered = dict.fromkeys((*first, *PREFERRED[kind], *known))
    return tuple(name for name in ordered if name in used and kind in PROVIDERS[name].kinds)
