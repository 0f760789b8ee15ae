"""ceems_exporter (port 9010): the jobs of a node as compute units, which GPUs they have, and the node's power.

Read in the end-to-end outputs of github.com/mahendrapaipuri/ceems (0.10.1, 8393acd) and in its regular expression for
cgroups, `^.*/slurm(?:.*?)/job_([0-9]+)(?:.*$)`: on cgroup v2 it shows no job whose folder is called by its SLUID. What
GPUs do is not here, but on the page of dcgm-exporter or AMD's beside it, which gpuuuid and gpuiid join. `hostname` is
the node's name (empty in its own tests), `cgrouphostname` came after 0.9. Not shown here: RDMA, block devices,
emissions.
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from tests.lab.behaviours import MIB
from tests.lab.exporters.activity import Activity, host_watts
from tests.lab.exporters.boards import Meter, Unit
from tests.lab.exporters.text import Family, Sample, go_page
from tests.lab.slurm_config import CPUS_PER_NODE, MEMORY_MB_PER_NODE


class PowerMeter(enum.Enum):
    """Where it reads a node's power; a node may have several."""

    IPMI = "ipmi_dcmi"
    REDFISH = "redfish"
    CRAY = "cray_pm_counters"


_SM_COUNT = 108
_DRAM = 0.2
_MEMORY = MEMORY_MB_PER_NODE * MIB
_WORDS = {"avg": "Average", "current": "Current", "max": "Maximum", "min": "Minimum"}
_UNIT: dict[str, tuple[str, str, Callable[[Activity], float]]] = {
    "cpu_user_seconds_total": ("counter", "Total job CPU user seconds", lambda job: job.cpu_seconds_by_mode[0]),
    "cpu_system_seconds_total": ("counter", "Total job CPU system seconds", lambda job: job.cpu_seconds_by_mode[1]),
    "cpus": ("gauge", "Total number of job CPUs", lambda job: job.cpus),
    "memory_cache_bytes": ("gauge", "Memory cache used in bytes", lambda job: job.cache),
    "memory_fail_count": ("gauge", "Memory fail count", lambda job: 0),
    "memory_rss_bytes": ("gauge", "Memory RSS used in bytes", lambda job: job.rss),
    "memory_used_bytes": ("gauge", "Memory used in bytes", lambda job: job.rss + job.cache),
}


@dataclass(frozen=True)
class Host:
    """A node at a time: what its counters have added up, and what it has."""

    name: str
    meter: Meter
    at: float
    meters: Set[PowerMeter] = frozenset({PowerMeter.IPMI})
    limited: bool = True
    """Whether Slurm limits memory; else a job has the host's."""
    cgrouphostname: bool = True
    """Whether its release has this label, which is empty but with several slurmd on a host."""

    @property
    def labels(self) -> dict[str, str]:
        return {"hostname": self.name}

    def counted(self, what: str, rate: float) -> float:
        """Give a counter of the host, which grows at a rate."""
        return self.meter(self.name, what, rate, self.at)


def ceems_exporter(host: Host, jobs: Sequence[Activity], units: Sequence[Unit]) -> str:
    """Write its page; *units* are the node's GPUs."""
    shown = [job for job in jobs if not job.sluid]
    manager = {**host.labels, "manager": "slurm"}
    common = {**manager, **({"cgrouphostname": ""} if host.cgrouphostname else {})}
    families = [
        Family(f"ceems_compute_unit_{name}", kind, help, [({**common, "uuid": job.named}, of(job)) for job in shown])
        for name, (kind, help, of) in _UNIT.items()
    ]
    limits: list[Sample] = [
        ({**common, "uuid": job.named}, job.share.memory_bytes if host.limited else _MEMORY) for job in shown
    ]
    families.append(Family("ceems_compute_unit_memory_total_bytes", "gauge", "Memory total in bytes", limits))
    families.append(Family("ceems_compute_units", "gauge", "Total number of jobs", [(manager, len(shown))]))
    return go_page([*families, *_gpus(units, common), *_node(host, jobs), *_power(host, jobs, units)])


