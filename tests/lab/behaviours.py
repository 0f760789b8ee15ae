"""What the lab's jobs appear to do: the numbers from which tests compute what they expect."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30

GPU_TYPE = "NVIDIA A100-SXM4-40GB"
GPU_MEMORY_BYTES = 40960 * MIB

# What DCGM answers for a field that it cannot read, as slurm-job-exporter shows it for a percentage.
DCGM_BLANK = 1.40737488355328e16


@dataclass(frozen=True)
class Behaviour:
    """One job's use of what it was given, the same on each of its nodes."""

    cpu: float = 0.5
    """Busy fraction of each allocated CPU."""
    rss_per_cpu: int = 500 * MIB
    """Anonymous memory in bytes for each allocated CPU."""
    cache: int = 64 * MIB
    """Page cache in bytes on each node; memory_usage is rss + cache."""
    gpu: tuple[float, ...] | None = None
    """Utilisation in percent by job-local index; None: the exporter shows no GPU series."""
    gpu_memory: int = 512 * MIB
    """Bytes used on each GPU."""
    processes: bool = True
    """Whether the job has processes; without, the exporter does not show it at all."""

    def rss(self, cpus: int) -> int:
        """Return memory_rss on a node where the job has *cpus* CPUs."""
        return self.rss_per_cpu * cpus

    def memory_usage(self, cpus: int) -> int:
        """Return memory_usage on a node where the job has *cpus* CPUs."""
        return self.rss(cpus) + self.cache

    def memory_max(self, cpus: int) -> int:
        """Return the peak, a quarter above the usage."""
        return self.memory_usage(cpus) * 5 // 4

    @staticmethod
    def gpu_power_watts(utilization: float) -> float:
        """Return the power of one GPU."""
        return 50 + 3 * utilization


DEFAULT = Behaviour()

# By the names that jobs.submit_all gives; other jobs follow DEFAULT.
BEHAVIOURS = {
    "plain": Behaviour(cpu=0.9, rss_per_cpu=1000 * MIB),
    "multi_node": Behaviour(cpu=0.75, rss_per_cpu=1500 * MIB),
    "gpu_busy": Behaviour(cpu=0.6, rss_per_cpu=1200 * MIB, gpu=(95.0, 85.0), gpu_memory=30 * GIB),
    "gpu_idle": Behaviour(cpu=0.02, rss_per_cpu=200 * MIB),
    "gpu_quiet": Behaviour(cpu=0.25, rss_per_cpu=400 * MIB, gpu=(0.0,)),
    "array": Behaviour(cpu=1.0, rss_per_cpu=300 * MIB),
    "het": Behaviour(cpu=0.5, rss_per_cpu=700 * MIB),
    "requeued": Behaviour(cpu=0.8, rss_per_cpu=600 * MIB),
    "memory_heavy": Behaviour(cpu=0.1, rss_per_cpu=7000 * MIB),
    "cpu_waster": Behaviour(cpu=0.01, rss_per_cpu=50 * MIB),
    "silent": Behaviour(processes=False),
}
