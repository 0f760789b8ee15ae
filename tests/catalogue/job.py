"""The job page (C1–C3): CPU, memory, threads, applications and GPUs."""

from tests.catalogue.entry import Entry

_SERIES = "clusters/lab/jobs/$JOB/series"
_NODE = {"node": "instance"}
_GPU = {"node": "instance", "gpu": "gpu", "gpu_type": "gpu_type"}
_GIB = 2.0**30
_MEMORY_KINDS = (
    "usage", "limit", "max", "cache", "rss", "rss_huge", "mapped_file", "active_file", "inactive_file", "unevictable",
)  # fmt: skip

ENTRIES = (
    Entry(
        id="JC1", portal='rate(slurm_job_core_usage_total{slurmjobid=~"$JOB", $F}[$window]) / 1000000000',
        path=_SERIES, metric="cpu_cores", labels={**_NODE, "core": "core"},
    ),
    *(
        Entry(
            id="JC3", portal=f'slurm_job_memory_{kind}{{slurmjobid=~"$JOB", $F}}',
            path=_SERIES, metric="memory", labels=_NODE, only={"kind": kind},
        )
        for kind in _MEMORY_KINDS
    ),
    Entry(
        id="JC5", portal='slurm_job_process_count{slurmjobid=~"$JOB", $F}',
        path=_SERIES, metric="processes", labels=_NODE,
    ),
    Entry(
        id="JC6", portal='slurm_job_threads_count{slurmjobid=~"$JOB", $F}',
        path=_SERIES, metric="threads", labels={**_NODE, "state": "state"},
    ),
    *(
        Entry(
            id="JG1", portal=f'slurm_job_{name}_gpu{{slurmjobid=~"$JOB", $F}}',
            path=_SERIES, metric=f"gpu_{name}", labels=_GPU, factor=0.01,
        )
        for name in ("utilization", "sm_occupancy", "tensor", "fp64", "fp32", "fp16")
    ),
    Entry(
        id="JG2", portal='slurm_job_utilization_gpu_memory{slurmjobid=~"$JOB", $F}',
        path=_SERIES, metric="gpu_memory_utilization", labels=_GPU, factor=0.01,
    ),
    Entry(
        id="JG3", portal='slurm_job_memory_usage_gpu{slurmjobid=~"$JOB", $F} / (1024*1024*1024)',
        path=_SERIES, metric="gpu_memory", labels=_GPU, factor=_GIB,
    ),
    Entry(
        id="JG4", portal='slurm_job_power_gpu{slurmjobid=~"$JOB", $F} / 1000',
        path=_SERIES, metric="gpu_power", labels=_GPU,
    ),
    Entry(
        id="JG5", portal='slurm_job_pcie_gpu{slurmjobid=~"$JOB", $F} / 1024/1024/1024',
        path=_SERIES, metric="gpu_pcie", labels={**_GPU, "direction": "direction"}, factor=_GIB,
    ),
    Entry(
        id="JG6", portal='slurm_job_nvlink_gpu{slurmjobid="$JOB", $F} / 1024/1024/1024',
        path=_SERIES, metric="gpu_nvlink", labels={**_GPU, "direction": "direction"}, factor=_GIB,
    ),
)  # fmt: skip
