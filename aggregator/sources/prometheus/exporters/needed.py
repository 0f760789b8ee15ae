"""Which series each exporter must show, and what is not known without them: for `check --connect` and for the docs."""

from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.sources.prometheus.exporters.slurm_exporter import METRICS as _SLURM_METRICS


@dataclass(frozen=True, slots=True)
class Needed:
    """Series that an exporter shows: any of `metrics` will do; `gives` is what is not known without all of them.

    Not every site has those that are not `always` there: nodes have no GPU, a kernel does not count peaks.
    """

    gives: str
    metrics: tuple[str, ...]
    always: bool = True


def _needed(metric: str, gives: str, *, always: bool = True) -> Needed:
    return Needed(gives, (metric,), always)


def _cluster_wide(metric: str) -> bool:
    return not metric.startswith(("slurm_node_", "slurm_exporter_"))


_LUSTRE_OF_JOBS = (
    _needed("lustre_job_read_bytes_total", "what jobs read"),
    _needed("lustre_job_write_bytes_total", "what jobs write"),
    _needed("lustre_job_stats_total", "metadata operations of jobs"),
)
NEEDED: Mapping[str, tuple[Needed, ...]] = {
    "slurm_job_exporter": (
        _needed("up", "which nodes are observed, so that a job without series is idle and not unknown"),
        _needed("slurm_job_memory_usage", "everything that jobs use: it shows when a job was scraped, CPUs as well"),
        _needed("slurm_job_core_usage_total", "CPUs used by jobs"),
        _needed("slurm_job_memory_rss", "memory used by jobs"),
        _needed("slurm_job_memory_max", "the peak of memory (cgroup v2 needs memory.peak)", always=False),
        _needed("slurm_job_threads_count", "threads", always=False),
        _needed("slurm_job_utilization_gpu", "GPUs used by jobs", always=False),
        _needed("slurm_job_memory_usage_gpu", "GPU memory used by jobs", always=False),
        _needed("slurm_job_power_gpu", "the power of jobs' GPUs", always=False),
    ),
    "slurm_exporter": (
        Needed("what slurmctld says of nodes", tuple(m for m in _SLURM_METRICS if m.startswith("slurm_node_"))),
        Needed("what slurmctld says of the queue", tuple(m for m in _SLURM_METRICS if _cluster_wide(m))),
        _needed("slurm_account_levelfs", "slurmctld's own fair share, to compare with", always=False),
        Needed("which collections failed", ("slurm_exporter_collect_error", "slurm_exporter_collect_timeout"), False),
    ),
    "node_exporter": (
        _needed("node_cpu_seconds_total", "the CPUs of nodes, and how busy they are"),
        _needed("node_memory_MemTotal_bytes", "the memory of nodes"),
        _needed("node_memory_MemAvailable_bytes", "the free memory of nodes"),
        _needed("node_load1", "the load of nodes"),
        _needed("node_filesystem_size_bytes", "the size of local scratch", always=False),
        _needed("node_filesystem_avail_bytes", "the free space of local scratch", always=False),
        _needed("node_rapl_package_joules_total", "the power of processors, where BMCs show none", always=False),
        _needed("node_rapl_dram_joules_total", "the power of memory, where BMCs show none", always=False),
    ),
    "lustre_exporter": (
        *_LUSTRE_OF_JOBS,
        _needed("lustre_inodes_maximum", "which share of the Lustre targets is seen"),
    ),
    "lustre_exporter_slurm": (
        *_LUSTRE_OF_JOBS,
        _needed("lustre_inodes_maximum", "which share of the Lustre targets is seen", always=False),
    ),
    "redfish_exporter": (_needed("redfish_chassis_power_average_consumed_watts", "the power of nodes from BMCs"),),
    "dcgm_exporter": (
        _needed("DCGM_FI_DEV_POWER_USAGE", "the power of GPUs"),
        Needed(
            "GPUs used by jobs, where a job is named", ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"), False
        ),
        _needed("DCGM_FI_DEV_FB_USED", "GPU memory used by jobs, where a job is named", always=False),
    ),
    "nvidia_gpu_exporter": (
        _needed("nvidia_gpu_power_usage_milliwatts", "the power of GPUs"),
        _needed("nvidia_gpu_jobId", "which job has a GPU", always=False),
        _needed("nvidia_gpu_duty_cycle", "GPUs used by jobs, where a job is named", always=False),
        _needed("nvidia_gpu_memory_used_bytes", "GPU memory used by jobs, where a job is named", always=False),
    ),
    "pcm_sensor_server": (
        Needed("the memory bandwidth of sockets", ("DRAM_Reads", "DRAM_Writes")),
        _needed("OS_ID", "which threads are those of a job: cache hits and instructions", always=False),
    ),
    "libvirtd_exporter": (
        _needed("libvirtd_domain_domain_state", "which instances run"),
        _needed("libvirtd_domain_vcpu_time", "the CPUs of instances, and their use"),
        _needed("libvirtd_domain_balloon_current", "the memory of instances"),
        _needed("libvirtd_info", "which hypervisors are observed"),
        _needed("libvirtd_domain_balloon_usable", "memory used, where the guest reports it", always=False),
    ),
    "lfs_quota_exporter": (
        _needed("lfs_quota_kbytes", "the bytes of owners"),
        _needed("lfs_quota_inodes", "the inodes of owners"),
    ),
    "gpfs_exporter": tuple(
        Needed(
            f"the {unit} of owners and their limits",
            tuple(
                f"gpfs_{owner}_{kind}_{unit}"
                for owner in ("group", "user", "fileset")
                for kind in ("used", "quota", "limit", "in_doubt")
            ),
        )
        for unit in ("bytes", "files")
    ),
}  # fmt: skip
