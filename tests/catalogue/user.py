"""The user page (C8): what a user's jobs hold and use; Lustre is elsewhere."""

from tests.catalogue.entry import Entry

_SERIES = "clusters/lab/users/$USER/series"
_GIB = 2.0**30
# The two are of different moments: ours of the service's last refresh before a scrape.
REFRESHED = 0.05
HELD = "Ours is what slurmacct says; the portal counts series, which are not there for a job without a process (23)."

ENTRIES = (
    Entry(
        id="US1", portal='sum(rate(slurm_job_core_usage_total{user="$USER", $F}[$window]) / 1000000000)',
        path=_SERIES, metric="used_cpus", tolerance=REFRESHED,
    ),
    Entry(id="US2", portal='sum(slurm_job_memory_max{user="$USER", $F})', path=_SERIES, metric="peak_memory"),
    Entry(id="US3", portal='sum(slurm_job_utilization_gpu{user="$USER", $F}) / 100', path=_SERIES, metric="used_gpus"),
    Entry(
        id="US4", portal='sum(slurm_job:used_core:sum_user_account{user="$USER", $F})',
        path=_SERIES, metric="used_cpus", tolerance=REFRESHED,
    ),
    Entry(
        id="US5", portal='sum(slurm_job:allocated_core:count_user_account{user="$USER", $F})',
        path=_SERIES, metric="allocated_cpus", note=HELD,
    ),
    *(
        Entry(
            id="US6", portal=f'sum(slurm_job:{rule}:sum_user_account{{user="$USER", $F}}) / (1024*1024*1024)',
            path=_SERIES, metric=metric, factor=_GIB,
        )
        for rule, metric in (
            ("allocated_memory", "allocated_memory"), ("max_memory", "peak_memory"), ("rss_memory", "used_memory"),
        )
    ),
    Entry(
        id="US9", portal='sum(slurm_job:allocated_gpu:count_user_account{user="$USER", $F})',
        path=_SERIES, metric="allocated_gpus", note=HELD,
    ),
    Entry(
        id="US10", portal='sum(slurm_job:used_gpu:sum_user_account{user="$USER", $F})',
        path=_SERIES, metric="used_gpus",
    ),
    Entry(
        id="US11", portal='count(slurm_job_power_gpu{user="$USER", $F}) by (gpu_type)',
        path=_SERIES, metric="allocated_gpus",
        note="Ours has Slurm's types; there is no table of full and idle power by model (41).",
    ),
    Entry(
        id="US12", portal='sum(slurm_job_power_gpu{user="$USER", $F}) by (gpu_type) / 1000',
        path=_SERIES, metric="gpu_power", labels={"gpu_type": "gpu_type"},
        note="Without MIG slices: each repeats the power of its board (10).",
    ),
)  # fmt: skip
