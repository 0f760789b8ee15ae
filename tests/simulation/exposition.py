"""What exporters show of a world, as a file of OpenMetrics from which promtool makes blocks."""

from collections.abc import Callable, Sequence
from io import StringIO
from zlib import crc32

from tests.simulation.steps import Part, Steps
from tests.simulation.world import AHEAD, BEGIN, INTERVAL, NODE_CPUS, NODE_MEMORY, Interval, Job, Node, World

# RAPL's zones: how much of the host's power each one measures.
_ZONES = {"package": 0.8, "dram": 0.2}
_GPU_TYPE = "NVIDIA A100-SXM4-40GB"


class Exposition:
    """Write all series of a world; *zero* is the epoch time of the world's time 0."""

    def __init__(self, world: World, cluster: str, zero: float) -> None:
        self._world = world
        self._cluster = cluster
        self._zero = zero
        self._out = StringIO()
        self.samples = 0

    def text(self) -> str:
        for node in self._world.nodes.values():
            for replica in node.replicas:
                self._node(node, f'cluster="{self._cluster}"' + (f',prometheus_replica="{replica}"' if replica else ""))
        self._out.write("# EOF\n")
        return self._out.getvalue()

    def _node(self, node: Node, place: str) -> None:
        host = f'{place},job="{node.host_job}",instance="{node.name}{node.domain}:9100"'
        self._host(node, host)
        self._meters(node, place, host)
        if node.gpu_exporter:
            self._boards(node, f'{place},job="gpu",instance="{node.name}{node.domain}:9400"')
        jobs = f'{place},job="{node.scrape_job}",instance="{node.name}{node.domain}:9798"'
        self._write(f"up{{{jobs}}}", scrape_times(node, "jobs"), lambda at: 1.0 if node.sees_jobs(at) else 0.0)
        for job in self._world.on(node.name):
            self._job(node, job, job_times(node, job), jobs)

    def _host(self, node: Node, host: str) -> None:
        grid = scrape_times(node, "host")
        self._write(f"up{{{host}}}", grid, lambda at: 1.0)
        self._write(f"node_memory_MemTotal_bytes{{{host}}}", grid, lambda at: NODE_MEMORY)
        busy = _Counter(self._world.busy_cpus(node.name), BEGIN)
        worked = {at: busy(at) / NODE_CPUS for at in grid}
        idle = _lines(grid, lambda at: 1e5 + at - BEGIN - worked[at], self._zero)
        user = _lines(grid, worked.__getitem__, self._zero)
        for cpu in range(NODE_CPUS):
            self._put(f'node_cpu_seconds_total{{{host},cpu="{cpu}",mode="idle"}}', idle)
            self._put(f'node_cpu_seconds_total{{{host},cpu="{cpu}",mode="user"}}', user)

    def _meters(self, node: Node, place: str, host: str) -> None:
        grid = scrape_times(node, "meter")
        if node.meter == "rapl":
            for zone, part in _ZONES.items():
                joules = _Counter(self._world.host_watts(node.name).scaled(part), BEGIN)
                self._write(f'node_rapl_{zone}_joules_total{{{host},index="0",path="/sys/{zone}"}}', grid, joules)
        if node.meter == "redfish":
            watts = self._world.node_watts(node.name)
            zeros = zero_times(node)
            self._write(
                f'redfish_chassis_power_average_consumed_watts{{{place},job="redfish",instance="{node.name}-oob",'
                'chassis_id="1",power_voltage_id="0"}',
                meter_times(node), lambda at: 0.0 if at in zeros else watts.at(at),
            )  # fmt: skip

    def _boards(self, node: Node, labels: str) -> None:
        grid = scrape_times(node, "gpu")
        for index in range(node.gpus):
            watts = self._world.board_watts(node.name, index)
            uuid = f"GPU-{node.name}-{index}"
            if node.gpu_exporter == "dcgm":
                series = f'DCGM_FI_DEV_POWER_USAGE{{{labels},gpu="{index}",UUID="{uuid}"}}'
                self._write(series, grid, watts.at)
            else:
                series = f'nvidia_gpu_power_usage_milliwatts{{{labels},minor_number="{index}",uuid="{uuid}"}}'
                self._write(series, grid, lambda at, watts=watts: 1e3 * watts.at(at))  # type: ignore[misc]

    def _job(self, node: Node, job: Job, grid: Sequence[float], labels: str) -> None:
        labels += f',slurmjobid="{job.job_id}",user="{job.user}",account="{job.account}"'
        before = [each for each in self._world.on(node.name) if each.job_id == job.job_id and job.row_start is not None]
        used = [_Counter(each.busy(node.name), each.start) for each in (before or [job])]
        cores = _lines(grid, lambda at: 1e9 * sum(count(at) for count in used) / job.cpus, self._zero)
        for core in range(job.cpus):
            self._put(f'slurm_job_core_usage_total{{{labels},core="{core}"}}', cores)
        for kind, value in (("usage", job.peak), ("rss", 0.8 * job.peak), ("max", job.peak)):
            self._write(f"slurm_job_memory_{kind}{{{labels}}}", grid, lambda at, value=value: value)  # type: ignore[misc]
        for (name, index), parts in job.gpu.items():
            if name == node.name:
                self._job_gpu(node, job, index, parts, labels)

    def _job_gpu(self, node: Node, job: Job, index: int, parts: Sequence[Part], labels: str) -> None:
        uuid = f"MIG-{node.name}-{job.number}" if job.mig is not None else str(index)
        labels += f',gpu="{uuid}",gpu_type="{_GPU_TYPE}"'
        seen = board_times(node, job, index)
        use, watts = Steps(parts), self._world.board_watts(node.name, index)
        self._write(
            f"slurm_job_utilization_gpu{{{labels}}}", seen,
            lambda at: 100 * (use.at(at) if job.mig is None else job.mig),
        )  # fmt: skip
        self._write(f"slurm_job_power_gpu{{{labels}}}", seen, lambda at: 1e3 * watts.at(at))
        self._write(f"slurm_job_memory_usage_gpu{{{labels}}}", seen, lambda at: 1e10)

    def _write(self, series: str, grid: Sequence[float], value: Callable[[float], float]) -> None:
        self._put(series, _lines(grid, value, self._zero))

    def _put(self, series: str, lines: Sequence[str]) -> None:
        self.samples += len(lines)
        self._out.write("".join([series + line for line in lines]))


