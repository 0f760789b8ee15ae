"""The exporters of other sites on nodes of the lab, chosen by Prometheus' job: what they show are the lab's jobs."""

import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import Metric

from tests.lab.exporters.activity import Activity
from tests.lab.exporters.amd_exporter import amd_smi_exporter, device_metrics_exporter, omnistat
from tests.lab.exporters.boards import Device, Meter, Unit, boards, units
from tests.lab.exporters.ceems_exporter import Host, ceems_exporter
from tests.lab.exporters.cgroup_exporter import Cgroups, plazonic, treydock
from tests.lab.exporters.dcgm_exporter import Spelling, dcgm_exporter
from tests.lab.exporters.nvidia_gpu_exporter import nvidia_gpu_exporter
from tests.lab.slurm_config import GPU_NODES, GPUS_PER_NODE

_PORTS = {
    "plazonic-cgroup": 9306, "treydock-cgroup": 9306, "nvidia-gpu": 9445, "dcgm": 9400, "ceems": 9010,
    "amd-device-metrics": 5000, "amd-smi": 2021, "omnistat": 8001,
}  # fmt: skip


class OtherExporters:
    """The pages of these exporters, by job and node; *down* are those that fail."""

    def __init__(self, allocations: Callable[[str], list[Activity]], nodes: Mapping[str, Iterable[str]]) -> None:
        """*allocations* are the jobs of a node, with processes or without; *nodes* those of each exporter."""
        self.cgroups, self.spelling = Cgroups(), Spelling()
        self.amd_prefix = ""
        """What device-metrics-exporter has before its names, by the site's choice."""
        self.devices: dict[str, tuple[Device, ...]] = dict.fromkeys(GPU_NODES, boards(GPUS_PER_NODE))
        """What each node's Slurm gives as GPUs; a node that is not here has none."""
        self.down: frozenset[tuple[str, str]] = frozenset()
        self.instances = {job: {node: f"{node}:{_PORTS[job]}" for node in its} for job, its in nodes.items()}
        self._allocations = allocations
        self._meter = Meter()
        self._pages: dict[str, Callable[[str], Iterable[Metric] | str]] = {
            "plazonic-cgroup": lambda node: plazonic(allocations(node), self.cgroups, usernames=True),
            "treydock-cgroup": lambda node: treydock(allocations(node), self.cgroups),
            "nvidia-gpu": lambda node: nvidia_gpu_exporter(self._units(node)),
            "dcgm": lambda node: dcgm_exporter(self._units(node), self.spelling),
            "ceems": self._ceems,
            "amd-device-metrics": lambda node: device_metrics_exporter(self._units(node), prefix=self.amd_prefix),
            "amd-smi": lambda node: amd_smi_exporter(self._units(node)),
            "omnistat": lambda node: omnistat(self._units(node), allocations(node)),
        }

    def page(self, job: str, node: str) -> Iterable[Metric] | str | None:
        """Give an exporter's page; None while it is down."""
        return None if (job, node) in self.down else self._pages[job](node)

    def _units(self, node: str) -> list[Unit]:
        return units(node, self.devices.get(node, ()), self._allocations(node), self._meter, time.time())

    def _ceems(self, node: str) -> str:
        host = Host(node, self._meter, time.time())
        return ceems_exporter(host, self._allocations(node), self._units(node))