def _gpus(units: Iterable[Unit], common: dict[str, str]) -> Iterator[Family]:
    """Yield which GPUs the jobs have: 1, or the share of one that several have."""
    rows = [
        ({**common, "gpuiid": unit.instance, "gpuuuid": unit.board_uuid, "hindex": f"{unit.node}/gpu-{index}",
          "index": str(index), "uuid": job.named}, unit, job)
        for index, unit in enumerate(units) for job in unit.jobs if not job.sluid
    ]  # fmt: skip
    help = "A value > 0 indicates the job using current GPU"
    flags: list[Sample] = [(labels, job.gpu_share) for labels, _, job in rows]
    yield Family("ceems_compute_unit_gpu_index_flag", "gauge", help, flags)
    counts: list[Sample] = [(labels, round(_SM_COUNT * unit.part)) for labels, unit, _ in rows]
    yield Family("ceems_compute_unit_gpu_sm_count", "gauge", "Number of SMs of the GPU", counts)


def _node(host: Host, jobs: Sequence[Activity]) -> Iterator[Family]:
    """Yield the node's own CPUs and memory: no series for each CPU."""
    yield Family("ceems_cpu_count", "gauge", "Number of CPUs.", [(host.labels, CPUS_PER_NODE)])
    busy = sum(job.behaviour.cpu * job.cpus for job in jobs if job.behaviour.processes)
    modes = {"idle": CPUS_PER_NODE - busy, "user": 0.9 * busy, "system": 0.1 * busy, "iowait": 0.0}
    seconds: list[Sample] = [({**host.labels, "mode": mode}, host.counted(mode, cpus)) for mode, cpus in modes.items()]
    yield Family("ceems_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.", seconds)
    free = _MEMORY - sum(job.rss + job.cache for job in jobs)
    for name, value in (("MemTotal", _MEMORY), ("MemFree", free), ("MemAvailable", free)):
        help = f"Memory information field {name}_bytes."
        yield Family(f"ceems_meminfo_{name}_bytes", "gauge", help, [(host.labels, value)])
    worked: list[Sample] = [({"collector": name}, 1) for name in ("cpu", "meminfo", "rapl", "slurm")]
    help = "ceems_exporter: Whether a collector succeeded."
    yield Family("ceems_scrape_collector_success", "gauge", help, worked)


def _power(host: Host, jobs: Sequence[Activity], units: Iterable[Unit]) -> Iterator[Family]:
    """Yield what it measures: RAPL always, and the meters of the whole node, all GPUs included."""
    boards = {unit.board: unit for unit in units}
    alone = host_watts(job for job in jobs if job.behaviour.processes)
    watts = alone + sum(unit.watts for unit in boards.values())
    zones = {"package": (1 - _DRAM) * alone, "dram": _DRAM * alone}
    for zone, drawn in zones.items():
        place = {**host.labels, "index": "0", "path": f"/sys/class/powercap/intel-rapl:0{':0' * (zone == 'dram')}"}
        help = f"Current RAPL {zone} value in joules"
        yield Family(f"ceems_rapl_{zone}_joules_total", "counter", help, [(place, host.counted(zone, drawn))])
    for meter in host.meters & {PowerMeter.IPMI, PowerMeter.REDFISH}:
        place = {**host.labels, **({"chassis": "Chassis_1"} if meter is PowerMeter.REDFISH else {})}
        for short, word in _WORDS.items():
            help = f"{word} Power consumption in watts"
            yield Family(f"ceems_{meter.value}_{short}_watts", "gauge", help, [(place, watts)])
    if PowerMeter.CRAY in host.meters:
        yield from _cray(host, {"node": watts, "cpu": zones["package"], "memory": zones["dram"]}, boards)


def _cray(host: Host, domains: Mapping[str, float], boards: Mapping[int, Unit]) -> Iterator[Family]:
    """Yield Cray's counters, of which the accelerators' and the others' are parts of the node's."""
    watts = {**domains, **{f"accel{board}": unit.watts for board, unit in boards.items()}}
    joules = {name: host.counted(f"cray {name}", drawn) for name, drawn in watts.items()}
    for what, values in (("power_watts", watts), ("energy_joules", joules)):
        help = f"Current {what.split('_')[0]} value in {what.split('_')[1]}"
        samples: list[Sample] = [({**host.labels, "domain": name}, value) for name, value in values.items()]
        yield Family(f"ceems_cray_pm_counters_{what}", "gauge", help, samples)