class _Counter:
    """A quantity added up since a time; asked for at rising times."""

    def __init__(self, steps: Steps, since: float) -> None:
        self._steps, self._since = steps, since
        self._at, self._sum = since, 0.0

    def __call__(self, at: float) -> float:
        if at < self._at:
            self._at, self._sum = self._since, 0.0
        self._sum += self._steps.integral(self._at, at)
        self._at = at
        return self._sum


def _lines(grid: Sequence[float], value: Callable[[float], float], zero: float) -> list[str]:
    return [f" {value(at)!r} {zero + at:.3f}\n" for at in grid]


def scrape_times(node: Node, exporter: str) -> list[float]:
    """Give the times of an exporter's scrapes, which are the target's own."""
    first = BEGIN + crc32(f"{node.name} {exporter}".encode()) % int(INTERVAL * 1000) / 1000
    return [first + number * INTERVAL for number in range(int((AHEAD - BEGIN) / INTERVAL))]


def job_times(node: Node, job: Job) -> list[float]:
    """Give the times of the scrapes that show a job on one of its nodes."""
    return [at for at in scrape_times(node, "jobs") if job.start <= at < job.end and node.sees_jobs(at)]


def board_times(node: Node, job: Job, index: int) -> list[float]:
    """Give the times of the scrapes that show a board as a job's own: some process of the job has it open."""
    parts = job.gpu.get((node.name, index), ())
    return [at for at in job_times(node, job) if any(begin <= at < end for begin, end, _ in parts)]


def meter_times(node: Node) -> list[float]:
    """Give the times of the scrapes at which the BMC says a power."""
    return [at for at in scrape_times(node, "meter") if not within(at, node.meter_gone)]


def zero_times(node: Node) -> set[float]:
    """Give the times at which the BMC says 0: at every other scrape of a bad while."""
    grid = scrape_times(node, "meter")
    return {at for number, at in enumerate(grid) if number % 2 and within(at, node.meter_zero)}


def within(at: float, intervals: Sequence[Interval]) -> bool:
    """Tell whether a time is in one of some intervals."""
    return any(begin <= at < end for begin, end in intervals)
